"""Memory is used again when nobody refers to it, and never before."""

import numpy as np

from etendue.images import Image
from etendue.processors.calibration import Calibration
from etendue.processors.calibration.buffers import Buffers

SHAPE = (4, 4)


def test_what_is_referred_to_is_never_handed_out_again():
    buffers = Buffers(limit=10_000)
    held = [buffers.empty(SHAPE, np.float32) for _ in range(4)]
    views = [buffers.empty(SHAPE, np.float32)[1:].T for _ in range(2)]
    image = Image().replace(data=buffers.empty(SHAPE, np.float32))
    taken = buffers.empty(SHAPE, np.float32)
    for array in (*held, *views, image.data):
        assert not np.shares_memory(array, taken)


def test_what_is_free_is_used_again():
    buffers = Buffers(limit=10_000)
    first = buffers.empty(SHAPE, np.float32)
    address = first.ctypes.data
    first.flags.writeable = False
    other = buffers.empty(SHAPE, np.uint8)
    del first
    again = buffers.empty(SHAPE, np.float32)
    assert again.ctypes.data == address
    assert again.flags.writeable
    assert not np.shares_memory(again, other)


def test_not_more_is_kept_than_allowed():
    buffers = Buffers(limit=100)
    for _ in range(3):
        buffers.empty(SHAPE, np.float32)
    assert buffers.empty((100, 100), np.float32).shape == (100, 100)
    assert sum(array.nbytes for array in buffers._arrays) <= 100


def test_results_stay_what_they_were(run, rng):
    step = Calibration(bias=False, dark=False, flat=False, gain=1.0, read_noise=0.0)
    frames = [rng.integers(0, 1000, SHAPE).astype(np.uint16) for _ in range(30)]
    results = [run(step, Image(frame)) for frame in frames]
    results[3] = results[3] * 2
    results += [run(step, Image(frame)) for frame in frames]
    for k, result in enumerate(results):
        assert np.array_equal(result.data, frames[k % 30] * (2.0 if k == 3 else 1.0))
