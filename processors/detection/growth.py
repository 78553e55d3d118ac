"""Curves of growth: the radii that hold given parts of a source's flux."""

import numpy as np
from numba import njit

RINGS = 64
"""Rings between the centre and the largest radius."""

NEAR = 5.0
"""Pixels closer than this are divided into 5 x 5, the others into 2 x 2 [px]."""


@njit(nogil=True, cache=True, error_model="numpy")
def _add_rings(data, bad, x, y, first, last, per_ring, rings, usable, areas):
    """Add the light of the rings `first` to `last` - 1 around (x, y), with their usable and their whole areas."""
    height, width = data.shape
    outer, inner = last / per_ring, first / per_ring
    x0, x1 = max(int(np.floor(x - outer + 0.5)), 0), min(int(np.floor(x + outer + 0.5)), width - 1)
    y0, y1 = max(int(np.floor(y - outer + 0.5)), 0), min(int(np.floor(y + outer + 0.5)), height - 1)
    for row in range(y0, y1 + 1):
        for column in range(x0, x1 + 1):
            dx, dy = column - x, row - y
            distance = np.sqrt(dx * dx + dy * dy)
            if distance > outer + 0.75 or distance < inner - 0.75:
                continue
            parts = 5 if distance < NEAR else 2
            area = 1.0 / (parts * parts)
            good = 0.0 if bad.size > 0 and bad[row, column] != 0 else area
            light = good * data[row, column] if good > 0.0 else 0.0
            for j in range(parts):
                v = dy + (j + 0.5) / parts - 0.5
                for i in range(parts):
                    u = dx + (i + 0.5) / parts - 0.5
                    ring = int(np.sqrt(u * u + v * v) * per_ring)
                    if first <= ring < last:
                        rings[ring] += light
                        usable[ring] += good
                        areas[ring] += area
    for ring in range(first, last):
        if 0.0 < usable[ring] < areas[ring]:
            rings[ring] *= areas[ring] / usable[ring]


@njit(nogil=True, cache=True, error_model="numpy")
def light_radii(data, bad, x, y, largest, flux, fractions, radii):
    """Radius of the circle that holds each fraction of `flux`, from the sums in 64 rings.

    Sub-pixels go to the rings as a whole, and the curve of growth is linear within a ring. The outer half of the
    rings is looked at only if the inner one does not hold the largest fraction. A ring with masked pixels is scaled up
    to its whole area. Cost: 2 ns per sub-pixel, some 5 us
    for a star.

    Parameters
    ----------
    data : (H, W) float array
        Background-subtracted pixels.
    bad : (H, W) uint8 array
        Non-zero is left out; (0, 0) stands for none.
    x, y : (N,) float64 arrays
        Centres, 0-based.
    largest : (N,) float64 array
        Radius at which the curve ends [px]; a fraction that is not reached by then gets this radius.
    flux : (N,) float64 array
        The flux whose fractions are looked for; what is not positive gives NaN.
    fractions : (M,) float64 array
        Fractions, between 0 and 1.
    radii : (N, M) float64 array
        Filled with the results [px].
    """
    rings, usable, areas = np.empty(RINGS), np.empty(RINGS), np.empty(RINGS)
    most = fractions.max()
    for k in range(x.size):
        radii[k, :] = np.nan
        if not (flux[k] > 0.0 and largest[k] > 0.0 and largest[k] < 1e4 and np.isfinite(x[k]) and np.isfinite(y[k])):
            continue
        rings[:] = 0.0
        usable[:] = 0.0
        areas[:] = 0.0
        per_ring = RINGS / largest[k]
        _add_rings(data, bad, x[k], y[k], 0, RINGS // 2, per_ring, rings, usable, areas)
        reached = inside = 0.0
        for ring in range(RINGS // 2):
            inside += rings[ring]
            reached = max(reached, inside)
        if reached < most * flux[k]:
            _add_rings(data, bad, x[k], y[k], RINGS // 2, RINGS, per_ring, rings, usable, areas)
        for m in range(fractions.size):
            target = fractions[m] * flux[k]
            inside = 0.0
            radii[k, m] = largest[k]
            for ring in range(RINGS):
                if inside + rings[ring] >= target:
                    radii[k, m] = (ring + (target - inside) / rings[ring]) / per_ring
                    break
                inside += rings[ring]
