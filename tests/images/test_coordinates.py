"""Pixels and the sky."""

import logging
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_area
from hypothesis import given
from hypothesis import strategies as st

from etendue.images import Image, ImageError
from etendue.images.coordinates import celestial_wcs, from_fits, pixel_scale, to_fits

TAN = {
    "CTYPE1": "RA---TAN",
    "CTYPE2": "DEC--TAN",
    "CRVAL1": 10.0,
    "CRVAL2": 20.0,
    "CRPIX1": 5.0,
    "CRPIX2": 7.0,
    "CD1_1": -1e-4,
    "CD1_2": 0.0,
    "CD2_1": 0.0,
    "CD2_2": 1e-4,
}


@given(st.floats(-1e6, 1e6))
def test_the_first_pixel_is_zero_here_and_one_in_fits(position):
    assert to_fits(0) == 1
    assert from_fits(np.array([1.0]))[0] == 0
    assert from_fits(to_fits(position)) == pytest.approx(position)


def test_pixels_are_counted_from_zero():
    sky = Image(np.zeros((9, 9)), TAN).wcs.pixel_to_world(4.0, 6.0)

    assert sky.separation(SkyCoord(10.0, 20.0, unit="deg")).arcsec < 1e-6


@given(angle=st.floats(0, 360), scale=st.floats(1e-5, 1e-2), style=st.sampled_from(["cd", "pc"]))
def test_pixel_scale_does_not_depend_on_rotation(angle, scale, style):
    c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    matrix = {"1_1": -c, "1_2": s, "2_1": s, "2_2": c}
    if style == "cd":
        header = {f"CD{key}": scale * value for key, value in matrix.items()}
    else:
        header = {f"PC{key}": value for key, value in matrix.items()} | {"CDELT1": scale, "CDELT2": scale}

    assert pixel_scale(fits.Header(header)) == pytest.approx(3600 * scale)


@pytest.mark.parametrize(
    ("cards", "scale"),
    [
        ({}, None),
        ({"CD1_1": 1.0}, 3600.0),
        ({"CD1_1": 1e-4, "CDELT1": 2e-4}, 0.36),
        ({"CDELT1": -2e-4}, 0.72),
        ({"CDELT1": -2e-4, "CDELT2": 8e-4}, 1.44),
        ({"CDELT1": -2.0, "CDELT2": 2.0, "CUNIT1": "arcsec", "CTYPE1": "HPLN-TAN"}, 2.0),
        ({"CD1_2": 1e-4, "CD2_1": 1e-4}, 0.36),
        ({"CD1_1": 0.0}, None),
        ({"CTYPE1": "WAVE", "CD1_1": 2.0}, None),
        ({"CDELT1": 1.0, "CTYPE1": "LINEAR"}, None),
        ({"CDELT1": 1.0, "CDELT2": 1.0, "CTYPE1": "", "CRVAL1": 1.0}, None),
        ({"CDELT1": 2.0, "CDELT2": 2.0}, None),
        ({"CDELT1": 2.0, "CDELT2": 2.0, "CUNIT1": "arcsec"}, 2.0),
    ],
)
def test_pixel_scale(cards, scale):
    found = pixel_scale(fits.Header(cards))

    assert found == (None if scale is None else pytest.approx(scale))


def test_pixel_scale_agrees_with_astropy():
    header = fits.Header(TAN | {"CD1_2": 3e-5, "CD2_1": 7e-5})

    assert pixel_scale(header) == pytest.approx(3600 * np.sqrt(proj_plane_pixel_area(WCS(header))))


def test_a_scale_that_is_no_number_is_named():
    with pytest.raises(ImageError, match="CDELT1"):
        pixel_scale(fits.Header({"CDELT1": "small"}))


@pytest.mark.parametrize(
    "cards",
    [
        {},
        {"CRPIX1": 5.0, "CD1_1": 1.0},
        {"CTYPE1": "LINEAR", "CTYPE2": "LINEAR"},
        {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN"},
    ],
)
def test_without_celestial_coordinates_there_is_no_wcs(cards):
    assert Image(np.zeros((4, 4)), cards).wcs is None


@pytest.mark.parametrize(
    "sloppy",
    [
        {"RADECSYS": "FK5", "EQUINOX": 2000.0},
        {"DATE-OBS": "31/12/97", "MJD-OBS": 1.0},
        {"CUNIT1": "degrees", "CUNIT2": "degrees"},
        {"A_ORDER": 2, "B_ORDER": 2, "A_2_0": 1e-6},
        {"PV1_5": 0.0, "PV2_1": 0.0},
        {"CDELT1": 1.0, "CDELT2": 1.0},
        {"DATE-OBS": "not a date"},
        {"OBSGEO-X": "here"},
    ],
)
def test_sloppy_headers_are_read_without_a_warning(sloppy):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wcs = Image(np.zeros((9, 9)), TAN | sloppy).wcs

    assert wcs is not None
    assert np.allclose(wcs.wcs_pix2world(4.0, 6.0, 0), [10.0, 20.0])


@pytest.mark.parametrize(
    "broken",
    [{"CD1_1": 0.0}, {"CTYPE1": "RA---XXX", "CTYPE2": "DEC--XXX"}, {"CTYPE2": "DEC--SIN"}],
)
def test_coordinates_that_cannot_be_computed_are_reported(broken):
    with pytest.raises(ImageError, match="celestial coordinates cannot be used"):
        celestial_wcs(fits.Header(TAN | broken))


def test_distortion_without_the_suffix_is_used(caplog):
    header = fits.Header(TAN | {"A_ORDER": 2, "B_ORDER": 2, "A_2_0": 1e-3})

    wcs = celestial_wcs(header)

    # 10 pixels from the reference pixel, x is displaced by 1e-3 * 10^2 pixels.
    ra, _ = wcs.all_pix2world(14.0, 6.0, 0)
    assert float(ra) == pytest.approx(10.0 - 10.1 * 1e-4 / np.cos(np.deg2rad(20.0)), abs=1e-8)


def test_the_wcs_of_a_cube_is_that_of_its_planes():
    cube = TAN | {"CTYPE3": "FRAME", "CRVAL3": 1.0, "CRPIX3": 1.0, "CD3_3": 1.0}

    assert Image(np.zeros((5, 9, 9)), cube, axes="TYX").wcs.naxis == 2
    assert Image(np.zeros((3, 9, 9)), TAN).wcs.naxis == 2


def test_the_wcs_follows_the_header():
    image = Image(np.zeros((9, 9)), TAN)
    first = image.wcs
    first.wcs.crval = [0.0, 0.0]

    assert image.wcs.wcs.crval[0] == 10.0
    image.header["CRVAL1"] = 11.0
    assert image.wcs.wcs.crval[0] == 11.0


def test_threads_leave_warnings_and_logging_as_they_were():
    interval, filters, level = sys.getswitchinterval(), list(warnings.filters), logging.getLogger("astropy").level

    def read(thread):
        for step in range(40):
            header = dict(zip(("CTYPE1", "CTYPE2"), ("RA---TAN", "DEC--TAN"), strict=True))
            numbers = {"CRVAL1": thread + step / 100, "CRVAL2": 20.0, "CDELT1": -1e-4, "CDELT2": 1e-4}
            assert Image(header=header | numbers).wcs is not None

    try:
        sys.setswitchinterval(1e-6)
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(read, range(8)))
    finally:
        sys.setswitchinterval(interval)

    assert warnings.filters == filters
    assert logging.getLogger("astropy").level == level
