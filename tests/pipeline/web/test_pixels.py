"""The value of a pixel, and where on the sky it is."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

from etendue.images import Image, ImageError, PixelFlag
from etendue.pipeline.web.clerk import opened
from etendue.pipeline.web.clerk.pixels import image_pixel
from tests.pipeline.web.demo import DemoService

WIDTH, HEIGHT = 80, 60


def told(path: Path, x: float, y: float, **more: Any) -> dict[str, Any]:
    return json.loads(image_pixel(path=str(path), id=1, x=x, y=y, **more)["json"])


@pytest.fixture
def ramp(tmp_path: Path) -> Path:
    """A file whose pixel (x, y) is x + 100 y; its uncertainty is a tenth of that, and some pixels are excluded."""
    y, x = np.indices((HEIGHT, WIDTH), dtype=np.float32)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[7, 3] = PixelFlag.SATURATED | PixelFlag.COSMIC_RAY
    data = x + 100 * y
    data[9, 5] = np.nan
    path = tmp_path / "ramp.fits"
    Image(data=data, mask=mask, uncertainty=data / 10, raw=data + 7, header={"BUNIT": "electron"}).writeto(path)
    return path


def test_the_pixel_is_the_one_whose_square_the_position_is_in(ramp: Path):
    for x, y, column, row in [
        (3, 7, 3, 7),
        (2.6, 7.49, 3, 7),
        (-0.5, -0.5, 0, 0),
        (79.49, 59.49, 79, 59),
        (2.5, 0, 3, 0),
    ]:
        found = told(ramp, x, y)
        assert (found["column"], found["row"]) == (column, row)
        assert found["values"] == [column + 100 * row]
        assert found["unit"] == "electron"


def test_every_plane_is_told(ramp: Path):
    assert told(ramp, 3, 7, plane="uncertainty")["values"] == [pytest.approx(70.3)]
    assert told(ramp, 3, 7, plane="raw")["values"] == [710]
    assert told(ramp, 3, 7, plane="raw")["unit"] == ""
    assert told(ramp, 3, 7, plane="mask")["values"] == [PixelFlag.SATURATED | PixelFlag.COSMIC_RAY]


def test_why_a_pixel_is_excluded(ramp: Path, tmp_path: Path):
    assert told(ramp, 3, 7)["flags"] == ["SATURATED", "COSMIC_RAY"]
    assert (told(ramp, 4, 7)["excluded"], told(ramp, 4, 7)["flags"]) == (False, [])
    mask = np.zeros((9, 9), bool)
    mask[2, 1] = True
    Image(data=np.zeros((9, 9), np.float32), mask=mask).writeto(tmp_path / "bool.fits")
    theirs = fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.zeros((9, 9), "f4"), name="SCI")])
    theirs.append(fits.ImageHDU(mask.astype("i4") * 4, name="DQ"))  # four is not SATURATED to them
    theirs.writeto(tmp_path / "theirs.fits")

    for name in ("bool.fits", "theirs.fits"):
        found = told(tmp_path / name, 1, 2)
        assert (found["excluded"], found["flags"]) == (True, [])
        assert told(tmp_path / name, 2, 1)["excluded"] is False


def test_of_raw_pixels_before_they_were_trimmed_only_the_value_is_told(tmp_path: Path):
    sky = WCS(naxis=2)
    sky.wcs.ctype, sky.wcs.crval, sky.wcs.cdelt = ["RA---TAN", "DEC--TAN"], [10, 20], [0.1, 0.1]
    units = [
        fits.PrimaryHDU(np.zeros((10, 10), "f4"), sky.to_header()),
        fits.ImageHDU(np.ones((12, 14), "f4"), name="RAW"),
    ]
    fits.HDUList([*units, fits.ImageHDU(np.ones((10, 10), "u1"), name="MASK")]).writeto(tmp_path / "trimmed.fits")

    beside, within = (told(tmp_path / "trimmed.fits", *place, plane="raw") for place in ((13, 11), (3, 3)))

    assert told(tmp_path / "trimmed.fits", 3, 3)["excluded"]
    for found in (beside, within):
        assert (found["values"], found["excluded"], found["ra"]) == ([1], False, None)


def test_what_is_no_number_is_null(ramp: Path):
    assert told(ramp, 5, 9)["values"] == [None]


@pytest.mark.parametrize(("x", "y"), [(-0.51, 3), (79.5, 3), (3, 59.5), (3, -1), (1e6, 1e6)])
def test_beside_the_image_there_is_nothing(ramp: Path, x: float, y: float):
    with pytest.raises(ImageError, match="the image has 80 columns and 60 rows"):
        told(ramp, x, y)


def test_a_plane_that_is_not_there_is_told(tmp_path: Path):
    Image(data=np.zeros((9, 9), np.float32)).writeto(tmp_path / "a.fits")

    for plane in ("uncertainty", "mask", "raw"):
        with pytest.raises(ImageError, match=f"the image has no {plane}"):
            told(tmp_path / "a.fits", 1, 1, plane=plane)


def test_a_large_plain_file_is_not_read_for_a_pixel(ramp: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: Any) -> None:
        raise AssertionError("the whole file is read")

    monkeypatch.setattr(opened, "read_file", refuse)

    assert told(ramp, 3, 7)["values"] == [703]
    assert told(ramp, 3, 7, plane="uncertainty")["values"] == [pytest.approx(70.3)]


@pytest.mark.parametrize("kind", ["int16", "uint16", "int32", "float64", "compressed", "colour", "movie", "npy"])
def test_values_are_those_of_the_file(tmp_path: Path, kind: str):
    counts = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)
    path, expected = tmp_path / "a.fits", [float(counts[7, 3])]
    match kind:
        case "compressed":
            fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(counts.astype("i4"))]).writeto(path)
        case "colour" | "movie":
            cube = np.stack([counts, counts + 1000, counts + 5000]).astype("f4")
            Image(data=cube, axes="CYX" if kind == "colour" else "TYX").writeto(path)
            expected = [563, 1563, 5563] if kind == "colour" else [2563]
        case "npy":
            path = tmp_path / "a.npy"
            np.save(path, counts.astype("f4"))
            expected = [563]
        case _:
            scale = {"int32": 10**6 + 1, "float64": 1 + 1e-12}.get(kind, 1)
            values = (counts * scale).astype(kind)
            fits.PrimaryHDU(values).writeto(path)
            expected = [float(values[7, 3])]

    assert told(path, 3, 7)["values"] == expected


def test_a_replaced_file_is_read_again(ramp: Path):
    assert told(ramp, 3, 7)["values"] == [703]
    Image(data=np.full((HEIGHT, WIDTH), 5, np.float32)).writeto(ramp)
    assert told(ramp, 3, 7)["values"] == [5]


# --- the sky ------------------------------------------------------------------------------------------------------

ROTATED = {"CRPIX1": 30.5, "CRPIX2": 20.0, "CRVAL1": 359.9999, "CRVAL2": 41.3,
           "CD1_1": -1.2e-4, "CD1_2": 0.9e-4, "CD2_1": 0.9e-4, "CD2_2": 1.2e-4}  # fmt: skip
TAN = ROTATED | {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "RADESYS": "ICRS"}
SIP = TAN | {"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "A_ORDER": 3, "B_ORDER": 2,
             "A_2_0": 4e-4, "A_1_1": -2e-4, "A_0_3": 3e-6, "B_0_2": -5e-4, "B_2_0": 1e-4}  # fmt: skip
SYSTEMS = {
    "rotated": TAN,
    "SIP": SIP,
    "pole": TAN | {"CRVAL2": 89.999},
    "FK5": TAN | {"RADESYS": "FK5", "EQUINOX": 2000.0},
    "galactic": ROTATED | {"CTYPE1": "GLON-TAN", "CTYPE2": "GLAT-TAN"},
    "declination first": ROTATED | {"CTYPE1": "DEC--TAN", "CTYPE2": "RA---TAN", "CRVAL1": 41.3, "CRVAL2": 120.0},
}


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize(("x", "y"), [(0, 0), (79.3, 0.25), (12.75, 58.5)])
def test_the_place_on_the_sky_is_that_of_astropy(tmp_path: Path, system: str, x: float, y: float):
    header = fits.Header(SYSTEMS[system])
    fits.PrimaryHDU(np.zeros((HEIGHT, WIDTH), "f4"), header).writeto(tmp_path / "a.fits")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = WCS(header).pixel_to_world(x, y)

    found = told(tmp_path / "a.fits", x, y)

    place = SkyCoord(found["ra"], found["dec"], unit="deg", frame=found["frame"])
    assert place.separation(expected.transform_to(place.frame)).arcsec < 1e-6
    assert 0 <= found["ra"] < 360
    assert found["frame"] == ("fk5" if system == "FK5" else "icrs")


def test_sip_moves_positions(tmp_path: Path):
    """The pixel (79, 59) is 50 and 40 px from the reference: A_2_0 alone moves it by a pixel."""
    places = []
    for name, cards in (("sip", SIP), ("tan", TAN)):
        fits.PrimaryHDU(np.zeros((HEIGHT, WIDTH), "f4"), fits.Header(cards)).writeto(tmp_path / f"{name}.fits")
        found = told(tmp_path / f"{name}.fits", 79, 59)
        places.append(SkyCoord(found["ra"], found["dec"], unit="deg"))

    assert 0.5 < places[0].separation(places[1]).arcsec / 0.54 < 2


@pytest.mark.parametrize(
    "cards",
    [
        {},
        {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN"},
        TAN | {"CD1_1": 0.0, "CD1_2": 0.0},
        TAN | {"CTYPE1": "RA---XXX", "CTYPE2": "DEC--XXX"},
        ROTATED | {"CTYPE1": "HPLN-TAN", "CTYPE2": "HPLT-TAN"},
        {"CTYPE1": "RA---AIT", "CTYPE2": "DEC--AIT", "CRPIX1": 40.5, "CRPIX2": 30.5, "CRVAL1": 0.0, "CRVAL2": 0.0,
         "CDELT1": -10.0, "CDELT2": 10.0},
    ],
    ids=["none", "no reference", "singular", "unknown projection", "the Sun", "beside the whole sky"],
)  # fmt: skip
def test_where_there_is_no_place_there_is_none(tmp_path: Path, cards: dict[str, Any]):
    fits.PrimaryHDU(np.ones((HEIGHT, WIDTH), "f4"), fits.Header(cards)).writeto(tmp_path / "a.fits")

    found = told(tmp_path / "a.fits", 1, 1)

    assert (found["ra"], found["dec"], found["frame"]) == (None, None, "")
    assert found["values"] == [1]


# --- by HTTP ------------------------------------------------------------------------------------------------------


def test_a_pixel_of_a_product(service: DemoService, page: Any, ramp: Path):
    path = service.products / "ramp.fits"
    path.write_bytes(ramp.read_bytes())
    address = f"/api/products/{service.add_product(path)}/pixel"

    found = page.get(address, params={"x": 3.2, "y": 6.9}).json()

    assert (found["x"], found["y"], found["values"], found["ra"]) == (3.2, 6.9, [703], None)
    for query in ({}, {"x": 1}, {"x": "nan", "y": 1}, {"x": 1, "y": "inf"}, {"x": 1, "y": 1, "plane": "header"}):
        assert page.get(address, params=query).status_code == 422
    assert page.get(address, params={"x": 80, "y": 1}).json()["error"].startswith("there is no pixel at column 80")
    path.unlink()
    assert page.get(address, params={"x": 1, "y": 1}).status_code == 404
