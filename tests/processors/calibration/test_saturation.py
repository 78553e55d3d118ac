"""Saturated pixels, and what has bled from them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from etendue.images import Image, ImageError, PixelFlag
from etendue.processors.calibration import FlagSaturated
from etendue.processors.calibration.bleeding import flag_bled
from etendue.processors.calibration.corrections.saturation import saturated_pixels


def column(values):
    return np.array(values, dtype=np.float32)[:, None]


def test_a_trail_is_followed_along_the_column_to_its_ends():
    data = column([10, 60, 85, 100, 90, 85, 20, 85])
    assert saturated_pixels(data, 100, grow=0).ravel().tolist() == [0, 0, 1, 1, 1, 1, 0, 0]
    assert saturated_pixels(data, 100, grow=1).ravel().tolist() == [0, 1, 1, 1, 1, 1, 1, 0]
    assert saturated_pixels(data, 100, direction="none").ravel().tolist() == [0, 0, 0, 1, 0, 0, 0, 0]
    assert saturated_pixels(data.T, 100, grow=0, direction="rows").ravel().tolist() == [0, 0, 1, 1, 1, 1, 0, 0]


def test_neighbour_columns_are_not_touched():
    data = np.full((5, 3), 90.0, np.float32)
    data[2, 1] = 100
    flags = saturated_pixels(data, 100)
    assert flags[:, 1].all()
    assert not flags[:, [0, 2]].any()


def by_hand(data, level, limit, grow):
    """Walk from every saturated pixel, one step at a time."""
    flags = data >= level
    for row, at in np.argwhere(flags):
        for step in (-1, 1):
            k, more = row + step, grow
            while 0 <= k < len(data):
                if data[k, at] >= limit and more == grow:
                    flags[k, at] = True
                elif more > 0:
                    flags[k, at], more = True, more - 1
                else:
                    break
                k += step
    return flags


@settings(max_examples=150, deadline=None)
@given(
    arrays(
        np.uint16, st.tuples(st.integers(1, 12), st.integers(1, 6)), elements=st.sampled_from([0, 50, 85, 100, 120])
    ),
    st.integers(0, 3),
)
def test_array_version_and_kernel_do_what_walking_does(data, grow):
    expected = by_hand(data, 100, 80, grow)
    assert np.array_equal(saturated_pixels(data, 100, grow=grow), expected)
    mask = np.where(data >= 100, 4, 0).astype(np.uint8)
    rows, columns = (np.flatnonzero((data >= 100).any(axis=axis)) for axis in (1, 0))
    flag_bled(data, 0, 0, rows, columns, np.float32(100), np.float32(80), grow, mask)
    assert np.array_equal(mask != 0, expected)


def test_the_level_of_the_header_is_used_and_other_flags_stay(run):
    data = np.zeros((4, 2), np.uint16)
    data[1, 0] = 60000
    mask = np.full((4, 2), PixelFlag.COSMIC_RAY, np.uint8)
    flagged = run(FlagSaturated(grow=0), Image(data=data, mask=mask, header={"SATURATE": 60000}))
    assert flagged.mask[1, 0] == PixelFlag.SATURATED | PixelFlag.COSMIC_RAY
    assert (flagged.mask != 8).sum() == 1
    assert run(FlagSaturated(level=50000), Image(data=data)).mask[:3, 0].tolist() == [4, 4, 4]


def test_without_a_level_or_on_electrons_it_is_an_error(run):
    with pytest.raises(ImageError, match="level"):
        run(FlagSaturated(), Image(data=np.zeros((2, 2))))
    with pytest.raises(ImageError, match="before Gain"):
        run(FlagSaturated(level=1), Image(data=np.zeros((2, 2)), header={"BUNIT": "electron"}))
