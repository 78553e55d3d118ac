"""Exchange with CCDData."""

import numpy as np
import pytest
from astropy import units
from astropy.nddata import CCDData, InverseVariance, StdDevUncertainty, UnknownUncertainty, VarianceUncertainty
from astropy.wcs import WCS

from etendue.images import Image, ImageError, PixelFlag


def test_unit_mask_header_and_values_are_kept():
    ccd = CCDData(np.arange(4.0).reshape(2, 2), unit="electron", mask=np.eye(2, dtype=bool), header={"OBJECT": "M31"})

    image = Image.from_ccddata(ccd)

    assert image.unit == "electron"
    assert image.data.dtype == np.float64
    assert image.mask.tolist() == [[True, False], [False, True]]
    assert image.header["OBJECT"] == "M31"


@pytest.mark.parametrize(
    "uncertainty",
    [StdDevUncertainty([[2.0, 4.0]]), VarianceUncertainty([[4.0, 16.0]]), InverseVariance([[0.25, 0.0625]])],
)
def test_any_kind_of_uncertainty_becomes_a_standard_deviation(uncertainty):
    image = Image.from_ccddata(CCDData([[1.0, 1.0]], unit="adu", uncertainty=uncertainty))

    assert image.uncertainty.tolist() == [[2.0, 4.0]]


def test_a_pixel_of_no_weight_is_masked():
    image = Image.from_ccddata(CCDData([[1.0, 1.0]], unit="adu", uncertainty=InverseVariance(np.array([[4.0, 0.0]]))))

    assert image.mask.tolist() == [[False, True]]
    assert image.uncertainty[0, 0] == 0.5
    assert np.isnan(image.uncertainty[0, 1])


def test_an_unknown_kind_of_uncertainty_is_refused():
    with pytest.raises(ImageError, match="UnknownUncertainty"):
        Image.from_ccddata(CCDData([[1.0]], unit="adu", uncertainty=UnknownUncertainty([[1.0]])))


def test_flags_are_kept_as_bits():
    ccd = CCDData([[1.0, 2.0]], unit="adu", mask=np.array([[True, False]]))
    ccd.flags = np.array([[0, 4]], np.uint8)

    image = Image.from_ccddata(ccd)

    assert image.mask.tolist() == [[PixelFlag.OTHER, PixelFlag.SATURATED]]


def test_there_and_back():
    header = {"BUNIT": "electron", "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10.0, "CRVAL2": 20.0}
    header |= {"CRPIX1": 3.0, "CRPIX2": 2.0, "CD1_1": -1e-4, "CD1_2": 2e-5, "CD2_1": 2e-5, "CD2_2": 1e-4}
    mask = np.zeros((3, 4), np.uint8)
    mask[1, 1] = PixelFlag.COSMIC_RAY
    image = Image(np.ones((3, 4), np.float32), header, mask=mask, uncertainty=np.full((3, 4), 2.0))

    ccd = image.to_ccddata()
    back = Image.from_ccddata(ccd)

    assert ccd.unit == units.electron
    assert ccd.mask.sum() == 1
    assert back.mask.tolist() == mask.tolist()
    assert back.uncertainty.tolist() == image.uncertainty.tolist()
    assert back.pixel_scale == pytest.approx(image.pixel_scale)
    here, there = (each.wcs.pixel_to_world(1.0, 2.0) for each in (image, back))
    assert here.separation(there).arcsec < 1e-6
    assert image.wcs.pixel_to_world(1.0, 2.0).separation(ccd.wcs.pixel_to_world(1.0, 2.0)).arcsec < 1e-6


def test_the_ccddata_has_pixels_and_header_of_its_own():
    image = Image(np.zeros((2, 2)), {"OBJECT": "M31"}, uncertainty=np.ones((2, 2)), mask=np.zeros((2, 2), bool))
    ccd = image.to_ccddata()
    ccd.data[0, 0] = ccd.uncertainty.array[0, 0] = 5
    ccd.mask[0, 0] = True
    ccd.header["OBJECT"] = "M33"

    assert image.data[0, 0] == 0
    assert image.uncertainty[0, 0] == 1
    assert not image.mask.any()
    assert image.header["OBJECT"] == "M31"


@pytest.mark.parametrize(
    ("bunit", "unit"), [(None, "adu"), ("ADU", "adu"), ("counts", "ct"), ("e-", "electron"), ("DN", "adu")]
)
def test_units_as_headers_write_them(bunit, unit):
    image = Image(np.ones((2, 2)), {} if bunit is None else {"BUNIT": bunit})

    assert image.to_ccddata().unit == units.Unit(unit)


def test_what_cannot_be_exchanged_is_named():
    with pytest.raises(ImageError, match="no data"):
        Image().to_ccddata()
    with pytest.raises(ImageError, match=r"BUNIT.*'furlong per fortnight'"):
        Image(np.ones((2, 2)), {"BUNIT": "furlong per fortnight"}).to_ccddata()


def test_a_wcs_without_cards_reaches_the_header():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = [10, 20], [1, 1], [-1e-3, 1e-3]

    image = Image.from_ccddata(CCDData(np.ones((2, 2)), unit="adu", wcs=wcs))

    assert image.wcs.pixel_to_world(0, 0).ra.deg == pytest.approx(10)
    assert image.pixel_scale == pytest.approx(3.6)


def test_ccdproc_can_work_with_it():
    ccdproc = pytest.importorskip("ccdproc")
    ccd = Image(np.ones((4, 4)), uncertainty=np.full((4, 4), 3.0)).to_ccddata()

    assert Image.from_ccddata(ccdproc.trim_image(ccd, fits_section="[1:2,1:3]")).shape == (3, 2)


@pytest.mark.parametrize(
    ("card", "unit"),
    [
        ("e-/s", "electron / s"),
        ("ADU/SEC", "adu / s"),
        ("DN", "adu"),
        ("counts", "ct"),
        ("photons", "ph"),
        ("MJy/sr", "MJy / sr"),
        ("erg s-1 cm-2", "erg / (s cm2)"),
    ],
)
def test_units_that_headers_spell_in_their_own_way(card, unit):
    assert Image(np.ones((2, 2)), {"BUNIT": card}).to_ccddata().unit == units.Unit(unit)
