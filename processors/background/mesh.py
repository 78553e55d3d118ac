"""Level and noise of the sky in each box of a mesh: a compiled kernel that needs one pass over the memory."""

import numpy as np
from numba import njit

LEVELS = 1024
"""Bins of the histogram of a box. It spans ten standard deviations, so a bin is 0.01 of one."""

HALF_SPAN = 5.0
"""Half of the range of the histogram [standard deviations]."""

FIRST_CLIP = 2.0
"""Limit of the first cut, before the histogram is made [standard deviations]."""

MINIMUM_FILLING = 0.5
"""A box with a smaller part of usable pixels is left to its neighbours."""


UNUSABLE = LEVELS + 1
"""Bin of the pixels that are masked or not finite; the one before it takes those outside the range."""

COARSE = 12.0
"""A sky whose standard deviation is fewer bins than this gets a finer histogram: a bright source widened the range."""

REFINEMENTS = 8
"""Most histograms that are made for one box; nearly always one is enough."""

SAMPLE = 1024
"""The range of the histogram is found from at least this many pixels of a box."""


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "nsz", "contract"})
def _moments(data, bad, y0, y1, step, x0, x1, low, high):
    """Number, mean and standard deviation of the usable pixels within [low, high] in every `step`-th row of a box."""
    count = 0
    total = 0.0
    squares = 0.0
    origin = 0.5 * (float(low) + float(high))
    for y in range(y0, y1, step):
        row = data[y, x0:x1]
        if bad.size > 0:
            excluded = bad[y, x0:x1]
            for k in range(row.size):
                good = (row[k] >= low) & (row[k] <= high) & (excluded[k] == 0)
                shifted = row[k] - origin if good else 0.0
                count += good
                total += shifted
                squares += shifted * shifted
        else:
            for k in range(row.size):
                good = (row[k] >= low) & (row[k] <= high)
                shifted = row[k] - origin if good else 0.0
                count += good
                total += shifted
                squares += shifted * shifted
    if count == 0:
        return 0, np.nan, 0.0
    mean = total / count
    return count, origin + mean, np.sqrt(max(squares / count - mean * mean, 0.0))


@njit(nogil=True, cache=True, error_model="numpy")
def _core(data, bad, y0, y1, step, x0, x1):
    """Mean and standard deviation of the pixels of a box that are within FIRST_CLIP standard deviations."""
    largest = np.float32(3.4028234e38)
    count, mean, sigma = _moments(data, bad, y0, y1, step, x0, x1, -largest, largest)
    if count == 0 or sigma == 0.0:
        return count, mean, sigma
    low, high = np.float32(mean - FIRST_CLIP * sigma), np.float32(mean + FIRST_CLIP * sigma)
    return _moments(data, bad, y0, y1, step, x0, x1, low, high)


@njit(nogil=True, cache=True, error_model="numpy")
def _fill(histogram, bins, data, bad, y0, y1, x0, x1, zero, scale):
    """Histogram of the pixels of a box: bin = (value - zero) * scale."""
    histogram[:] = 0
    nothing, top = np.float32(0), np.float32(LEVELS)
    largest = np.float32(3.4028234e38)
    for y in range(y0, y1):
        row = data[y, x0:x1]
        target = bins[: row.size]
        if bad.size > 0:
            excluded = bad[y, x0:x1]
            for k in range(row.size):
                position = (row[k] - zero) * scale
                inside = (position >= nothing) & (position < top)
                usable = (row[k] >= -largest) & (row[k] <= largest) & (excluded[k] == 0)
                bin_ = np.int32(position) if inside else np.int32(LEVELS)
                target[k] = bin_ if usable else np.int32(UNUSABLE)
        else:
            for k in range(row.size):
                position = (row[k] - zero) * scale
                inside = (position >= nothing) & (position < top)
                usable = (row[k] >= -largest) & (row[k] <= largest)
                bin_ = np.int32(position) if inside else np.int32(LEVELS)
                target[k] = bin_ if usable else np.int32(UNUSABLE)
        for k in range(target.size):
            histogram[np.uint32(target[k])] += 1


