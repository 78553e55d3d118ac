"""The processor CombineFrames."""

import numpy as np
import pytest

from etendue.images import Image, ImageError, PixelFlag
from etendue.processors.combination import CombineFrames, FrameCount
from etendue.processors.processor import State
from etendue.processors.testing import check_processor


def frame(value, **cards):
    return Image(
        np.full((4, 5), value, dtype=np.float32), header={"EXPTIME": 10.0, "GAIN": 2.0, "RDNOISE": 4.0, **cards}
    )


def combined(run, processor, *images):
    state = State()
    given = [run(processor, image, state) for image in images]
    return [image for image in given if image is not None] + [make() for make in processor.finish(state)]


def test_contract():
    check_processor(CombineFrames())
    check_processor(CombineFrames(size=1, scale="median"), skip={"keeps_what_it_does_not_write"})  # it drops catalogues


def test_images_wait_until_the_run_ends(run):
    (made,) = combined(run, CombineFrames(method="mean"), frame(1), frame(2), frame(6))

    assert made.data[0, 0] == 3
    assert made.header["NCOMBINE"] == 3
    assert made.gain == 6
    assert made.read_noise == pytest.approx(4 * 3**0.5)
    assert made.get_meta(FrameCount).values.min() == 3


def test_groups_and_sizes(run):
    frames = [frame(1, FILTER="R"), frame(5, FILTER="V"), frame(3, FILTER="R"), frame(7, FILTER="R")]

    made = combined(run, CombineFrames(group="filter", size=2, method="mean"), *frames)

    assert [image.data[0, 0] for image in made] == [2, 5, 7]
    assert [image.filter for image in made] == ["R", "V", "R"]


def test_movie_becomes_an_image_at_once(run):
    data = np.arange(5, dtype=np.float32)[:, None, None] * np.ones((4, 5), dtype=np.float32)
    data[4, 1, 2] = 60_000

    made = run(CombineFrames(floor=2.0), Image(data, axes="TYX"), State())

    assert made.data.shape == (4, 5)
    assert made.data[0, 0] == 2
    assert made.data[1, 2] == 1.5


def test_colours_are_combined_one_by_one(run):
    data = np.arange(3, dtype=np.float32)[:, None, None] * np.ones((4, 5), dtype=np.float32)

    (made,) = combined(run, CombineFrames(method="mean"), Image(data), Image(data + 2))

    assert made.is_color
    assert made.data[:, 0, 0].tolist() == [1, 2, 3]


def test_pixel_that_is_bad_everywhere_keeps_its_flags(run):
    mask = np.zeros((4, 5), dtype=np.uint8)
    mask[1, 1] = PixelFlag.BAD
    other = mask.copy()
    other[1, 1] = PixelFlag.SATURATED
    other[2, 2] = PixelFlag.COSMIC_RAY

    (made,) = combined(run, CombineFrames(), frame(1).replace(mask=mask), frame(2).replace(mask=other))

    assert made.mask[1, 1] == PixelFlag.BAD | PixelFlag.SATURATED
    assert made.mask[2, 2] == 0
    assert np.isnan(made.data[1, 1])


def test_other_shape_is_refused_and_the_group_goes_on(run):
    processor, state = CombineFrames(method="mean"), State()
    run(processor, frame(1), state)

    with pytest.raises(ImageError, match="shape"):
        run(processor, Image(np.zeros((4, 6), dtype=np.float32)), state)

    run(processor, frame(3), state)
    (make,) = processor.finish(state)
    assert make().data[0, 0] == 2


def test_waiting_images_beyond_the_memory_go_to_a_file(run):
    (made,) = combined(run, CombineFrames(method="median", max_memory=1e-4), frame(1), frame(2), frame(6))

    assert made.data[0, 0] == 2


def test_median_takes_no_weights():
    with pytest.raises(ValueError, match="median takes no weights"):
        CombineFrames(method="median", weights="inverse_variance")
