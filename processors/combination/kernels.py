"""Compiled kernels that combine the values of each pixel of a stack.

A stack is a (N, P) float32 array: N frames, P pixels. A value that is left out is +infinity, which sorts last.
Everything is done in blocks of pixels that stay in the first cache.
"""

import numpy as np
from numba import njit

BLOCK = 512
"""Most pixels treated at once: with 30 frames they take 60 kB."""

LARGEST = np.float32(3.4028234e38)
TO_SIGMA = 1.482602218505602
"""Standard deviation of a normal distribution divided by its median absolute deviation."""

NO_ERRORS = np.empty((0, 0), dtype=np.float32)
NO_WEIGHTS = np.empty(0, dtype=np.float32)
for _array in (NO_ERRORS, NO_WEIGHTS):
    _array.flags.writeable = False


@njit(nogil=True, cache=True, error_model="numpy")
def _block(frames):
    """How many pixels are treated at once: fewer if there are many frames, so that they stay in the cache."""
    return max(64, min(BLOCK, 32 * BLOCK // max(frames, 1)))


@njit(nogil=True, cache=True, error_model="numpy")
def load(source, bad, factor, target):
    """target = source · factor, and infinity where `bad` is not zero or the value is not finite; one pass.

    Parameters
    ----------
    source : (P,) array of numbers
        Pixels of one frame.
    bad : (P,) uint8 array
        Non-zero is left out; an empty one leaves nothing out.
    factor : float32
        Scale of the frame.
    target : (P,) float32 array
        A row of the stack.
    """
    infinity = np.float32(np.inf)
    for k in range(target.size):
        value = np.float32(source[k]) * factor
        target[k] = value if value - value == np.float32(0) else infinity
    if bad.size > 0:
        for k in range(target.size):
            target[k] = infinity if bad[k] != 0 else target[k]


@njit(nogil=True, cache=True, error_model="numpy")
def load_variance(error, factor, target):
    """target = (error · factor)²: the variances of one frame."""
    for k in range(target.size):
        scaled = np.float32(error[k]) * factor
        target[k] = scaled * scaled


@njit(nogil=True, cache=True, error_model="numpy")
def _compare(rows, network, width):
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
def _fill(cube, start, width, rows, count):
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
def _middle(rows, count, complete, width, out):
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
def _distances(rows, centre, out, width):
    """|value - centre| of each row."""
    for i in range(rows.shape[0]):
        source = rows[i]
        target = out[i]
        for x in range(width):
            target[x] = abs(source[x] - centre[x])


@njit(nogil=True, cache=True, error_model="numpy")
def median(cube, network, short_network, valley, short_valley, out, count, deviation):
    """Median of each pixel, and 1.4826 times the median absolute deviation from it.

    Parameters
    ----------
    cube : (N, P) float32 array
        The stack.
    network, short_network, valley, short_valley : (K, 2) arrays
        Networks for N rows that sort, that find the median, and both for distances; see
        :mod:`~etendue.processors.combination.networks`.
    out : (P,) float32 array
        The medians; NaN where there is no value.
    count : (P,) int32 array
        Number of values.
    deviation : (P,) float32 array
        Filled with the deviations; an empty one is left alone, and saves half of the time.
    """
    frames, pixels = cube.shape
    block = _block(frames)
    rows = np.empty((frames, block), dtype=np.float32)
    away = np.empty((frames if deviation.size > 0 else 0, block), dtype=np.float32)
    for start in range(0, pixels, block):
        width = min(block, pixels - start)
        counts = count[start : start + width]
        middle = out[start : start + width]
        complete = _fill(cube, start, width, rows, counts)
        _compare(rows, network if deviation.size > 0 or not complete else short_network, width)
        _middle(rows, counts, complete, width, middle)
        if deviation.size > 0:
            spread = deviation[start : start + width]
            _distances(rows, middle, away, width)
            _compare(away, short_valley if complete else valley, width)
            _middle(away, counts, complete, width, spread)
            for x in range(width):
                spread[x] *= np.float32(TO_SIGMA)
        if not complete:
            for x in range(width):
                if counts[x] == 0:
                    middle[x] = np.float32(np.nan)


@njit(nogil=True, cache=True, error_model="numpy")
def _mean_and_deviation(rows, count, complete, width, mean, spread, sums):
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


@njit(nogil=True, cache=True, error_model="numpy")
def _clipped_column(values, first, last, by_median, by_mad, low, high, floor, rounds):
    """Clip a sorted column further; what remains is values[first:last]."""
    for _ in range(rounds):
        count = last - first
        if count < 2:
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
def _limits(
    rows, away, count, complete, width, network, valley, short_valley,
    by_median, by_mad, low, high, floor, rounds, from_, to, centre, scratch, column,
):  # fmt: skip
    """Limits of a block of pixels; sorts its rows unless mean and deviation are all that is needed."""
    frames = rows.shape[0]
    kept, middle, spread, sums = scratch[0], scratch[1], scratch[2], scratch[3]
    low_factor, high_factor, least = np.float32(low), np.float32(high), np.float32(floor)
    if not (by_median and by_mad):
        _mean_and_deviation(rows, count, complete, width, centre, spread, sums)
    if by_median or by_mad:
        _compare(rows, network, width)
        _middle(rows, count, complete, width, middle)
    if by_median:
        centre[:width] = middle[:width]
    if by_mad:
        _distances(rows, middle, away, width)
        _compare(away, short_valley if complete else valley, width)
        _middle(away, count, complete, width, spread)
        for x in range(width):
            spread[x] *= np.float32(TO_SIGMA)
    for x in range(width):
        scale = max(spread[x], least)
        from_[x] = centre[x] - low_factor * scale
        to[x] = min(centre[x] + high_factor * scale, LARGEST)
    if rounds < 2:
        return
    kept[:width] = np.float32(0)
    for i in range(frames):
        row = rows[i]
        for x in range(width):
            kept[x] += np.float32(1) if (row[x] >= from_[x]) & (row[x] <= to[x]) else np.float32(0)
    for x in range(width):
        if 1 < kept[x] < count[x]:
            for i in range(frames):
                column[i] = rows[i, x]
            if not (by_median or by_mad):
                column.sort()
            first, last = 0, count[x]
            while first < last and column[first] < from_[x]:
                first += 1
            while last > first and column[last - 1] > to[x]:
                last -= 1
            first, last = _clipped_column(column, first, last, by_median, by_mad, low, high, floor, rounds - 1)
            if first < last:
                from_[x], to[x] = column[first], column[last - 1]
            else:
                from_[x], to[x] = LARGEST, -LARGEST


@njit(nogil=True, cache=True, error_model="numpy")
def clip_limits(cube, network, valley, short_valley, by_median, by_mad, low, high, floor, rounds, bottom, top, centres):
    """Between which values each pixel's values are kept.

    A value is kept if centre - low · spread <= value <= centre + high · spread; centre and spread are found again from
    those that are kept, until nothing changes or `rounds` are over. The first round treats whole rows of pixels, the
    others only those pixels that lost a value.

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
    floor : float
        Least spread.
    rounds : int
        Most rounds.
    bottom, top, centres : (P,) float32 arrays
        Filled with the limits, and with the centre of the first round.
    """
    frames, pixels = cube.shape
    block = _block(frames)
    rows = np.empty((frames, block), dtype=np.float32)
    away = np.empty((frames if by_mad else 0, block), dtype=np.float32)
    count = np.empty(block, dtype=np.int32)
    scratch = np.empty((4, block), dtype=np.float32)
    column = np.empty(frames, dtype=np.float32)
    for start in range(0, pixels, block):
        width = min(block, pixels - start)
        end = start + width
        complete = _fill(cube, start, width, rows, count)
        _limits(
            rows, away, count, complete, width, network, valley, short_valley,
            by_median, by_mad, low, high, floor, rounds,
            bottom[start:end], top[start:end], centres[start:end], scratch, column,
        )  # fmt: skip


@njit(nogil=True, cache=True, error_model="numpy")
def _mean_of_kept(rows, width, from_, to, origin, result, error, number, sums):
    """Mean, its error from the scatter, and number of the values within the limits, of a block of pixels."""
    zero = np.float32(0)
    sums[:width] = zero
    number[:] = 0
    for i in range(rows.shape[0]):
        row = rows[i]
        for x in range(width):
            inside = (row[x] >= from_[x]) & (row[x] <= to[x])
            sums[x] += row[x] - origin[x] if inside else zero
            number[x] += np.int32(inside)
    for x in range(width):
        result[x] = origin[x] + sums[x] / np.float32(number[x])
        sums[x] = zero
    for i in range(rows.shape[0]):
        row = rows[i]
        for x in range(width):
            d = row[x] - result[x]
            sums[x] += d * d if (row[x] >= from_[x]) & (row[x] <= to[x]) else zero
    for x in range(width):
        # One value says nothing about the scatter: 0 / 0 is NaN, and so it is for none.
        n = np.float32(number[x])
        error[x] = np.sqrt(sums[x] / (n * (n - np.float32(1))))


@njit(nogil=True, cache=True, error_model="numpy")
def clipped_mean(
    cube, network, valley, short_valley, by_median, by_mad, low, high, floor, rounds, out, error, count
):  # fmt: skip
    """Mean of the values that :func:`clip_limits` keeps, on blocks that do not leave the first cache.

    Parameters
    ----------
    cube, network, valley, short_valley, by_median, by_mad, low, high, floor, rounds
        See :func:`clip_limits`.
    out, error : (P,) float32 arrays
        Mean, NaN where there is no value; its error from the error, NaN where there are fewer than two.
    count : (P,) int32 array
        Number of values.
    """
    frames, pixels = cube.shape
    block = _block(frames)
    rows = np.empty((frames, block), dtype=np.float32)
    away = np.empty((frames if by_mad else 0, block), dtype=np.float32)
    limits = np.empty((3, block), dtype=np.float32)
    scratch = np.empty((4, block), dtype=np.float32)
    column = np.empty(frames, dtype=np.float32)
    for start in range(0, pixels, block):
        width = min(block, pixels - start)
        end = start + width
        complete = _fill(cube, start, width, rows, count[start:end])
        _limits(
            rows, away, count[start:end], complete, width, network, valley, short_valley,
            by_median, by_mad, low, high, floor, rounds, limits[0], limits[1], limits[2], scratch, column,
        )  # fmt: skip
        _mean_of_kept(
            rows,
            width,
            limits[0],
            limits[1],
            limits[2],
            out[start:end],
            error[start:end],
            count[start:end],
            scratch[3],
        )


@njit(nogil=True, cache=True, error_model="numpy")
def mean(cube, out, error, count):
    """Mean of each pixel, its error from the scatter, and number of its values; see :func:`clipped_mean`."""
    frames, pixels = cube.shape
    block = _block(frames)
    rows = np.empty((frames, block), dtype=np.float32)
    sums = np.empty(block, dtype=np.float32)
    for start in range(0, pixels, block):
        width = min(block, pixels - start)
        end = start + width
        number, spread = count[start:end], error[start:end]
        complete = _fill(cube, start, width, rows, number)
        _mean_and_deviation(rows, number, complete, width, out[start:end], spread, sums)
        if complete and frames > 1:
            share = np.float32(1 / np.sqrt(frames - 1))
            for x in range(width):
                spread[x] *= share
            continue
        for x in range(width):
            n = np.float32(number[x])
            spread[x] = spread[x] / np.sqrt(n - np.float32(1)) if number[x] > 1 else np.float32(np.nan)
            if number[x] == 0:
                out[start + x] = np.float32(np.nan)


@njit(nogil=True, cache=True, error_model="numpy")
def weighted_mean_within(cube, variances, weights, inverse, bottom, top, centres, out, scatter, propagated, count):
    """Weighted mean of the values within the limits, and its error from the values' scatter and from their variances.

    With weights w: mean = Σ w v / Σ w, propagated² = Σ w² σ² / (Σ w)², and scatter is the error of the mean from the
    spread, sqrt(Σ w (v - mean)² / Σ w / (n_e - 1)) with the effective number n_e = (Σ w)² / Σ w².

    Parameters
    ----------
    cube, out, count
        See :func:`clipped_mean`.
    bottom, top, centres : (P,) float32 arrays
        Limits, and any value near the mean.
    variances : (N, P) float32 array
        Variances of the values; (0, 0) for none.
    weights : (N,) float32 array
        Weights of the frames.
    inverse : bool
        Weights are divided by the variances too. A value whose variance is not positive then has no weight.
    scatter, propagated : (P,) float32 arrays
        Errors of the mean; `propagated` may be empty if there are no variances.
    """
    frames, pixels = cube.shape
    for x in range(pixels):
        weight_sum = square_sum = first = second = error = 0.0
        number = 0
        for i in range(frames):
            value = cube[i, x]
            if not (value >= bottom[x] and value <= top[x]):
                continue
            weight = np.float64(weights[i])
            variance = np.float64(variances[i, x]) if variances.size > 0 else 0.0
            if inverse:
                weight = weight / variance if variance > 0 else 0.0
            if not weight > 0:
                continue
            d = np.float64(value) - centres[x]
            number += 1
            weight_sum += weight
            square_sum += weight * weight
            first += weight * d
            second += weight * d * d
            error += weight * weight * variance
        mean = first / weight_sum
        out[x] = centres[x] + mean
        count[x] = number
        if propagated.size > 0:
            propagated[x] = np.sqrt(error) / weight_sum
        effective = weight_sum * weight_sum / square_sum
        spread = max(second / weight_sum - mean * mean, 0.0)
        scatter[x] = np.sqrt(spread / (effective - 1.0)) if number > 1 else np.nan


@njit(nogil=True, cache=True, error_model="numpy")
def error_of_mean(cube, variances, bottom, top, out):
    """sqrt(Σ σ²) / n over the values within the limits; NaN where there is none."""
    frames, pixels = cube.shape
    block = _block(frames)
    total = np.empty(block, dtype=np.float64)
    number = np.empty(block, dtype=np.int32)
    for start in range(0, pixels, block):
        width = min(block, pixels - start)
        end = start + width
        from_, to = bottom[start:end], top[start:end]
        total[:] = 0.0
        number[:] = 0
        for i in range(frames):
            row, variance = cube[i, start:end], variances[i, start:end]
            for x in range(width):
                inside = (row[x] >= from_[x]) & (row[x] <= to[x])
                total[x] += np.float64(variance[x]) if inside else 0.0
                number[x] += np.int32(inside)
        result = out[start:end]
        for x in range(width):
            result[x] = np.float32(np.sqrt(total[x]) / number[x])
