"""Follow the charge of saturated pixels along their columns."""

import numpy as np
from numba import njit

SATURATED = np.uint8(4)


@njit(nogil=True, cache=True, error_model="numpy")
def flag_bled(raw, x, y, rows, columns, level, limit, grow, mask):
    """From each saturated pixel up and down its column: flag all pixels >= `limit` without a gap, and `grow` more.

    Only rows and columns that are known to hold saturated pixels are searched for them, and only the ends of runs of
    saturated pixels are followed: the cost goes with the number of pixels that are flagged.

    Parameters
    ----------
    raw : (H, W) array
        Raw pixels [adu].
    x, y : int
        Where `mask` begins in the raw frame.
    rows, columns : (N,), (M,) int64 arrays
        Rows and columns of the raw frame that hold saturated pixels.
    level, limit : float32
        Saturation level, and what its charge keeps its neighbours above [adu].
    grow : int
        Pixels more at both ends.
    mask : (h, w) uint8 array
        Flags; changed.
    """
    height, width = mask.shape
    for row in rows:
        for column in columns:
            at, i = row - y, column - x
            if at < 0 or at >= height or i < 0 or i >= width or not raw[row, column] >= level:
                continue
            for step in (-1, 1):
                k = at + step
                if 0 <= k < height and raw[y + k, column] >= level:
                    continue
                while 0 <= k < height and raw[y + k, column] >= limit:
                    mask[k, i] |= SATURATED
                    k += step
                for _ in range(grow):
                    if not 0 <= k < height:
                        break
                    mask[k, i] |= SATURATED
                    k += step
