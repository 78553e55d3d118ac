"""Which values of each pixel clipping keeps, compiled."""

import numpy as np
from numba import njit

from .columns import LARGEST, block_size, compare, distances, fill, mean_and_deviation, middles
from .medians import TO_SIGMA


@njit(nogil=True, cache=True, error_model="numpy")
def clipped_column(values, first, last, by_median, by_mad, low, high, floor, rounds):
    """Clip a sorted column further; what remains is values[first:last]."""
    for _ in range(rounds):
        count = last - first
        if count < 3:
            break
        half = 0.5 * (np.float64(values[first + (count - 1) // 2]) + np.float64(values[first + count // 2]))
        centre, spread = half, 0.0
        if not (by_median and by_mad):
            total = 0.0
            for k in range(first, last):
                total += values[k]
            mean = total / count
            squares = 0.0
            for k in range(first, last):
                squares += (values[k] - mean) ** 2
            spread = np.sqrt(squares / count)
            if not by_median:
                centre = mean
        if by_mad:
            # The distances from the middle grow to both sides: walk outwards from it, always to the nearer one.
            left = first + (count - 1) // 2
            right = left + 1
            previous = distance = 0.0
            for _step in range(count // 2 + 1):
                below = half - values[left] if left >= first else np.inf
                above = values[right] - half if right < last else np.inf
                previous = distance
                if below <= above:
                    distance = below
                    left -= 1
                else:
                    distance = above
                    right += 1
            spread = TO_SIGMA * (distance if count % 2 else 0.5 * (previous + distance))
        spread = max(spread, floor)
        bottom, top = centre - low * spread, centre + high * spread
        old_first, old_last = first, last
        while first < last and values[first] < bottom:
            first += 1
        while last > first and values[last - 1] > top:
            last -= 1
        if first == old_first and last == old_last:
            break
    return first, last


@njit(nogil=True, cache=True, error_model="numpy")
def limits(
    rows, away, count, complete, width, network, valley, short_valley,
    by_median, by_mad, low, high, floors, rounds, from_, to, centre, scratch, column,
):  # fmt: skip
    """Limits of a block of pixels; sorts its rows unless mean and deviation are all that is needed."""
    frames = rows.shape[0]
    kept, middle, spread, sums = scratch[0], scratch[1], scratch[2], scratch[3]
    low_factor, high_factor = np.float32(low), np.float32(high)
    if not (by_median and by_mad):
        mean_and_deviation(rows, count, complete, width, centre, spread, sums)
    if by_median or by_mad:
        compare(rows, network, width)
        middles(rows, count, complete, width, middle)
    if by_median:
        centre[:width] = middle[:width]
    if by_mad:
        distances(rows, middle, away, width)
        compare(away, short_valley if complete else valley, width)
        middles(away, count, complete, width, spread)
        for x in range(width):
            spread[x] *= np.float32(TO_SIGMA)
    for x in range(width):
        scale = max(spread[x], floors[x])
        few = count[x] < 3
        from_[x] = -LARGEST if few else centre[x] - low_factor * scale
        to[x] = LARGEST if few else min(centre[x] + high_factor * scale, LARGEST)
    if rounds < 2:
        return
    kept[:width] = np.float32(0)
    for i in range(frames):
        row = rows[i]
        for x in range(width):
            kept[x] += np.float32(1) if (row[x] >= from_[x]) & (row[x] <= to[x]) else np.float32(0)
    for x in range(width):
        if 2 < kept[x] < count[x]:
            for i in range(frames):
                column[i] = rows[i, x]
            if not (by_median or by_mad):
                column.sort()
            first, last = 0, count[x]
            while first < last and column[first] < from_[x]:
                first += 1
            while last > first and column[last - 1] > to[x]:
                last -= 1
            first, last = clipped_column(column, first, last, by_median, by_mad, low, high, floors[x], rounds - 1)
            if first < last:
                from_[x], to[x] = column[first], column[last - 1]
            else:
                from_[x], to[x] = LARGEST, -LARGEST


@njit(nogil=True, cache=True, error_model="numpy")
def clip_limits(
    cube, network, valley, short_valley, by_median, by_mad, low, high, floors, rounds, bottom, top, centres
):  # fmt: skip
    """Between which values each pixel's values are kept.

    A value is kept if centre - low · spread <= value <= centre + high · spread; centre and spread are found again from
    those that are kept, until nothing changes or `rounds` are over. The first round treats whole rows of pixels, the
    others only those pixels that lost a value. Of fewer than three values nobody can tell which is wrong: all are kept.

    Parameters
    ----------
    cube : (N, P) float32 array
        The stack.
    network, valley, short_valley : (K, 2) arrays
        See :func:`median`.
    by_median, by_mad : bool
        Whether the centre is the median (else the mean), and the spread 1.4826 times the median absolute deviation
        from the median (else the standard deviation).
    low, high : float
        Limits [spread].
    floors : (P,) float32 array
        Least spread of each pixel.
    rounds : int
        Most rounds.
    bottom, top, centres : (P,) float32 arrays
        Filled with the limits, and with the centre of the first round.
    """
    frames, pixels = cube.shape
    block = block_size(frames)
    rows = np.empty((frames, block), dtype=np.float32)
    away = np.empty((frames if by_mad else 0, block), dtype=np.float32)
    count = np.empty(block, dtype=np.int32)
    scratch = np.empty((4, block), dtype=np.float32)
    column = np.empty(frames, dtype=np.float32)
    for start in range(0, pixels, block):
        width = min(block, pixels - start)
        end = start + width
        complete = fill(cube, start, width, rows, count)
        limits(
            rows, away, count, complete, width, network, valley, short_valley,
            by_median, by_mad, low, high, floors[start:end], rounds,
            bottom[start:end], top[start:end], centres[start:end], scratch, column,
        )  # fmt: skip
