"""What users of pyobs know, item by item (`field/pyobs.md`, section 6), under our names and without its defects."""

import copy
import io

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from etendue.images import Image, ImageError, make_catalog
from etendue.images.filename import format_filename
from etendue.images.sections import Section

PLANES = ("data", "mask", "uncertainty", "catalog", "raw")


def full_image():
    catalog = make_catalog(x=[1.0, 2.0], y=[0.0, 1.5], flux=[3.0, 4.0], unit="electron")
    catalog.meta["reference"] = "Gaia"
    return Image(
        np.arange(16, dtype=np.float32).reshape(4, 4),
        {"TEST": 1},
        mask=np.eye(4, dtype=bool),
        uncertainty=np.ones((4, 4), np.float32),
        catalog=catalog,
        raw=np.arange(16, dtype=np.uint16).reshape(4, 4),
    )


def test_1_an_empty_image():
    image = Image()

    for plane in PLANES:
        assert getattr(image, f"safe_{plane}") is None
        with pytest.raises(ImageError, match=plane):
            getattr(image, plane)
    assert len(image.header) == 0
    assert image.meta == {}
    with pytest.raises(ValueError, match="no data"):
        image.to_jpeg()


def test_2_the_header_follows_the_pixels_and_the_given_one_is_untouched():
    header = fits.Header({"TEST": 1})
    image = Image(np.ones((4, 4)), header)

    assert (image.header["TEST"], image.header["NAXIS1"], image.header["NAXIS2"]) == (1, 4, 4)
    assert list(header) == ["TEST"]


def test_3_a_file_in_memory_has_all_planes_in_order_and_comes_back_with_types_and_units():
    image = full_image()

    data = image.to_bytes()
    back = Image.from_bytes(data)

    with fits.open(io.BytesIO(data)) as hdus:
        assert [hdu.name for hdu in hdus][:5] == ["PRIMARY", "CAT", "MASK", "UNCERT", "RAW"]
    for plane in ("data", "mask", "uncertainty", "raw"):
        assert np.array_equal(getattr(back, plane), getattr(image, plane))
        assert getattr(back, plane).dtype == getattr(image, plane).dtype
    assert back.catalog["flux"].unit == "electron"
    assert back.catalog["x"].description == image.catalog["x"].description
    assert back.catalog.meta["reference"] == "Gaia"


def test_4_files_without_pixels_are_refused_and_any_image_extension_is_read():
    def content(*hdus):
        stream = io.BytesIO()
        fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(stream)
        return stream.getvalue()

    with pytest.raises(ValueError, match=r"pixels|image"):
        Image.from_bytes(content(fits.table_to_hdu(Table({"x": [1]}))))
    pixels = np.arange(12, dtype=np.int16).reshape(3, 4)
    for hdu in (
        fits.CompImageHDU(pixels, name="ANYTHING"),
        fits.ImageHDU(pixels, name="SCI"),
        fits.ImageHDU(pixels, name="CHIP1"),
    ):
        assert np.array_equal(Image.from_bytes(content(hdu)).data, pixels)


def test_5_unit_and_pixel_scale():
    assert Image(header={"BUNIT": "TEST"}).unit == "test"
    assert Image().unit == "adu"
    assert Image(header={"CD1_1": 1.0}).pixel_scale == 3600
    assert Image(header={"CD1_1": 1e-4, "CDELT1": 2e-4}).pixel_scale == pytest.approx(0.36)
    assert Image().pixel_scale is None


def test_5_improved_the_scale_of_a_field_rotated_by_90_degrees():
    assert Image(header={"CD1_1": 0.0, "CD1_2": 1e-4, "CD2_1": 1e-4, "CD2_2": 0.0}).pixel_scale == pytest.approx(0.36)


