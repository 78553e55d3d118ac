"""Warm pixels of a camera without darks, from a night in which the field drifts by 270 x 60 px."""

import numpy as np

from etendue.processors.combination import warm_pixels


def test_halves_of_the_night_give_the_same_map(shared_data):
    paths = sorted((shared_data / "timeseries" / "hatp32").glob("*.gz"))

    even, odd = (warm_pixels(paths[start::4]) for start in (0, 2))

    one, other = even.data != 0, odd.data != 0
    common = (one & other).sum()
    assert abs(even.header["DRIFT"] - np.hypot(270, 60)) < 40
    assert common > 0.75 * max(one.sum(), other.sum())
    assert one.mean() < 0.03
