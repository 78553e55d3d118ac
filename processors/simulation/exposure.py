"""One exposure of a piece of sky: what the telescope, the air and the camera make of it."""

import math
from datetime import UTC, datetime, timedelta

import numpy as np
from astropy.table import Table
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat
from scipy import fft

from ...images import Header, Image, make_catalog
from ...images.coordinates import celestial_wcs, to_fits
from . import moffat, sersic
from .camera import Camera, cosmic_ray_hits, read_out, vignette
from .moffat import render_stars
from .sersic import render_galaxies

FAINTEST = 0.01
"""Sources are drawn out to where a pixel gets less than this, far below the noise of any frame [electron]."""

MARGIN = 96
"""Border that is drawn beyond the frame so that galaxies outside shed their light into it [px]."""


class Exposure(BaseModel):
    """Circumstances of one exposure."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    exposure_time: PositiveFloat = Field(120.0, description="exposure time [s]")
    filter: str = Field("R", description="name of the filter")
    zero_point: float = Field(25.0, description="magnitude of a source that gives one electron per second [mag]")
    fwhm: PositiveFloat = Field(3.2, description="full width at half maximum of a star [px]")
    beta: float = Field(3.0, gt=1, description="slope of the wings of the Moffat profile")
    ellipticity: float = Field(0.0, ge=0, lt=0.9, description="elongation of the stars, 1 - b/a")
    theta: float = Field(0.0, description="angle of the elongation, from the x axis to the y axis [deg]")
    sky: float = Field(20.3, description="brightness of the sky [mag/arcsec²]")
    gradient: float = Field(0.04, description="difference of the sky between opposite borders, relative to its mean")
    gradient_angle: float = Field(35.0, description="direction in which the sky gets brighter [deg]")
    transparency: float = Field(1.0, gt=0, le=1, description="part of the light that clouds let through")
    airmass: float = Field(1.2, ge=1, description="airmass; for the header only")
    cosmic_rays: NonNegativeFloat = Field(0.0, description="expected number of particle hits")
    time: datetime = Field(datetime(2026, 3, 20, 21, 30, tzinfo=UTC), description="start of the exposure (UTC)")
    object_name: str = Field("Field 1", description="card OBJECT")


def pointing(
    shape: tuple[int, int],
    *,
    ra: float,
    dec: float,
    pixel_scale: float,
    rotation: float = 0.0,
    at: tuple[float, float] | None = None,
) -> Header:
    """Header cards of a gnomonic (TAN) projection with east to the left of north.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns of the frame.
    ra, dec : float
        Sky position of the reference pixel [deg].
    pixel_scale : float
        Side of a pixel [arcsec].
    rotation : float
        Angle from the y axis to north, counter-clockwise on a picture with the first row at the bottom [deg].
    at : (float, float)
        Reference pixel (x, y), 0-based; by default the centre of the frame.
    """
    x, y = at or ((shape[1] - 1) / 2, (shape[0] - 1) / 2)
    scale, angle = pixel_scale / 3600, math.radians(rotation)
    header = Header()
    header["CTYPE1"] = ("RA---TAN", "right ascension, gnomonic projection")
    header["CTYPE2"] = ("DEC--TAN", "declination, gnomonic projection")
    header["CRVAL1"] = (ra, "[deg] right ascension of the reference pixel")
    header["CRVAL2"] = (dec, "[deg] declination of the reference pixel")
    header["CRPIX1"] = (to_fits(x), "reference pixel, 1 is the first")
    header["CRPIX2"] = (to_fits(y), "reference pixel, 1 is the first")
    header["CD1_1"] = (-scale * math.cos(angle), "[deg/pixel]")
    header["CD1_2"] = (-scale * math.sin(angle), "[deg/pixel]")
    header["CD2_1"] = (-scale * math.sin(angle), "[deg/pixel]")
    header["CD2_2"] = (scale * math.cos(angle), "[deg/pixel]")
    header["CUNIT1"], header["CUNIT2"] = "deg", "deg"
    header["RADESYS"] = "ICRS"
    return header


def expose(
    scene: Table,
    shape: tuple[int, int],
    *,
    wcs: Header,
    pixel_scale: float,
    exposure: Exposure,
    camera: Camera,
    rng: np.random.Generator,
    digitize: bool = True,
) -> Image:
    """Take one exposure.

    Parameters
    ----------
    scene : Table
        Sources, as :func:`.scene.scatter` makes them, with ``ra, dec`` [deg].
    shape : (int, int)
        Rows and columns of the frame.
    wcs : Header
        Cards of :func:`pointing`.
    pixel_scale : float
        Side of a pixel [arcsec].
    exposure : Exposure
        Seeing, sky, exposure time …
    camera : Camera
        The detector.
    rng : numpy.random.Generator
        Source of all noise.
    digitize : bool
        Whether to read the camera out; if not, the image holds the expected electrons, float32 and without noise.

    Returns
    -------
    Image
        A raw frame [adu] with a camera's header. Its catalogue is the truth, for sources centred on the frame.
    """
    x, y = _positions(scene, wcs)
    electrons = 10 ** (0.4 * (exposure.zero_point - np.asarray(scene["mag"], dtype=float)))
    flux = electrons * exposure.exposure_time * exposure.transparency
    light = _sources(scene, x, y, flux, shape, exposure, pixel_scale, _rotation(wcs))
    sky = _sky(shape, exposure, pixel_scale)
    light += sky
    if camera.vignetting:
        light *= vignette(shape, camera.vignetting)
    if exposure.cosmic_rays:
        light += cosmic_ray_hits(shape, exposure.cosmic_rays, rng)
    header = _header(wcs, exposure, camera, pixel_scale, digitize)
    truth = _truth(scene, x, y, flux, light, float(sky.mean()), exposure, camera, pixel_scale, _rotation(wcs))
    data = read_out(light, camera, rng) if digitize else light
    return Image(data=data, header=header, catalog=truth)


def _positions(scene: Table, wcs: Header) -> tuple[np.ndarray, np.ndarray]:
    projection = celestial_wcs(wcs)
    if projection is None:
        raise ValueError("the header describes no celestial coordinates; make it with pointing()")
    x, y = projection.all_world2pix(np.asarray(scene["ra"]), np.asarray(scene["dec"]), 0)
    return np.asarray(x, dtype=float), np.asarray(y, dtype=float)


def _rotation(wcs: Header) -> float:
    return math.degrees(math.atan2(-wcs["CD2_1"], wcs["CD2_2"]))


def _sources(
    scene: Table,
    x: np.ndarray,
    y: np.ndarray,
    flux: np.ndarray,
    shape: tuple[int, int],
    exposure: Exposure,
    pixel_scale: float,
    rotation: float,
) -> np.ndarray:
    """Expected electrons of all sources in every pixel."""
    star = np.asarray(scene["type"]) == "star"
    light = np.zeros(shape, dtype=np.float32)
    profile = exposure.fwhm, exposure.beta, exposure.ellipticity, math.radians(exposure.theta)
    if not star.all():
        galaxy = ~star
        wide = np.zeros((shape[0] + 2 * MARGIN, shape[1] + 2 * MARGIN), dtype=np.float32)
        radius = np.asarray(scene["r_e"], dtype=float)[galaxy] / pixel_scale
        index = np.asarray(scene["sersic_index"], dtype=float)[galaxy]
        ratio = np.asarray(scene["axis_ratio"], dtype=float)[galaxy]
        render_galaxies(
            x[galaxy] + MARGIN,
            y[galaxy] + MARGIN,
            sersic.central_brightness(flux[galaxy], radius, index, ratio),
            sersic.half_light_constant(index),
            radius,
            index,
            ratio,
            np.radians(np.asarray(scene["theta"], dtype=float)[galaxy] + rotation),
            FAINTEST,
            wide,
        )
        light += _blurred(wide, *profile)[MARGIN:-MARGIN, MARGIN:-MARGIN]
        np.maximum(light, 0, out=light)  # the Fourier transform leaves rounding errors of either sign
    render_stars(x[star], y[star], flux[star], *profile, FAINTEST, light)
    return light


def _blurred(image: np.ndarray, fwhm: float, beta: float, ellipticity: float, theta: float) -> np.ndarray:
    """The image as it is seen through the air; light is kept, and what wraps around stays in the margin.

    `image` holds integrals over pixels already, so the profile is taken at the centres of pixels. That is exact up to
    what the profile passes on beyond the Nyquist frequency: below 1 % of the light there for widths from 2.2 px.
    """
    fast = tuple(fft.next_fast_len(n, real=True) for n in image.shape)
    size = MARGIN
    offset = np.arange(-size, size + 1, dtype=np.float32)
    u, v = offset[None, :], offset[:, None]
    along, across = u * np.cos(theta) + v * np.sin(theta), v * np.cos(theta) - u * np.sin(theta)
    distance = np.sqrt(along**2 * (1 - ellipticity) + across**2 / (1 - ellipticity))
    kernel = moffat.moffat(distance, fwhm, beta).astype(np.float32)
    kernel /= kernel.sum()
    spread = np.zeros(fast, dtype=np.float32)
    spread[: kernel.shape[0], : kernel.shape[1]] = kernel
    spread = np.roll(spread, (-size, -size), axis=(0, 1))
    product = fft.rfft2(image, fast) * fft.rfft2(spread)
    return fft.irfft2(product, fast)[: image.shape[0], : image.shape[1]]


def _sky(shape: tuple[int, int], exposure: Exposure, pixel_scale: float) -> np.ndarray:
    """Expected electrons of the sky in every pixel: a plane, a little curved as moonlight is."""
    level = 10 ** (0.4 * (exposure.zero_point - exposure.sky)) * pixel_scale**2 * exposure.exposure_time
    y, x = (np.linspace(-0.5, 0.5, n, dtype=np.float32) for n in shape)
    angle = math.radians(exposure.gradient_angle)
    along = math.cos(angle) * x + math.sin(angle) * y[:, None]
    return np.float32(level) * (1 + np.float32(exposure.gradient) * (along + 0.5 * along**2))


def _header(wcs: Header, exposure: Exposure, camera: Camera, pixel_scale: float, digitize: bool) -> Header:
    middle = exposure.time + timedelta(seconds=exposure.exposure_time / 2)
    header = Header()
    cards = {
        "OBJECT": (exposure.object_name, "what was observed"),
        "IMAGETYP": ("object", "kind of exposure"),
        "DATE-OBS": (_iso(exposure.time), "start of the exposure (UTC)"),
        "DATE-MID": (_iso(middle), "middle of the exposure (UTC)"),
        "EXPTIME": (exposure.exposure_time, "[s] exposure time"),
        "FILTER": (exposure.filter, "name of the filter"),
        "TELESCOP": ("Etendue simulated telescope", "telescope"),
        "INSTRUME": (camera.name, "camera"),
        "XBINNING": (1, "binning along x"),
        "YBINNING": (1, "binning along y"),
        "GAIN": (camera.gain if digitize else 1.0, "[electron/adu] conversion gain"),
        "RDNOISE": (camera.read_noise if digitize else 0.0, "[electron] read noise"),
        "PEDESTAL": (camera.bias if digitize else 0.0, "[adu] level of a pixel without light"),
        "SATURATE": (camera.saturation if digitize else camera.full_well, "saturation level, in units of the pixels"),
        "CCD-TEMP": (-80.0, "[deg C] temperature of the detector"),
        "AIRMASS": (exposure.airmass, "airmass at the start of the exposure"),
        "RA": (wcs["CRVAL1"], "[deg] right ascension of the pointing"),
        "DEC": (wcs["CRVAL2"], "[deg] declination of the pointing"),
        "PIXSCALE": (pixel_scale, "[arcsec/pixel] side of a pixel"),
        "SEEING": (exposure.fwhm * pixel_scale, "[arcsec] full width at half maximum of a star"),
        "BUNIT": ("adu" if digitize else "electron", "unit of the pixels"),
        "SIMULATE": (True, "made by Etendue's simulator, not by a telescope"),
    }
    for key, card in cards.items():
        header[key] = card
    header.update(wcs)
    return header


def _iso(time: datetime) -> str:
    utc = time.astimezone(UTC) if time.tzinfo else time
    return utc.replace(tzinfo=None).isoformat(timespec="milliseconds")


def _truth(
    scene: Table,
    x: np.ndarray,
    y: np.ndarray,
    flux: np.ndarray,
    light: np.ndarray,
    sky: float,
    exposure: Exposure,
    camera: Camera,
    pixel_scale: float,
    rotation: float,
) -> Table:
    """The sources on the frame, brightest first."""
    height, width = light.shape
    inside = np.flatnonzero((x >= -0.5) & (x < width - 0.5) & (y >= -0.5) & (y < height - 0.5))
    order = inside[np.argsort(-flux[inside], kind="stable")]
    kind = np.asarray(scene["type"])[order]
    galaxy = kind == "galaxy"
    radius = np.asarray(scene["r_e"], dtype=float)[order] / pixel_scale
    index, ratio = np.asarray(scene["sersic_index"])[order], np.asarray(scene["axis_ratio"])[order]
    angle = np.asarray(scene["theta"])[order] + rotation
    area = np.full(order.size, moffat.noise_equivalent_area(exposure.fwhm, exposure.beta))
    area[galaxy] += sersic.noise_equivalent_area(radius[galaxy], index[galaxy], ratio[galaxy])
    peak = light[np.rint(y[order]).astype(int), np.rint(x[order]).astype(int)] if order.size else np.zeros(0)
    limit = (camera.saturation - camera.bias) * camera.gain
    return make_catalog(
        id=np.arange(1, order.size + 1),
        x=x[order],
        y=y[order],
        ra=np.asarray(scene["ra"])[order],
        dec=np.asarray(scene["dec"])[order],
        flux=flux[order],
        snr=flux[order] / np.sqrt(flux[order] + area * (sky + camera.read_noise**2)),
        mag=np.asarray(scene["mag"])[order],
        fwhm=np.where(galaxy, np.nan, exposure.fwhm),
        theta=np.where(galaxy, (angle + 90) % 180 - 90, exposure.theta),
        ellipticity=np.where(galaxy, 1 - ratio, exposure.ellipticity),
        flux_adu=flux[order] / camera.gain,
        type=kind,
        r_e=radius,
        sersic_index=index,
        saturated=peak >= limit,
        unit="electron",
        units={"flux_adu": "adu", "r_e": "pix"},
    )