def test_6_division():
    assert (Image(4 * np.ones((4, 4))) / Image(2 * np.ones((4, 4)))).data.tolist() == (2 * np.ones((4, 4))).tolist()
    for pair in ((Image(np.ones((4, 4))), Image()), (Image(), Image(np.ones((4, 4))))):
        with pytest.raises(ValueError, match="no data"):
            pair[0] / pair[1]


def test_7_trim():
    header = {"TRIMSEC": "[2:4,2:4]", "DATASEC": "[1:4,1:4]", "BIASSEC": "[1:1,1:4]", "CRPIX1": 3.0, "CRPIX2": 3.0}
    image = Image(np.arange(16.0).reshape(4, 4), header, mask=np.eye(4, dtype=bool), uncertainty=np.ones((4, 4)))

    trimmed = image.trim()

    assert trimmed.data.tolist() == np.arange(16.0).reshape(4, 4)[1:4, 1:4].tolist()
    assert trimmed.mask.shape == trimmed.uncertainty.shape == (3, 3)
    assert [trimmed.header[key] for key in ("CRPIX1", "CRPIX2", "NAXIS1", "NAXIS2")] == [2, 2, 3, 3]
    assert {"TRIMSEC", "DATASEC", "BIASSEC"}.isdisjoint(trimmed.header)
    assert trimmed.trim().data.tolist() == trimmed.data.tolist()
    assert image.data.shape == (4, 4)
    with pytest.raises(ValueError, match="TRIMSEC"):
        Image(np.ones((4, 4)), {"TRIMSEC": "INVALID"}).trim()
    section = Section.parse("[2:4,3:5]")
    assert (section.x0, section.x1, section.y0, section.y1) == (1, 4, 2, 5)


def test_7_improved_trim_takes_the_catalogue_and_the_raw_pixels_along():
    image = full_image().replace(header={"TRIMSEC": "[2:4,2:4]"}).trim()

    assert image.catalog["x"].tolist() == [1.0]
    assert image.raw.shape == (3, 3)


def test_8_pictures():
    from PIL import Image as Picture

    def pixels(content):
        return np.asarray(Picture.open(io.BytesIO(content)))

    assert not pixels(Image(np.ones((8, 8))).to_jpeg()).any()
    assert (pixels(Image(np.ones((8, 8))).to_jpeg(0.5, 1.5)) == 127).all()


def test_9_meta():
    image = Image()
    with pytest.raises(ValueError, match="int"):
        image.get_meta(int)
    image.meta[int] = 1.5
    with pytest.raises(ValueError, match="int"):
        image.get_meta(int)
    assert image.get_meta_safe(int, 0) == 0


def test_10_file_names():
    header = fits.Header({"DATE-OBS": "2019-03-26T19:46:23", "EXPID": 5, "IMAGETYP": "dark", "FILTER": "clear"})

    assert format_filename("{DATE-OBS|time:-}", header) == "19-46-23"
    assert format_filename("{DATE-OBS|date:-}", header) == "2019-03-26"
    assert format_filename("{EXPID|string:04d}", header) == "0005"
    assert format_filename("{FILTER|filter}", header) == ""
    header["IMAGETYP"] = "light"
    assert format_filename("{FILTER|filter}", header) == "-clear"
    with pytest.raises(KeyError):
        format_filename("{MISSING}", header)
    assert format_filename(["{MISSING}", "{EXPID}"], header) == "5"


def test_10_improved_what_pyobs_left_in_the_name_is_filled_in():
    header = fits.Header({"EXPTIME": 10.0, "IMAGETYP": "object", "FILTER": "R"})

    assert format_filename("{EXPTIME|string:05.1f}{FILTER|filter:IMAGETYP:_}", header) == "010.0_R"


def test_improved_every_kind_of_copy_works():
    image = full_image()
    for twin in (image.copy(), copy.copy(image), copy.deepcopy(image)):
        with twin.edit("data") as data:
            data[:] = -1
        twin.header["TEST"] = 2
        assert image.data[0, 1] == 1
        assert image.header["TEST"] == 1
