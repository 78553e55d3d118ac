"""Images that wait for their group, whatever becomes of them."""

import numpy as np
import pytest

from etendue.images import Image
from etendue.processors.combination import CombineFrames
from etendue.processors.combination.frames import HeldFrame, Waiting
from etendue.processors.combination.grouping import group_value
from etendue.processors.combination.running_sum import RunningSum
from etendue.processors.processor import State


def frame(value=1.0):
    return HeldFrame("frame", np.full((64, 64), value, dtype=np.float32))


def test_memory_of_waiting_frames_is_bounded():
    waiting = Waiting(40_000 / 2**20)

    frames = [waiting.hold(frame(k)) for k in range(10)]

    assert sum(held.nbytes for held in frames if held.in_memory) <= 40_000
    assert [float(held.data[0, 0]) for held in frames] == list(range(10))


def test_memory_of_frames_that_wait_no_longer_is_used_again():
    waiting = Waiting(40_000 / 2**20)
    frames = [waiting.hold(frame()) for _ in range(3)]
    assert [held.in_memory for held in frames] == [True, True, False]

    waiting.release(frames)

    assert waiting.hold(frame()).in_memory


def test_groups_that_overlap_for_ever_keep_to_the_memory(run):
    processor, state = CombineFrames(group="A", size=2, max_memory=0.02), State()
    room = []
    for k in range(8):
        run(processor, Image(frame().data, header={"A": (k + 1) // 2}), state)
        room.append(state["waiting"].room)

    assert len(set(room[1:])) == 1


@pytest.mark.parametrize(
    ("one", "other"), [(30, 30.0), ("R", "R   "), (None, ""), (True, True), ("2024-01-01", "2024-01-01")]
)
def test_values_that_mean_the_same_are_one_group(one, other):
    assert group_value(Image(header={"A": one}), "A") == group_value(Image(header={"A": other}), "A")


def test_misspelt_property_is_refused():
    with pytest.raises(ValueError, match="unknown property 'filtr', did you mean 'filter'"):
        CombineFrames(group=["OBJECT", "filtr"])
    with pytest.raises(ValueError, match="unknown property 'mask'"):
        CombineFrames(group="mask")


def test_another_group_ends_a_consecutive_one(run):
    processor, state = CombineFrames(group="OBJECT", consecutive=True, method="mean"), State()
    images = [Image(np.full((2, 2), k, np.float32), header={"OBJECT": name}) for k, name in enumerate("AABBA")]

    made = [run(processor, image, state) for image in images]

    assert [None if image is None else float(image.data[0, 0]) for image in made] == [None, None, 0.5, None, 2.5]


def test_running_sum_agrees_with_numpy(rng):
    cube = rng.normal(1e6, 1, (20, 8, 9)).astype(np.float32)
    masks = rng.random(cube.shape) < 0.2
    errors = rng.uniform(1, 2, cube.shape)
    running = RunningSum((8, 9))
    for planes in zip(cube, masks, errors, strict=True):
        running.add(HeldFrame("frame", *planes))

    good = np.ma.masked_array(cube.astype(np.float64), masks)
    assert np.allclose(running.mean().data, good.mean(axis=0), rtol=1e-7)
    assert np.allclose(running.total().data, 20 * good.mean(axis=0), rtol=1e-7)
    variance = np.where(masks, 0, errors**2).sum(axis=0)
    assert np.allclose(running.mean().uncertainty, np.sqrt(variance) / (~masks).sum(axis=0))
    assert np.array_equal(running.mean().count, (~masks).sum(axis=0))
