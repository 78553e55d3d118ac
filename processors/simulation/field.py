"""Simulated fields of stars and galaxies whose truth is known, one frame or a series of them."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from ...images import Header, Image
from ...images.coordinates import celestial_wcs
from .camera import Camera
from .exposure import Exposure, expose, pointing
from .scene import GALAXIES_PER_PIXEL, STARS_PER_PIXEL, scatter

CENTER = (150.1, 2.2)
"""Where simulated fields lie unless told otherwise: right ascension and declination [deg]."""


def simulate_field(
    shape: tuple[int, int] = (1024, 1024),
    *,
    seed: int | np.random.Generator = 1,
    stars: int | None = None,
    galaxies: int | None = None,
    star_magnitudes: tuple[float, float] = (11.0, 23.0),
    galaxy_magnitudes: tuple[float, float] = (14.5, 23.5),
    center: tuple[float, float] = CENTER,
    pixel_scale: float = 0.5,
    rotation: float = 0.0,
    exposure: Exposure | None = None,
    camera: Camera | None = None,
    digitize: bool = True,
) -> Image:
    """One simulated exposure of a field; the same arguments give the same pixels.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns.
    seed : int or numpy.random.Generator
        Start of the random numbers.
    stars, galaxies : int
        How many are scattered over the frame and a border of some pixels around it; by default 1200 and 320 per
        1024 × 1024 pixels.
    star_magnitudes, galaxy_magnitudes : (float, float)
        Bright and faint limit [mag].
    center : (float, float)
        Right ascension and declination of the centre of the frame [deg].
    pixel_scale : float
        Side of a pixel [arcsec].
    rotation : float
        Angle from the y axis to north [deg].
    exposure : Exposure
        Seeing, sky, exposure time …
    camera : Camera
        The detector.
    digitize : bool
        False gives the expected electrons instead: float32, without noise.

    Returns
    -------
    Image
        A raw frame, uint16 [adu]. Its catalogue is the truth, brightest first: positions, ``flux`` [electron] and
        ``flux_adu`` out to infinity, ``mag``, ``snr`` of ideal photometry, ``type``, shape, and whether a source
        is ``saturated``.
    """
    exposure, camera = exposure or Exposure(), camera or Camera()
    rng = np.random.default_rng(seed)
    wcs = pointing(shape, ra=center[0], dec=center[1], pixel_scale=pixel_scale, rotation=rotation)
    sky = make_sky(
        shape,
        wcs=wcs,
        border=8,
        stars=stars,
        galaxies=galaxies,
        star_magnitudes=star_magnitudes,
        galaxy_magnitudes=galaxy_magnitudes,
        rng=rng,
    )
    return expose(
        sky,
        shape,
        wcs=wcs,
        pixel_scale=pixel_scale,
        exposure=exposure,
        camera=camera,
        rng=rng,
        digitize=digitize,
    )


def make_sky(
    shape: tuple[int, int],
    *,
    wcs: Header,
    border: float,
    stars: int | None = None,
    galaxies: int | None = None,
    star_magnitudes: tuple[float, float] = (11.0, 23.0),
    galaxy_magnitudes: tuple[float, float] = (14.5, 23.5),
    rng: np.random.Generator,
) -> Table:
    """Sources with sky positions, over a frame and a border of some pixels around it.

    Parameters are those of :func:`simulate_field`, with `wcs` from :func:`.exposure.pointing`.
    """
    height, width = shape
    area = (height + 2 * border) * (width + 2 * border)
    sky = scatter(
        round(area * STARS_PER_PIXEL) if stars is None else stars,
        round(area * GALAXIES_PER_PIXEL) if galaxies is None else galaxies,
        low=(-0.5 - border, -0.5 - border),
        high=(width - 0.5 + border, height - 0.5 + border),
        star_magnitudes=star_magnitudes,
        galaxy_magnitudes=galaxy_magnitudes,
        rng=rng,
    )
    projection = celestial_wcs(wcs)
    if projection is None:
        raise ValueError("the header describes no celestial coordinates; make it with pointing()")
    sky["ra"], sky["dec"] = projection.all_pix2world(np.asarray(sky["x"]), np.asarray(sky["y"]), 0)
    sky.remove_columns(["x", "y"])
    return sky


def simulate_series(
    count: int,
    shape: tuple[int, int] = (1024, 1024),
    *,
    seed: int = 1,
    stars: int | None = None,
    galaxies: int | None = None,
    dither: float = 12.0,
    seeing: float = 0.12,
    variable: bool = True,
    filters: Sequence[str] = ("R",),
    pixel_scale: float = 0.5,
    rotation: float = 1.5,
    center: tuple[float, float] = CENTER,
    exposure: Exposure | None = None,
    camera: Camera | None = None,
) -> Iterator[Image]:
    """Exposures of one field, one after the other: dithered, in changing seeing, at rising airmass.

    Parameters
    ----------
    count : int
        How many frames.
    shape : (int, int)
        Rows and columns.
    seed : int
        Start of the random numbers; a frame does not depend on how many others there are.
    stars, galaxies, pixel_scale, rotation, center, camera
        As for :func:`simulate_field`.
    dither : float
        Standard deviation of the pointings along each axis [px].
    seeing : float
        Standard deviation of the logarithm of the width of the stars.
    variable : bool
        Whether one star of middling brightness changes by 0.4 mag from peak to peak, once in eight frames; the truth's
        column ``variable`` names it.
    filters : sequence of str
        Filters of the frames, in turn.
    exposure : Exposure
        The first exposure; later ones follow it.

    Yields
    ------
    Image
        Raw frames with their truth.
    """
    exposure, camera = exposure or Exposure(airmass=1.05), camera or Camera()
    aim = partial(pointing, shape, ra=center[0], dec=center[1], pixel_scale=pixel_scale, rotation=rotation)
    sky = make_sky(
        shape,
        wcs=aim(),
        border=4 * dither + 8,
        stars=stars,
        galaxies=galaxies,
        rng=np.random.default_rng([seed, 0]),
    )
    pulsating = _pulsating_star(sky, shape, aim()) if variable else np.zeros(len(sky), dtype=bool)
    constant = np.asarray(sky["mag"])
    for number in range(count):
        rng = np.random.default_rng([seed, 1 + number])
        shift = rng.normal(0, dither, 2) if number else np.zeros(2)
        at = ((shape[1] - 1) / 2 + shift[0], (shape[0] - 1) / 2 + shift[1])
        moment = exposure.time + number * timedelta(seconds=exposure.exposure_time + 8)
        changed = exposure.model_copy(
            update={
                "time": moment,
                "fwhm": exposure.fwhm * float(np.exp(rng.normal(0, seeing))),
                "ellipticity": min(0.8, exposure.ellipticity + abs(rng.normal(0, 0.02))),
                "theta": rng.uniform(-90, 90),
                "sky": exposure.sky + rng.normal(0, 0.03),
                "airmass": round(exposure.airmass * (1 + 0.004 * number), 4),
                "filter": filters[number % len(filters)],
            }
        )
        sky["mag"] = constant + np.where(pulsating, 0.2 * np.sin(2 * np.pi * number / 8), 0.0)
        image = expose(
            sky,
            shape,
            wcs=aim(at=at),
            pixel_scale=pixel_scale,
            exposure=changed,
            camera=camera,
            rng=rng,
        )
        if variable:
            with image.edit("catalog") as truth:
                named = np.asarray(sky["ra"])[pulsating]
                truth["variable"] = np.isin(np.asarray(truth["ra"]), named)
        yield image


def _pulsating_star(sky: Table, shape: tuple[int, int], wcs: Header) -> np.ndarray:
    """The star nearest to the middle of the frame among those that are neither faint nor saturated."""
    projection = celestial_wcs(wcs)
    if projection is None:
        raise ValueError("the header describes no celestial coordinates; make it with pointing()")
    x, y = projection.all_world2pix(np.asarray(sky["ra"]), np.asarray(sky["dec"]), 0)
    distance = np.hypot(x - shape[1] / 2, y - shape[0] / 2)
    suitable = (np.asarray(sky["type"]) == "star") & (np.abs(np.asarray(sky["mag"]) - 17.5) < 1)
    chosen = np.zeros(len(sky), dtype=bool)
    if suitable.any():
        chosen[np.flatnonzero(suitable)[np.argmin(distance[suitable])]] = True
    return chosen


def write_fields(
    folder: str | Path,
    count: int = 8,
    *,
    shape: tuple[int, int] = (1024, 1024),
    seed: int = 1,
    **options: Any,
) -> list[Path]:
    """Write a series of raw frames and, in the folder ``truth`` beside them, what they show.

    Parameters
    ----------
    folder : path
        Where they go; it is made. Frames are called ``field_0001.fits`` …, truths ``truth/field_0001_truth.ecsv``.
    count : int
        How many frames.
    shape : (int, int)
        Rows and columns.
    seed : int
        Start of the random numbers.
    **options
        As for :func:`simulate_series`.

    Returns
    -------
    list of Path
        The frames.
    """
    folder = Path(folder)
    written = []
    for number, image in enumerate(simulate_series(count, shape, seed=seed, **options), start=1):
        path = folder / f"field_{number:04d}.fits"
        truth = folder / "truth" / f"field_{number:04d}_truth.ecsv"
        image.write_catalog(truth)
        image.replace(catalog=None).writeto(path)
        written.append(path)
    return written