@njit(nogil=True, cache=True, error_model="numpy")
def _clipped_mode(histogram, sums, limit):
    """Mode, median and standard deviation [bins] of a histogram.

    It is clipped at `limit` standard deviations around its median until it no longer changes. Cumulative
    sums make each of the few iterations cost a bisection instead of a pass over the bins.
    """
    zeroth = first = second = 0
    sums[:, 0] = 0
    for i in range(LEVELS):
        zeroth += histogram[i]
        first += histogram[i] * i
        second += histogram[i] * (i * i)
        sums[0, i + 1] = zeroth
        sums[1, i + 1] = first
        sums[2, i + 1] = second
    low, high = 0, LEVELS - 1
    mean = median = 0.5 * (LEVELS - 1)
    sigma = 0.0
    for _ in range(100):
        count = sums[0, high + 1] - sums[0, low]
        if count == 0:
            break
        before = sigma
        mean = (sums[1, high + 1] - sums[1, low]) / count
        sigma = np.sqrt(max((sums[2, high + 1] - sums[2, low]) / count - mean * mean, 0.0))
        half = sums[0, low] + 0.5 * count
        middle = low + np.searchsorted(sums[0, low + 1 : high + 2], half)
        median = middle - 0.5 + (half - sums[0, middle]) / (sums[0, middle + 1] - sums[0, middle])
        low = int(max(median - limit * sigma + 0.5, 0.0))
        high = int(min(median + limit * sigma + 0.5, LEVELS - 1.0))
        if sigma < 0.1 or abs(sigma / before - 1.0) < 1e-4:
            break
    if sigma > 0.0 and abs(mean - median) < 0.3 * sigma:
        return 2.5 * median - 1.5 * mean, median, sigma
    return median, median, sigma


@njit(nogil=True, cache=True, error_model="numpy")
def box_statistics(data, bad, box_height, box_width, limit, level, noise):
    """Clipped mode and standard deviation of the pixels in each box; returns the number of usable pixels.

    In each box: mean and standard deviation of the pixels, then of those within 2 standard deviations (in large
    boxes of every few rows only, because all that they give is the range of a histogram over 5 of them to each
    side). The histogram of all pixels is clipped at `limit` standard deviations around its median until it no longer
    changes; where a bright source made it too coarse, it is made again around what was found. Level = 2.5 median -
    1.5 mean, or the median where the two are more than 0.3 standard deviations apart (a crowded box). A box that is
    usable by less than half gets NaN.

    One reading of the memory, 4 byte per pixel, and about 2 ns of work per pixel.

    Parameters
    ----------
    data : (H, W) float32 array
        Pixels; those that are not finite are not usable.
    bad : (H, W) uint8 array
        Non-zero is not usable; an array of shape (0, 0) stands for no mask.
    box_height, box_width : int
        Size of a box [px]; boxes at the upper and right border may be smaller.
    limit : float
        Clipping limit [standard deviations].
    level, noise : (ny, nx) float64 arrays
        Filled with the results.
    """
    height, width = data.shape
    histogram = np.empty(LEVELS + 2, dtype=np.int64)
    sums = np.empty((3, LEVELS + 1), dtype=np.int64)
    bins = np.empty(box_width, dtype=np.int32)
    usable = 0
    for j in range(level.shape[0]):
        y0, y1 = j * box_height, min((j + 1) * box_height, height)
        for i in range(level.shape[1]):
            x0, x1 = i * box_width, min((i + 1) * box_width, width)
            size = (y1 - y0) * (x1 - x0)
            step = min(max(size // SAMPLE, 1), max((y1 - y0) // 8, 1))
            kept, core, sigma = _core(data, bad, y0, y1, step, x0, x1)
            if step > 1 and kept < SAMPLE // 2:
                kept, core, sigma = _core(data, bad, y0, y1, 1, x0, x1)
            mode = spread = 0.0
            zero = np.float32(0.0)
            scale = 1.0
            flat = kept == 0 or not sigma > 1e-7 * abs(core)
            for _ in range(REFINEMENTS):
                scale = 1.0 if flat else LEVELS / (2.0 * HALF_SPAN * sigma)
                zero = np.float32(0.0 if kept == 0 else core - 0.5 * LEVELS / scale)
                _fill(histogram, bins, data, bad, y0, y1, x0, x1, zero, np.float32(scale))
                count = size - histogram[UNUSABLE]
                if flat or count < MINIMUM_FILLING * size:
                    break
                mode, median, spread = _clipped_mode(histogram, sums, limit)
                if spread >= COARSE:
                    break
                core = float(zero) + (median + 0.5) / scale
                sigma = max(spread, 0.5) / scale
                if not sigma > 1e-7 * abs(core):
                    break
            usable += count
            if count == 0 or count < MINIMUM_FILLING * size:
                level[j, i] = noise[j, i] = np.nan
            elif flat:
                level[j, i], noise[j, i] = core, 0.0
            else:
                level[j, i] = float(zero) + (mode + 0.5) / scale
                noise[j, i] = spread / scale
    return usable
