"""Centroids under a Gaussian window: nearly as precise as a fit of the profile, for a small part of its cost."""

import numpy as np
from numba import njit

REACH = 4.0
"""Radius of the window [its standard deviations]."""

ITERATIONS = 16
SMALLEST_STEP = 1e-4
"""The iteration ends after so many steps, or with a shorter one [px]."""


@njit(nogil=True, cache=True, error_model="numpy")
def windowed_centroids(data, bad, x, y, sigma, farthest, xwin, ywin):
    """x <- x + 2 sum w f (u - x) / sum w f with w = exp(-r² / 2 sigma²), repeated until the step is below 1e-4 px.

    The factor 2 makes the iteration converge fast where the window is as wide as the source. About 1 ns per pixel of
    the window and iteration; six iterations are common.

    Parameters
    ----------
    data : (H, W) float array
        Background-subtracted pixels f.
    bad : (H, W) uint8 array
        Non-zero is left out; (0, 0) stands for none.
    x, y : (N,) float64 arrays
        Where to start, 0-based.
    sigma : (N,) float64 array
        Standard deviation of the window [px]; NaN gives NaN.
    farthest : (N,) float64 array
        How far the centroid may move [px]; farther gives NaN.
    xwin, ywin : (N,) float64 arrays
        Filled with the results.

    References
    ----------
    Bertin, E. & Arnouts, S. 1996, A&AS 117, 393 (XWIN_IMAGE; the SExtractor manual describes the iteration).
    """
    height, width = data.shape
    for k in range(x.size):
        xwin[k] = ywin[k] = np.nan
        reach = REACH * sigma[k]
        if not (reach > 0.0 and reach < 1e4 and np.isfinite(x[k]) and np.isfinite(y[k])):
            continue
        across = np.empty(int(2.0 * reach) + 3)
        cx, cy = x[k], y[k]
        scale = -0.5 / sigma[k] ** 2
        arrived = False
        for _ in range(ITERATIONS):
            x0, x1 = max(int(np.ceil(cx - reach)), 0), min(int(np.floor(cx + reach)), width - 1)
            y0, y1 = max(int(np.ceil(cy - reach)), 0), min(int(np.floor(cy + reach)), height - 1)
            for column in range(x0, x1 + 1):
                across[column - x0] = np.exp(scale * (column - cx) ** 2)
            total = moment_x = moment_y = 0.0
            for row in range(y0, y1 + 1):
                down = np.exp(scale * (row - cy) ** 2)
                room = reach * reach - (row - cy) ** 2
                for column in range(x0, x1 + 1):
                    if (column - cx) ** 2 > room or (bad.size > 0 and bad[row, column] != 0):
                        continue
                    weighted = across[column - x0] * down * data[row, column]
                    total += weighted
                    moment_x += weighted * (column - cx)
                    moment_y += weighted * (row - cy)
            if not total > 0.0:
                break
            step_x, step_y = 2.0 * moment_x / total, 2.0 * moment_y / total
            cx += step_x
            cy += step_y
            if not (abs(cx - x[k]) <= farthest[k] and abs(cy - y[k]) <= farthest[k]):
                break
            if step_x * step_x + step_y * step_y < SMALLEST_STEP**2:
                arrived = True
                break
        else:
            arrived = True  # it circles around the place within a fraction of a pixel, as noise lets it
        if arrived:
            xwin[k], ywin[k] = cx, cy
