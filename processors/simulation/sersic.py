"""The Sérsic profile of a galaxy: closed forms, and a kernel that draws it into pixels.

The profile is ``exp(-b (r/r_e)^(1/n))`` with ``b`` such that half of the light is inside ``r_e``; n = 1 is a disk,
n = 4 an elliptical galaxy. ``r`` is measured in ellipses with semi-major axis ``r``.

References
----------
Sérsic, J. L. 1963, Boletín de la Asociación Argentina de Astronomía 6, 41.
Graham, A. W. & Driver, S. P. 2005, PASA 22, 118.
"""

import math

import numpy as np
from numba import njit
from scipy import special

from .moffat import GAUSS_2, GAUSS_3, GAUSS_5

LEVELS = 8
"""How often the cells at the centre of a galaxy are halved; the rest holds less than 1e-4 of the light for n = 4."""


def half_light_constant(index: np.ndarray | float) -> np.ndarray | float:
    """The constant b of a Sérsic index."""
    return special.gammaincinv(2 * np.asarray(index, dtype=float), 0.5)


def enclosed_fraction(radius: np.ndarray | float, effective_radius: float, index: float) -> np.ndarray | float:
    """Part of the flux inside the ellipse with this semi-major axis."""
    b = half_light_constant(index)
    return special.gammainc(2 * index, b * (np.asarray(radius) / effective_radius) ** (1 / index))


def central_brightness(
    flux: np.ndarray, effective_radius: np.ndarray, index: np.ndarray, axis_ratio: np.ndarray
) -> np.ndarray:
    """Surface brightness at the very centre, in units of `flux` per px."""
    b = half_light_constant(index)
    area = 2 * np.pi * index * effective_radius**2 * axis_ratio * b ** (-2 * index) * special.gamma(2 * index)
    return flux / area


def noise_equivalent_area(effective_radius: np.ndarray, index: np.ndarray, axis_ratio: np.ndarray) -> np.ndarray:
    """Square of the light's integral over the integral of its square [px]."""
    b = half_light_constant(index)
    return 2 * np.pi * index * axis_ratio * effective_radius**2 * (2 / b) ** (2 * index) * special.gamma(2 * index)


@njit(nogil=True, cache=True, error_model="numpy")
def render_galaxies(x, y, center, b, effective_radius, index, axis_ratio, theta, faintest, out):
    """Add galaxies, as they are above the atmosphere, to an image; each is drawn out to where it is `faintest`.

    Every pixel receives the integral of the profile over its area. Within two pixels of the centre, where the
    profile has a cusp, cells are halved towards it; elsewhere Gauss-Legendre quadrature is used.

    Parameters
    ----------
    x, y : (N,) float64 array
        Centres, 0-based [px].
    center, b : (N,) float64 array
        :func:`central_brightness` and :func:`half_light_constant` of each galaxy.
    effective_radius, index, axis_ratio, theta : (N,) float64 array
        Semi-major axis that holds half of the light [px], Sérsic index, b/a, and the angle of the major axis from
        the x axis to the y axis [rad].
    faintest : float
        Surface brightness at which a galaxy is cut off, in units of flux per px.
    out : (H, W) float array
        Image that the galaxies are added to; 25 profiles are computed for a pixel near the centre, 4 for others.
    """
    height, width = out.shape
    for galaxy in range(x.size):
        if not center[galaxy] > faintest:
            continue
        n, scale = index[galaxy], effective_radius[galaxy]
        reach = scale * (math.log(center[galaxy] / faintest) / b[galaxy]) ** n
        shape = (b[galaxy], scale, n, axis_ratio[galaxy], math.cos(theta[galaxy]), math.sin(theta[galaxy]))
        x0, y0 = x[galaxy], y[galaxy]
        near = max(4.0, min(scale, 10.0))
        for row in range(max(0, math.ceil(y0 - reach)), min(height - 1, math.floor(y0 + reach)) + 1):
            for column in range(max(0, math.ceil(x0 - reach)), min(width - 1, math.floor(x0 + reach)) + 1):
                dx, dy = column - x0, row - y0
                if max(abs(dx), abs(dy)) < 2.5:
                    value = _cusp(dx, dy, shape)
                elif dx * dx + dy * dy < near * near:
                    value = _cell(dx - 0.5, dy - 0.5, 1.0, 1.0, shape, GAUSS_5)
                else:
                    value = _cell(dx - 0.5, dy - 0.5, 1.0, 1.0, shape, GAUSS_2)
                out[row, column] += center[galaxy] * value


@njit(nogil=True, cache=True, error_model="numpy")
def _cell(left, bottom, width, height, shape, quadrature):
    """Integral of the profile over a rectangle."""
    b, scale, n, ratio, cos, sin = shape
    nodes, weights = quadrature
    total = 0.0
    for i in range(nodes.size):
        for j in range(nodes.size):
            u = left + (nodes[i] + 0.5) * width
            v = bottom + (nodes[j] + 0.5) * height
            along, across = u * cos + v * sin, (v * cos - u * sin) / ratio
            radius = math.sqrt(along * along + across * across)
            total += weights[i] * weights[j] * math.exp(-b * (radius / scale) ** (1.0 / n))
    return total * width * height


@njit(nogil=True, cache=True, error_model="numpy")
def _cusp(dx, dy, shape):
    """Integral over the pixel at (dx, dy) from the centre: split at its point next to the centre, halved towards it."""
    x = min(max(0.0, dx - 0.5), dx + 0.5)
    y = min(max(0.0, dy - 0.5), dy + 0.5)
    total = 0.0
    for side_x in (-1.0, 1.0):
        for side_y in (-1.0, 1.0):
            width = x - (dx - 0.5) if side_x < 0 else dx + 0.5 - x
            height = y - (dy - 0.5) if side_y < 0 else dy + 0.5 - y
            if width <= 0.0 or height <= 0.0:
                continue
            for _ in range(LEVELS):
                width, height = width / 2, height / 2
                far_x = x + width if side_x > 0 else x - 2 * width
                far_y = y + height if side_y > 0 else y - 2 * height
                near_x = x if side_x > 0 else x - width
                near_y = y if side_y > 0 else y - height
                total += _cell(far_x, far_y, width, height, shape, GAUSS_3)
                total += _cell(far_x, near_y, width, height, shape, GAUSS_3)
                total += _cell(near_x, far_y, width, height, shape, GAUSS_3)
            total += _cell(near_x, near_y, width, height, shape, GAUSS_3)
    return total
