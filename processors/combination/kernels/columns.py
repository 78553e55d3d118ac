"""Blocks of a stack: sorted, their middle, their mean."""

import numpy as np
from numba import njit

BLOCK = 512
"""Most pixels treated at once: with 30 frames they take 60 kB."""

LARGEST = np.float32(3.4028234e38)


@njit(nogil=True, cache=True, error_model="numpy")
def block_size(frames):
    """How many pixels are treated at once: fewer if there are many frames, so that they stay in the cache."""
    return max(64, min(BLOCK, 32 * BLOCK // max(frames, 1)))


@njit(nogil=True, cache=True, error_model="numpy")
def fill(cube, start, width, rows, count):
    """Copy a block of the stack, and count the values of each pixel; True if none is left out."""
    frames = cube.shape[0]
    count[:width] = 0
    for i in range(frames):
        source = cube[i, start : start + width]
        target = rows[i]
        for x in range(width):
            target[x] = source[x]
            count[x] += np.int32(source[x] <= LARGEST)
    least = np.int32(frames)
    for x in range(width):
        least = min(least, count[x])
    return least == frames


@njit(nogil=True, cache=True, error_model="numpy")
def compare(rows, network, width):
    """Run a network over the rows of a block; two loads, two stores and two comparisons per comparator and pixel."""
    for k in range(network.shape[0]):
        low = rows[network[k, 0]]
        high = rows[network[k, 1]]
        for x in range(width):
            a = low[x]
            b = high[x]
            low[x] = a if a < b else b
            high[x] = b if a < b else a


@njit(nogil=True, cache=True, error_model="numpy")
def middles(rows, count, complete, width, out):
    """Medians of sorted columns; 0 where a column is empty."""
    frames = rows.shape[0]
    if complete:
        low = rows[(frames - 1) // 2]
        high = rows[frames // 2]
        for x in range(width):
            out[x] = low[x] + (high[x] - low[x]) * np.float32(0.5)
        return
    for x in range(width):
        if count[x] == 0:
            out[x] = np.float32(0)
        else:
            a = rows[(count[x] - 1) // 2, x]
            b = rows[count[x] // 2, x]
            out[x] = a + (b - a) * np.float32(0.5)


@njit(nogil=True, cache=True, error_model="numpy")
def distances(rows, centre, out, width):
    """|value - centre| of each row."""
    for i in range(rows.shape[0]):
        source = rows[i]
        target = out[i]
        for x in range(width):
            target[x] = abs(source[x] - centre[x])


@njit(nogil=True, cache=True, error_model="numpy")
def mean_and_deviation(rows, count, complete, width, mean, spread, sums):
    """Means and root mean square deviations of the finite values of columns; 0 where a column is empty.

    Two passes, the first one relative to one of the values: so float32 is precise enough.
    """
    zero = np.float32(0)
    frames = rows.shape[0]
    sums[:width] = zero
    if complete:
        origin = rows[0]
        share = np.float32(1) / np.float32(frames)
        for i in range(1, frames):
            row = rows[i]
            for x in range(width):
                sums[x] += row[x] - origin[x]
        for x in range(width):
            mean[x] = origin[x] + sums[x] * share
            sums[x] = zero
        for i in range(frames):
            row = rows[i]
            for x in range(width):
                d = row[x] - mean[x]
                sums[x] += d * d
        for x in range(width):
            spread[x] = np.sqrt(sums[x] * share)
        return
    for x in range(width):
        mean[x] = zero
    for i in range(frames):
        row = rows[i]
        for x in range(width):
            mean[x] = row[x] if row[x] <= LARGEST else mean[x]
    for i in range(frames):
        row = rows[i]
        for x in range(width):
            sums[x] += row[x] - mean[x] if row[x] <= LARGEST else zero
    for x in range(width):
        mean[x] += sums[x] / np.float32(max(count[x], 1))
        sums[x] = zero
    for i in range(frames):
        row = rows[i]
        for x in range(width):
            d = row[x] - mean[x] if row[x] <= LARGEST else zero
            sums[x] += d * d
    for x in range(width):
        spread[x] = np.sqrt(sums[x] / np.float32(max(count[x], 1)))
