"""Small images that processors are tried on: complete ones, and ones at the edge of what can happen."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from astropy.coordinates import Angle, SkyCoord

from ...images import Activity, Image, PixelFlag, make_catalog
from ...images.coordinates import celestial_wcs
from ...images.meta import AltAzOffsets, ExpTime, OnSkyDistance, PixelOffsets, RaDecOffsets, SkyOffsets

SHAPE = (96, 128)
"""Rows and columns of the example images: not square, so that nobody can exchange them unnoticed."""

FWHM = 3.0
SKY = 800.0
GAIN = 1.5
READ_NOISE = 6.0

STARS = (
    # x, y, flux [adu]; the first one has nothing at the place where its x and y are exchanged
    (112.3, 22.6, 90_000.0),
    (20.4, 15.2, 60_000.0),
    (61.7, 18.9, 25_000.0),
    (87.2, 47.5, 40_000.0),
    (33.8, 44.1, 15_000.0),
    (58.5, 70.3, 30_000.0),
    (106.1, 75.7, 20_000.0),
    (17.6, 76.4, 50_000.0),
)
"""Where the light of the example images is."""

HEADER: dict[str, object] = {
    "OBJECT": ("Example field", "what was observed"),
    "IMAGETYP": ("object", "kind of exposure"),
    "DATE-OBS": ("2026-03-20T21:30:00.000", "start of the exposure (UTC)"),
    "MJD-OBS": (61119.89583333, "start of the exposure"),
    "EXPTIME": (60.0, "[s] exposure time"),
    "FILTER": ("R", "name of the filter"),
    "TELESCOP": ("T1", "telescope"),
    "INSTRUME": ("cam1", "camera"),
    "OBSERVER": ("N. N.", "who observed"),
    "XBINNING": (1, "binning along x"),
    "YBINNING": (1, "binning along y"),
    "GAIN": (GAIN, "[electron/adu] conversion gain"),
    "RDNOISE": (READ_NOISE, "[electron] read noise"),
    "SATURATE": (60000.0, "[adu] saturation level"),
    "CCD-TEMP": (-80.0, "[deg C] temperature of the detector"),
    "AIRMASS": (1.2, "airmass"),
    "RA": (150.1, "[deg] right ascension of the pointing"),
    "DEC": (2.2, "[deg] declination of the pointing"),
    "LATITUDE": (51.5, "[deg] of the site"),
    "LONGITUD": (9.9, "[deg] of the site, east is positive"),
    "HEIGHT": (200.0, "[m] of the site"),
    "ZEROPT": (28.0, "[mag] magnitude of one count"),
    "BUNIT": ("adu", "unit of the pixels"),
    "CTYPE1": "RA---TAN",
    "CTYPE2": "DEC--TAN",
    "CRVAL1": 150.1,
    "CRVAL2": 2.2,
    "CRPIX1": 64.5,
    "CRPIX2": 48.5,
    "CD1_1": -0.5 / 3600,
    "CD1_2": 0.0,
    "CD2_1": 0.0,
    "CD2_2": 0.5 / 3600,
    "CUNIT1": "deg",
    "CUNIT2": "deg",
    "RADESYS": "ICRS",
}


def example_images() -> Mapping[str, Image]:
    """Images with everything that an image can have: ``stars``, ``movie`` and ``colour``.

    Each call gives images that nobody else has.
    """
    return {name: image.copy() for name, image in _examples().items()}


@cache
def _examples() -> Mapping[str, Image]:
    return {"stars": _stars(), "movie": _stack("TYX", 4), "colour": _stack("CYX", 3)}


def starlight(shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """The stars without sky and noise [adu]: Moffat profiles of slope 3, sampled at the centres of the pixels."""
    alpha = FWHM / (2 * np.sqrt(2 ** (1 / 3) - 1))
    row, column = np.mgrid[: shape[0], : shape[1]]
    light = np.zeros(shape)
    for x, y, flux in STARS:
        light += flux * 2 / (np.pi * alpha**2) * (1 + ((column - x) ** 2 + (row - y) ** 2) / alpha**2) ** -3
    return light


def _stars(seed: int = 1) -> Image:
    rng = np.random.default_rng(seed)
    expected = starlight() + SKY + 0.2 * np.arange(SHAPE[1])
    noise = np.sqrt(expected / GAIN + (READ_NOISE / GAIN) ** 2)
    data = np.rint(expected + noise * rng.standard_normal(SHAPE)).astype(np.float32)
    mask = np.zeros(SHAPE, dtype=np.uint8)
    mask[:, 5] = PixelFlag.BAD
    mask[60:62, 80:84] = PixelFlag.COSMIC_RAY
    image = Image(
        data,
        header=HEADER,
        mask=mask,
        uncertainty=noise.astype(np.float32),
        raw=(data + 300).astype(np.uint16),
        name=f"example_{seed}.fits",
    )
    image.header.add_history("made for checking processors")
    image.header.add_comment("a comment that has to stay")
    image.catalog = _catalog(image)
    for meta in _metas():
        image.set_meta(meta)
    return image.with_provenance(Activity("read", "read", "etendue"))


def _catalog(image: Image):
    x, y, flux = np.array(STARS).T
    n = len(x)
    wcs = celestial_wcs(image.header)
    assert wcs is not None
    ra, dec = wcs.all_pix2world(x, y, 0)
    one, sigma = np.ones(n), FWHM / 2.3548
    peak = image.data[np.rint(y).astype(int), np.rint(x).astype(int)] - SKY
    return make_catalog(
        id=np.arange(1, n + 1),
        x=x,
        y=y,
        x_err=0.02 * one,
        y_err=0.02 * one,
        xwin=x,
        ywin=y,
        xpeak=np.rint(x),
        ypeak=np.rint(y),
        xmin=np.rint(x) - 3,
        xmax=np.rint(x) + 3,
        ymin=np.rint(y) - 3,
        ymax=np.rint(y) + 3,
        ra=ra,
        dec=dec,
        flux=flux,
        flux_err=0.01 * flux,
        snr=100 * one,
        mag=28 - 2.5 * np.log10(flux / 60),
        mag_err=0.01 * one,
        peak=peak,
        background=SKY * one,
        a=1.05 * sigma * one,
        b=0.95 * sigma * one,
        theta=30.0 * one,
        ellipticity=(1 - 0.95 / 1.05) * one,
        elongation=1.05 / 0.95 * one,
        fwhm=FWHM * one,
        npix=40 * one,
        kron_radius=3.5 * one,
        flux_auto=flux,
        flux_auto_err=0.01 * flux,
        mag_auto=28 - 2.5 * np.log10(flux / 60),
        mag_auto_err=0.01 * one,
        flux_radius_25=0.8 * one,
        flux_radius_50=1.5 * one,
        flux_radius_75=2.6 * one,
        flags=np.zeros(n),
        flux_aper_1=0.8 * flux,
        flux_err_aper_1=0.01 * flux,
        background_aper_1=SKY * one,
        unit="adu",
        radii={1: 4.0},
    )


def _metas() -> tuple[object, ...]:
    here = SkyCoord(150.1, 2.2, unit="deg")
    return (
        PixelOffsets(dx=3.2, dy=-1.7),
        RaDecOffsets(dra=0.001, ddec=-0.002),
        AltAzOffsets(dalt=0.001, daz=0.002),
        SkyOffsets(here, SkyCoord(150.11, 2.21, unit="deg")),
        OnSkyDistance(Angle(3.0, unit="arcsec")),
        ExpTime(30.0),
    )


def _stack(axes: str, count: int) -> Image:
    flat = _stars()
    planes = np.stack([flat.data + 10 * k for k in range(count)])
    return flat.replace(data=planes, axes=axes, raw=None)


def second_image() -> Image:
    """An example of other pixels, to see whether one image influences another."""
    image = _stars(seed=2)
    image.header["OBJECT"] = "Other field"
    image.header["EXPTIME"] = 30.0
    return image * 1.5


def edge_images(image: Image) -> Mapping[str, Image]:
    """Variants of an image at the edges of what can happen, by a phrase that completes "an image with …".

    Parameters
    ----------
    image : Image
        A complete image that processors work on.
    """
    edges = {
        "float64 pixels": image.replace(data=image.data.astype(np.float64)),
        "big-endian pixels": image.replace(data=image.data.astype(">f4")),
        "signed integer pixels": image.replace(data=np.nan_to_num(image.data).astype(np.int32)),
        "a mask of bool": _with(image, mask=lambda mask: mask != 0),
        "a block of NaN": image.replace(data=_painted(image.data, np.nan, 70, 70)),
        "nothing but NaN": image.replace(data=np.full_like(image.data, np.nan, dtype=np.float32)),
        "an infinite pixel": image.replace(data=_painted(image.data, np.inf, 1, 1)),
        "every pixel masked": image.replace(mask=np.ones(image.shape, dtype=bool)),
        "the same value everywhere": image.replace(data=np.full_like(image.data, 100)),
        "zeros everywhere": image.replace(data=np.zeros_like(image.data)),
        "negative values only": image.replace(data=-np.abs(image.data) - 1),
        "a rotated WCS": image.replace(header=_rotated(image)),
        "no WCS": image.replace(header=_without_wcs(image)),
        "a tall frame": _cut(image, image.shape[0], image.shape[1] // 2),
        "a wide frame": _cut(image, image.shape[0] // 2, image.shape[1]),
        "a frame of 5 x 5 pixels": _cut(image, 5, 5),
        "a single row": _cut(image, 1, image.shape[1]),
        "a single pixel": _cut(image, 1, 1),
    }
    if image.axes == "YX":
        edges["colour"] = image.replace(data=np.stack([image.data] * 3), axes="CYX", raw=None)
        edges["the axes of a movie"] = image.replace(data=np.stack([image.data] * 4), axes="TYX", raw=None)
    if image.safe_catalog is not None:
        height, width = image.shape
        edges |= {
            "an empty catalogue": image.replace(catalog=image.catalog[:0]),
            "one source": image.replace(catalog=image.catalog[:1]),
            "a source at the border": _moved(image, 0.2, height - 0.7),
            "a source in the corner": _moved(image, width - 0.51, -0.49),
            "a source off the frame": _moved(image, -40.0, 3.0 * height),
            "a source at an unknown place": _moved(image, np.nan, np.nan),
        }
    return edges


def _with(image: Image, *, mask) -> Image:
    return image if image.safe_mask is None else image.replace(mask=mask(image.mask))


def _painted(data: np.ndarray, value: float, rows: int, columns: int) -> np.ndarray:
    painted = data.astype(np.float32)
    painted[..., 10 : 10 + rows, 12 : 12 + columns] = value
    return painted


def _cut(image: Image, rows: int, columns: int) -> Image:
    planes: dict[str, Any] = {
        plane: np.ascontiguousarray(array[..., :rows, :columns])
        for plane in ("data", "mask", "uncertainty", "raw")
        if (array := getattr(image, f"safe_{plane}")) is not None
    }
    catalog = image.safe_catalog
    if catalog is not None and {"x", "y"} <= set(catalog.colnames):
        inside = (np.asarray(catalog["x"]) < columns - 0.5) & (np.asarray(catalog["y"]) < rows - 0.5)
        planes["catalog"] = catalog[inside]
    return image.replace(**planes)


def _moved(image: Image, x: float, y: float) -> Image:
    twin = image.copy()
    with twin.edit("catalog") as catalog:
        for name, value in (("x", x), ("y", y), ("xwin", x), ("ywin", y)):
            if name in catalog.colnames and len(catalog):
                catalog[name][0] = value
    return twin


def _rotated(image: Image):
    header = image.header.copy()
    if "CD1_1" in header:
        scale, angle = abs(header["CD1_1"]) or 0.5 / 3600, np.radians(90)
        header["CD1_1"], header["CD1_2"] = -scale * np.cos(angle), -scale * np.sin(angle)
        header["CD2_1"], header["CD2_2"] = -scale * np.sin(angle), scale * np.cos(angle)
    return header


def _without_wcs(image: Image):
    header = image.header.copy()
    for key in [key for key in header if key[:5] in ("CTYPE", "CRVAL", "CRPIX", "CUNIT", "CDELT") or key[:2] == "CD"]:
        if key != "CCD-TEMP":
            del header[key]
    return header
