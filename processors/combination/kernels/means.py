"""Mean of each pixel, of all values or of those that clipping keeps, and its error, compiled."""

import numpy as np
from numba import njit

from .clipping import limits
from .columns import LARGEST, block_size, fill, mean_and_deviation


@njit(nogil=True, cache=True, error_model="numpy")
def mean(cube, out, error, count):
    """Mean of each pixel, its error from the scatter, and number of its values; see :func:`clipped_mean`."""
    frames, pixels = cube.shape
    block = block_size(frames)
    rows = np.empty((frames, block), dtype=np.float32)
    sums = np.empty(block, dtype=np.float32)
    for start in range(0, pixels, block):
        width = min(block, pixels - start)
        end = start + width
        number, spread = count[start:end], error[start:end]
        complete = fill(cube, start, width, rows, number)
        mean_and_deviation(rows, number, complete, width, out[start:end], spread, sums)
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
def mean_of_kept(rows, width, from_, to, origin, result, error, number, sums):
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
    cube, network, valley, short_valley, by_median, by_mad, low, high, floors, rounds, out, error, count
):  # fmt: skip
    """Mean of the values that :func:`clip_limits` keeps, on blocks that do not leave the first cache.

    Parameters
    ----------
    cube, network, valley, short_valley, by_median, by_mad, low, high, floors, rounds
        See :func:`clip_limits`.
    out, error : (P,) float32 arrays
        Mean, NaN where there is no value; its error from the error, NaN where there are fewer than two.
    count : (P,) int32 array
        Number of values.
    """
    frames, pixels = cube.shape
    block = block_size(frames)
    rows = np.empty((frames, block), dtype=np.float32)
    away = np.empty((frames if by_mad else 0, block), dtype=np.float32)
    bounds = np.empty((3, block), dtype=np.float32)
    scratch = np.empty((4, block), dtype=np.float32)
    column = np.empty(frames, dtype=np.float32)
    for start in range(0, pixels, block):
        width = min(block, pixels - start)
        end = start + width
        complete = fill(cube, start, width, rows, count[start:end])
        limits(
            rows, away, count[start:end], complete, width, network, valley, short_valley,
            by_median, by_mad, low, high, floors[start:end], rounds, bounds[0], bounds[1], bounds[2], scratch, column,
        )  # fmt: skip
        mean_of_kept(
            rows, width, bounds[0], bounds[1], bounds[2],
            out[start:end], error[start:end], count[start:end], scratch[3],
        )  # fmt: skip


@njit(nogil=True, cache=True, error_model="numpy")
def mean_within(cube, bottom, top, centres, out, error, count):
    """As :func:`clipped_mean`, with limits and centres that are known from :func:`clip_limits`."""
    frames, pixels = cube.shape
    block = block_size(frames)
    rows = np.empty((frames, block), dtype=np.float32)
    sums = np.empty(block, dtype=np.float32)
    for start in range(0, pixels, block):
        width = min(block, pixels - start)
        end = start + width
        fill(cube, start, width, rows, count[start:end])
        mean_of_kept(
            rows, width, bottom[start:end], top[start:end], centres[start:end],
            out[start:end], error[start:end], count[start:end], sums,
        )  # fmt: skip


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
    block = block_size(frames)
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


@njit(nogil=True, cache=True, error_model="numpy")
def typical_error(cube, variances, out):
    """sqrt(Σ σ² / n) over the n values of each pixel; 0 where there is none, or their variances are not known."""
    frames, pixels = cube.shape
    block = block_size(frames)
    total = np.empty(block, dtype=np.float64)
    number = np.empty(block, dtype=np.int32)
    for start in range(0, pixels, block):
        width = min(block, pixels - start)
        end = start + width
        total[:] = 0.0
        number[:] = 0
        for i in range(frames):
            row, variance = cube[i, start:end], variances[i, start:end]
            for x in range(width):
                used = row[x] <= LARGEST
                total[x] += np.float64(variance[x]) if used else 0.0
                number[x] += np.int32(used)
        result = out[start:end]
        for x in range(width):
            result[x] = np.float32(np.sqrt(total[x] / number[x])) if total[x] > 0 else np.float32(0)
