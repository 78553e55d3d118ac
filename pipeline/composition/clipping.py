"""Clipped mean of each pixel over several frames, compiled."""

import numpy as np
from numba import njit

INSERTION_LIMIT = 48
"""Up to so many frames sorting by insertion is the fastest."""


@njit(nogil=True, cache=True, error_model="numpy")
def clipped_mean(cube, variance, sigma, rounds, mean, count, error):
    """Mean of the values within `sigma` robust standard deviations of their median, for each pixel.

    In each of at most `rounds` rounds the deviation is ``1.4826 * median(|v - median(v)|)``, but not less than the
    root mean square of the errors, if there are any; fewer than three values are not clipped. ``error`` is
    ``sqrt(sum s**2) / n`` of those that are left. The values are sorted once: what survives is always an interval of
    them. Cost: one pass over the cube, O(n log n) per pixel.

    Parameters
    ----------
    cube : (n, m) float32 array
        Values of m pixels in n frames; NaN is left out.
    variance : (n, m) float32 array, or (0, 0)
        Their variances.
    mean, count, error : (m,) arrays
        Results; the error only with variances.
    """
    frames, pixels = cube.shape
    has_errors = variance.shape[0] == frames
    values = np.empty(frames, dtype=np.float32)
    for j in range(pixels):
        good = 0
        for i in range(frames):
            value = cube[i, j]
            if np.isnan(value):
                continue
            place = good
            if frames <= INSERTION_LIMIT:
                while place > 0 and values[place - 1] > value:
                    values[place] = values[place - 1]
                    place -= 1
            values[place] = value
            good += 1
        if frames > INSERTION_LIMIT:
            values[:good].sort()
        low, high = 0, good
        for _ in range(rounds):
            number = high - low
            if number < 3:
                break
            left = low + (number - 1) // 2
            right = left + 1
            middle = 0.5 * (np.float64(values[left]) + np.float64(values[low + number // 2]))
            first = second = 0.0
            for rank in range(number // 2 + 1):  # deviations in order, walking outwards from the median
                below = middle - values[left] if left >= low else np.inf
                above = values[right] - middle if right < high else np.inf
                if below <= above:
                    deviation = below
                    left -= 1
                else:
                    deviation = above
                    right += 1
                if rank == (number - 1) // 2:
                    first = deviation
                if rank == number // 2:
                    second = deviation
            scale = 1.4826 * 0.5 * (first + second)
            if has_errors:
                total = 0.0
                for i in range(frames):
                    if cube[i, j] >= values[low] and cube[i, j] <= values[high - 1]:
                        total += variance[i, j]
                scale = max(scale, np.sqrt(total / number)) if total > 0 else scale
            before = number
            while low < high and middle - values[low] > sigma * scale:
                low += 1
            while high > low and values[high - 1] - middle > sigma * scale:
                high -= 1
            if high - low == before:
                break
        number = high - low
        count[j] = number
        total = 0.0
        for k in range(low, high):
            total += values[k]
        mean[j] = total / number if number > 0 else np.nan
        if has_errors:
            total = 0.0
            for i in range(frames):
                if number > 0 and cube[i, j] >= values[low] and cube[i, j] <= values[high - 1]:
                    total += variance[i, j]
            error[j] = np.sqrt(total) / number if number > 0 else np.nan
