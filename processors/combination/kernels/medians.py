"""Median of each pixel, compiled."""

import numpy as np
from numba import njit

from .columns import block_size, compare, distances, fill, middles

TO_SIGMA = 1.482602218505602
"""Standard deviation of a normal distribution divided by its median absolute deviation."""


@njit(nogil=True, cache=True, error_model="numpy")
def median(cube, network, short_network, valley, short_valley, out, count, deviation):
    """Median of each pixel, and 1.4826 times the median absolute deviation from it.

    Parameters
    ----------
    cube : (N, P) float32 array
        The stack.
    network, short_network, valley, short_valley : (K, 2) arrays
        Networks for N rows that sort, that find the median, and both for distances; see
        :mod:`~etendue.processors.combination.kernels.networks`.
    out : (P,) float32 array
        The medians; NaN where there is no value.
    count : (P,) int32 array
        Number of values.
    deviation : (P,) float32 array
        Filled with the deviations; an empty one is left alone, and saves half of the time.
    """
    frames, pixels = cube.shape
    block = block_size(frames)
    rows = np.empty((frames, block), dtype=np.float32)
    away = np.empty((frames if deviation.size > 0 else 0, block), dtype=np.float32)
    for start in range(0, pixels, block):
        width = min(block, pixels - start)
        counts = count[start : start + width]
        middle = out[start : start + width]
        complete = fill(cube, start, width, rows, counts)
        compare(rows, network if deviation.size > 0 or not complete else short_network, width)
        middles(rows, counts, complete, width, middle)
        if deviation.size > 0:
            spread = deviation[start : start + width]
            distances(rows, middle, away, width)
            compare(away, short_valley if complete else valley, width)
            middles(away, counts, complete, width, spread)
            for x in range(width):
                spread[x] *= np.float32(TO_SIGMA)
        if not complete:
            for x in range(width):
                if counts[x] == 0:
                    middle[x] = np.float32(np.nan)
