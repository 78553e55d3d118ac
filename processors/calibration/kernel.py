"""The whole calibration of a frame in one pass over its pixels."""

import numpy as np
from numba import njit

SATURATED = 4
NO_DATA = 1
NONE = np.empty((0, 0), dtype=np.float32)
NO_FLAGS = np.empty((0, 0), dtype=np.uint8)
for _array in (NONE, NO_FLAGS):
    _array.flags.writeable = False


@njit(nogil=True, cache=True, error_model="numpy")
def calibrate(
    raw, level, offset, gain_over_flat, floor, flat_variance, flags, given,
    inverse_gain, dark_limit, level_variance, saturation,
    x, y, from_row, to_row, width, out_x, out_y, out, error, mask, rows, columns,
):  # fmt: skip
    """out = (raw - level - offset) g; error² = max(out s + floor, s² limit) + (g σ_level)² + out² f, with s = g / gain.

    g is gain / flat, f the relative variance of the flat, `floor` the variance of read noise, dark current and masters
    divided by flat²: so the photon noise is that of all light and dark current, max((raw - level - bias) gain, 0). One
    pass; 14 bytes read and 9 written per pixel with raw uint16 and error-free masters, 4 more read for f, 1 for flags.
    Each loop over a row is simple enough to be vectorised, and its row stays in the first cache for the next one.

    Parameters
    ----------
    raw : (H, W) array
        Raw pixels [adu].
    level : (N,) float32 array
        Overscan level of each row of the region [adu].
    offset, gain_over_flat, floor : (h, w) float32 arrays
        Folded masters: [adu], [electron/adu] (NaN where the flat has no meaning), [electron²].
    flat_variance : (h, w) float32 array
        Relative variance of the flat; (0, 0) stands for none.
    flags : (h, w) uint8 array
        Flags of the masters; (0, 0) stands for none.
    given : (H, W) uint8 array
        Flags of the raw frame; (0, 0) stands for none.
    inverse_gain : float32
        1 / gain [adu/electron].
    dark_limit : float32
        Least variance of a pixel before the flat: that of read noise and masters without any light [electron²].
    level_variance : float32
        Variance of the overscan level [adu²].
    saturation : float32
        Raw pixels at or above it are flagged [adu]; NaN flags none.
    x, y : int
        Where the region begins in the raw frame.
    from_row, to_row : int
        Rows of the region that are treated, counted from its first.
    width : int
        Width of the region.
    out_x, out_y : int
        Where the region begins in the result.
    out, error, mask : (h, w) float32, float32, uint8 arrays
        The result; an `error` of (0, 0) is not computed.
    rows, columns : (H,), (W,) uint8 arrays
        Become non-zero where a row or column of the raw frame holds a saturated pixel of the region.
    """
    for row in range(from_row, to_row):
        source = raw[y + row, x : x + width]
        at = out_y + row
        end = out_x + width
        offset_row = offset[at, out_x:end]
        gain_row = gain_over_flat[at, out_x:end]
        out_row = out[at, out_x:end]
        mask_row = mask[at, out_x:end]
        base = level[row]
        if error.size > 0:
            floor_row = floor[at, out_x:end]
            error_row = error[at, out_x:end]
            for i in range(width):
                gain = gain_row[i]
                value = (np.float32(source[i]) - base - offset_row[i]) * gain
                share = gain * inverse_gain
                variance = value * share + floor_row[i]
                least = share * share * dark_limit
                out_row[i] = value
                error_row[i] = (least if variance < least else variance) + gain * gain * level_variance
            if flat_variance.size > 0:
                relative = flat_variance[at, out_x:end]
                for i in range(width):
                    error_row[i] += out_row[i] * out_row[i] * relative[i]
            for i in range(width):
                error_row[i] = np.sqrt(error_row[i])
        else:
            for i in range(width):
                out_row[i] = (np.float32(source[i]) - base - offset_row[i]) * gain_row[i]
        columns_row = columns[x : x + width]
        any_hit = np.uint8(0)
        for i in range(width):
            hit = np.uint8(SATURATED) if np.float32(source[i]) >= saturation else np.uint8(0)
            columns_row[i] |= hit
            mask_row[i] = hit
            any_hit |= hit
        rows[y + row] |= any_hit
        if flags.size > 0:
            known = flags[at, out_x:end]
            for i in range(width):
                mask_row[i] |= known[i]
        if given.size > 0:
            own = given[y + row, x : x + width]
            for i in range(width):
                mask_row[i] |= own[i]
        for i in range(width):
            lost = np.uint8(NO_DATA) if (out_row[i] != out_row[i] and mask_row[i] == 0) else np.uint8(0)
            mask_row[i] |= lost
