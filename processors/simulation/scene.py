"""A piece of sky: which stars and galaxies it holds, before any telescope looks at it."""

import numpy as np
from astropy import units as u
from astropy.table import Table

STARS_PER_PIXEL = 1200 / 1024**2
"""Density of stars where none is given."""

GALAXIES_PER_PIXEL = 320 / 1024**2
"""Density of galaxies where none is given."""

STAR_SLOPE = 0.3
"""Logarithmic slope of the star counts: dN/dm ~ 10^(0.3 m)."""

GALAXY_SLOPE = 0.38
"""The same for galaxies."""


def magnitudes(count: int, bright: float, faint: float, slope: float, rng: np.random.Generator) -> np.ndarray:
    """Magnitudes between two limits whose number grows as ``dN/dm ~ 10^(slope m)``.

    Parameters
    ----------
    count : int
        How many.
    bright, faint : float
        Limits [mag].
    slope : float
        Logarithmic slope of the counts; not 0.
    rng : numpy.random.Generator
        Source of the random numbers.

    Returns
    -------
    (count,) array
        [mag]
    """
    low, high = 10 ** (slope * bright), 10 ** (slope * faint)
    return np.log10(rng.uniform(low, high, count)) / slope


def scatter(
    count_stars: int,
    count_galaxies: int,
    *,
    low: tuple[float, float],
    high: tuple[float, float],
    star_magnitudes: tuple[float, float],
    galaxy_magnitudes: tuple[float, float],
    rng: np.random.Generator,
) -> Table:
    """Stars and galaxies at random places of a rectangle.

    Galaxies are disks (Sérsic index near 1, seen from any side) and, one in three, spheroids (index 2 to 4.5,
    rounder). Fainter ones are smaller, with a scatter of a third.

    Parameters
    ----------
    count_stars, count_galaxies : int
        How many.
    low, high : (float, float)
        Corners (x, y) of the rectangle [px].
    star_magnitudes, galaxy_magnitudes : (float, float)
        Bright and faint limit [mag].
    rng : numpy.random.Generator
        Source of the random numbers.

    Returns
    -------
    Table
        Columns ``type`` ("star" or "galaxy"), ``x, y`` [px], ``mag``, ``r_e`` [arcsec], ``sersic_index``,
        ``axis_ratio``, ``theta`` [deg]; the last four are 0, 0, 1, 0 for stars.
    """
    count = count_stars + count_galaxies
    is_star = np.arange(count) < count_stars
    mag = np.concatenate(
        [
            magnitudes(count_stars, *star_magnitudes, STAR_SLOPE, rng),
            magnitudes(count_galaxies, *galaxy_magnitudes, GALAXY_SLOPE, rng),
        ]
    )
    spheroid = rng.random(count) < 1 / 3
    index = np.where(spheroid, rng.uniform(2, 4.5, count), rng.uniform(0.8, 1.3, count))
    # A random direction gives a thin disk any cos(inclination) with equal chance; 0.15 is its thickness.
    axis_ratio = np.where(spheroid, rng.uniform(0.55, 1, count), np.hypot(0.15, 0.99 * rng.random(count)))
    radius = 2.6 * 10 ** (-0.13 * (mag - 18.5)) * rng.lognormal(0, 0.3, count)
    return Table(
        {
            "type": np.where(is_star, "star", "galaxy"),
            "x": rng.uniform(low[0], high[0], count),
            "y": rng.uniform(low[1], high[1], count),
            "mag": mag,
            "r_e": np.where(is_star, 0.0, radius),
            "sersic_index": np.where(is_star, 0.0, index),
            "axis_ratio": np.where(is_star, 1.0, axis_ratio),
            "theta": np.where(is_star, 0.0, rng.uniform(-90, 90, count)),
        },
        units={"x": u.pix, "y": u.pix, "mag": u.mag, "r_e": u.arcsec, "theta": u.deg},
    )
