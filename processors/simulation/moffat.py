"""The Moffat profile of a star in seeing: closed forms, and a kernel that draws it into pixels.

The profile of unit flux is ``(beta - 1) / (pi alpha²) · (1 + r²/alpha²)^-beta``. An elongated star has ``r`` measured
in ellipses of the same area: the full width at half maximum is the geometric mean of both axes'.

References
----------
Moffat, A. F. J. 1969, A&A 3, 455.
King, I. R. 1983, PASP 95, 163 (noise-equivalent area).
"""

import math

import numpy as np
from numba import njit

GAUSS_5 = (
    np.array([-0.9061798459386640, -0.5384693101056831, 0.0, 0.5384693101056831, 0.9061798459386640]) / 2,
    np.array([0.2369268850561891, 0.4786286704993665, 0.5688888888888889, 0.4786286704993665, 0.2369268850561891]) / 2,
)
"""Abscissae and weights of the Gauss-Legendre quadrature of order 5 on [-0.5, 0.5]."""

GAUSS_3 = (np.array([-1.0, 0.0, 1.0]) * math.sqrt(0.15), np.array([5.0, 8.0, 5.0]) / 18)
"""The same of order 3."""

GAUSS_2 = (np.array([-1.0, 1.0]) / math.sqrt(12), np.array([0.5, 0.5]))
"""The same of order 2."""


def core_radius(fwhm: float, beta: float) -> float:
    """The scale length alpha [px] of a profile of this full width at half maximum [px]."""
    return fwhm / (2 * math.sqrt(2 ** (1 / beta) - 1))


def moffat(radius: np.ndarray, fwhm: float, beta: float) -> np.ndarray:
    """Surface brightness of a star of unit flux [1/px²] at a distance from its centre [px]."""
    alpha = core_radius(fwhm, beta)
    return (beta - 1) / (np.pi * alpha**2) * (1 + (radius / alpha) ** 2) ** -beta


def enclosed_fraction(radius: np.ndarray | float, fwhm: float, beta: float) -> np.ndarray | float:
    """Part of the flux within a distance [px] from the centre of a round star."""
    alpha = core_radius(fwhm, beta)
    return 1 - (1 + (np.asarray(radius) / alpha) ** 2) ** (1 - beta)


def noise_equivalent_area(fwhm: float, beta: float) -> float:
    """Number of pixels whose background noise the best possible photometry of a star collects [px]."""
    return math.pi * core_radius(fwhm, beta) ** 2 * (2 * beta - 1) / (beta - 1) ** 2


@njit(nogil=True, cache=True, error_model="numpy")
def render_stars(x, y, flux, fwhm, beta, ellipticity, theta, faintest, out):
    """Add stars to an image; each is drawn out to where a pixel gets less than `faintest`.

    Every pixel receives the integral of the profile over its area: Gauss-Legendre quadrature of order 5 within 1.5
    full widths and 1.5 px of the centre, of order 2 beyond (error below 1e-4 of the flux for widths from 1 px).

    Parameters
    ----------
    x, y : (N,) float64 array
        Centres, 0-based [px]; stars outside the frame shed their wings into it.
    flux : (N,) float64 array
        Total flux of each star, out to infinity.
    fwhm, beta : float
        Width [px] and slope of the profile.
    ellipticity, theta : float
        1 - b/a, and the angle of the major axis from the x axis to the y axis [rad].
    faintest : float
        Surface brightness at which a star is cut off, in units of `flux` per px.
    out : (H, W) float array
        Image that the stars are added to; about 25 profiles are computed for a pixel of the core, 4 for others.
    """
    height, width = out.shape
    ratio = 1.0 - ellipticity
    alpha = fwhm / (2.0 * math.sqrt(2.0 ** (1.0 / beta) - 1.0))
    cos, sin = math.cos(theta), math.sin(theta)
    near = (1.5 * fwhm + 1.5) ** 2
    for star in range(x.size):
        peak = flux[star] * (beta - 1.0) / (math.pi * alpha * alpha)
        if not peak > faintest:
            continue
        reach = alpha * math.sqrt((peak / faintest) ** (1.0 / beta) - 1.0)
        reach = max(reach, fwhm) / math.sqrt(ratio)
        first_row = max(0, math.ceil(y[star] - reach))
        last_row = min(height - 1, math.floor(y[star] + reach))
        first_column = max(0, math.ceil(x[star] - reach))
        last_column = min(width - 1, math.floor(x[star] + reach))
        for row in range(first_row, last_row + 1):
            for column in range(first_column, last_column + 1):
                dx, dy = column - x[star], row - y[star]
                distance = dx * dx + dy * dy
                if distance > reach * reach:
                    continue
                nodes, weights = GAUSS_5 if distance < near else GAUSS_2
                value = 0.0
                for i in range(nodes.size):
                    for j in range(nodes.size):
                        u, v = dx + nodes[i], dy + nodes[j]
                        along, across = u * cos + v * sin, v * cos - u * sin
                        square = (along * along * ratio + across * across / ratio) / (alpha * alpha)
                        value += weights[i] * weights[j] * (1.0 + square) ** -beta
                out[row, column] += peak * value
