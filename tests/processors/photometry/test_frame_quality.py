"""Seeing, sky and limiting magnitude of frames whose truth is known."""

import asyncio

import numpy as np
import pytest

from etendue.images import Image, make_catalog
from etendue.processors import find_processor
from etendue.processors.photometry.frame_quality import (
    MeasureQuality,
    faintest_flux,
    good_stars,
    noise_area,
    star_profile,
)


def moffat(r, fwhm, beta):
    alpha = fwhm / (2 * np.sqrt(2 ** (1 / beta) - 1))
    return (beta - 1) / (np.pi * alpha**2) * (1 + (r / alpha) ** 2) ** -beta


def field(fwhm=4.0, beta=3.0, sky=100.0, noise=10.0, flux=50_000.0, seed=1, side=400, cards=None):
    """Stars on a grid, in electrons; and their catalogue."""
    rng = np.random.default_rng(seed)
    data = rng.normal(sky, noise, (side, side))
    y, x = np.indices(data.shape)
    places = [
        (x0 + rng.uniform(-0.5, 0.5), y0 + rng.uniform(-0.5, 0.5))
        for x0 in range(40, side - 39, 64)
        for y0 in range(40, side - 39, 64)
    ]
    for x0, y0 in places:
        data += flux * moffat(np.hypot(x - x0, y - y0), fwhm, beta)
    xs, ys = np.array(places).T
    n = len(places)
    catalog = make_catalog(
        x=xs,
        y=ys,
        flux=np.full(n, flux),
        flux_radius_50=np.full(n, fwhm / 2),
        flags=np.zeros(n),
        ellipticity=np.full(n, 0.1),
    )
    header = {"BUNIT": "electron", "EXPTIME": 100.0, "PIXSCALE": 0.5} | (cards or {})
    return Image(data=data.astype(np.float32), header=header, catalog=catalog)


def measured(image, **parameters):
    return asyncio.run(MeasureQuality(**parameters)(image)).header


@pytest.mark.parametrize(("fwhm", "beta"), [(2.5, 2.5), (4.0, 3.0), (6.0, 4.5)])
def test_width_of_the_stars_is_found(fwhm, beta):
    header = measured(field(fwhm, beta))

    assert header["FWHM"] == pytest.approx(fwhm, rel=0.02)
    assert header["FWHMSEC"] == pytest.approx(0.5 * header["FWHM"])
    assert header["ELLIPT"] == pytest.approx(0.1)


def test_sky_is_measured_or_taken_from_the_subtraction_before():
    image = field()
    header = measured(image)
    subtracted = image.replace(data=image.data - 100)
    subtracted.header["BKGLEVEL"], subtracted.header["BKGRMS"] = 100.0, 10.0

    assert header["SKYLEVEL"] == pytest.approx(100, abs=0.5)
    assert header["SKYNOISE"] == pytest.approx(10, rel=0.05)
    assert measured(subtracted)["SKYLEVEL"] == 100
    assert measured(subtracted)["FWHM"] == pytest.approx(header["FWHM"], rel=0.01)


def test_a_star_at_the_limiting_magnitude_has_that_signal_to_noise_ratio():
    fwhm, beta, noise = 4.0, 3.0, 10.0
    header = measured(field(fwhm, beta, noise=noise), zero_point=25.0, limit=7)

    flux = 10 ** (-0.4 * (header["LIMMAG"] - 25.0)) * 100.0
    y, x = np.indices((101, 101)) - 50.0
    profile = moffat(np.hypot(x, y), fwhm, beta)
    # Optimal (profile-weighted) photometry with background noise, and the photons of the star itself.
    signal_to_noise = flux / np.sqrt(noise**2 / np.sum(profile**2) + flux)
    assert signal_to_noise == pytest.approx(7, rel=0.03)


def test_zero_point_of_the_header_is_that_of_one_unit_of_the_pixels():
    """A star of magnitude 20 and zero point 30 gives 10 000 adu of 2 electrons in 100 s: 200 electrons per second."""
    image = field(cards={"ZEROPT": 30.0, "BUNIT": "adu", "GAIN": 2.0})

    zero_point = measured(image)["LIMZP"]

    assert zero_point - 2.5 * np.log10(200.0) == pytest.approx(20.0)


def test_counts_and_electrons_give_the_same_limit():
    electrons = field()
    counts = electrons.replace(data=electrons.data / 2)
    counts.header["BUNIT"], counts.header["GAIN"] = "adu", 2.0

    assert measured(counts)["LIMMAG"] == pytest.approx(measured(electrons)["LIMMAG"], abs=0.01)


def test_a_frame_without_stars_has_a_sky_and_no_width():
    image = field()
    image.catalog = image.catalog[:0]

    header = measured(image)

    assert header["NSOURCES"] == 0
    assert "SKYLEVEL" in header
    assert "FWHM" not in header
    assert "LIMMAG" not in header


def test_without_a_gain_there_is_no_limiting_magnitude():
    image = field(cards={"BUNIT": "adu"})

    header = measured(image)

    assert "FWHM" in header
    assert "LIMMAG" not in header


def test_masked_pixels_and_cosmic_rays_do_not_change_the_width():
    image = field()
    data = image.data.copy()
    data[41::64, 42::64] += 30_000  # beside many stars
    mask = np.zeros(data.shape, bool)
    mask[40::64, 38::64] = True

    header = measured(image.replace(data=data, mask=mask))

    assert header["FWHM"] == pytest.approx(4.0, rel=0.05)


def test_stars_with_neighbours_or_flags_are_not_taken():
    catalog = make_catalog(x=[50.0, 56.0, 120.0, 200.0], y=[50.0] * 4, flux=[1e4, 9e3, 1e4, 1e4], flags=[0, 0, 4, 0])

    assert good_stars(catalog, 10).tolist() == [3]


def test_fewer_than_three_stars_make_no_profile():
    image = field()

    assert star_profile(image.data - 100, np.array([40.0, 104.0]), np.array([40.0, 40.0])) is None


def test_noise_area_of_a_wide_slope_is_that_of_a_gaussian():
    assert noise_area(4.0, 1000.0) == pytest.approx(4 * np.pi * (4.0 / 2.35482) ** 2, rel=0.01)


def test_faintest_flux_solves_its_equation():
    flux = faintest_flux(12.0, 30.0, 5.0)

    assert flux / np.sqrt(flux + 30.0 * 12.0**2) == pytest.approx(5.0)


def test_it_is_registered():
    assert find_processor("MeasureQuality") is MeasureQuality
