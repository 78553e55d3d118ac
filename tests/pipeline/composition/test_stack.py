"""Several images into one."""

import asyncio
import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from etendue.images import Image, ImageError, PixelFlag
from etendue.images.provenance import Activity, InputFile
from etendue.pipeline import Pipeline, Stack
from etendue.processors import State

METHODS = ["mean", "median", "sum", "clipped"]


def series(images, **options):
    """What becomes of the images one by one, and of what is left at the end."""
    pipeline, state = Pipeline(steps=[Stack(**options)]), State()

    async def go():
        results = [await pipeline(image, state) for image in images]
        return results, [await leftover() async for leftover in pipeline.leftovers(state)]

    return asyncio.run(go())


def stacked(images, **options):
    """The one stack of all images."""
    _, (stack,) = series(images, **options)
    return stack


def frames(*values, **planes):
    return [Image(data=np.full((2, 3), float(value)), **planes) for value in values]


def test_a_stack_is_complete_with_its_size():
    results, rest = series(frames(1, 2, 3, 4, 5), size=2, method="mean")
    assert [result if result is None else float(result.data[0, 0]) for result in results] == [
        None,
        1.5,
        None,
        3.5,
        None,
    ]
    assert [float(left.data[0, 0]) for left in rest] == [5.0]


def test_groups_are_interleaved():
    images = [Image(data=[[float(k)]], header={"FILTER": "RV"[k % 2]}) for k in range(6)]
    results, rest = series(images, group=["filter"], method="sum")
    assert results == [None] * 6
    assert {left.filter: float(left.data[0, 0]) for left in rest} == {"R": 6.0, "V": 9.0}


def test_another_group_ends_a_consecutive_one():
    images = [Image(data=[[float(k)]], header={"OBJECT": name}) for k, name in enumerate("AABBA")]
    results, rest = series(images, group="OBJECT", consecutive=True, method="sum")
    assert [r if r is None else float(r.data[0, 0]) for r in results] == [None, None, 1.0, None, 5.0]
    assert [float(left.data[0, 0]) for left in rest] == [4.0]


@pytest.mark.parametrize(("method", "value"), [("mean", 22.0), ("median", 3.0), ("sum", 110.0), ("clipped", 2.5)])
def test_each_method_gives_its_value(method, value):
    assert stacked(frames(1, 2, 3, 4, 100), method=method).data.tolist() == [[value] * 3] * 2


@pytest.mark.parametrize("method", METHODS)
def test_masked_and_nan_pixels_are_left_out(method):
    images = frames(4, 4, 4)
    images[0] = images[0].replace(mask=np.array([[True, False, False]] * 2), data=np.full((2, 3), 4.0) * [[9, 1, 1]])
    with images[1].edit("data") as pixels:
        pixels[:, 1] = np.nan
    expected = 12.0 if method == "sum" else 4.0

    stack = stacked(images, method=method)

    assert stack.data.tolist() == [[expected] * 3] * 2
    assert not stack.mask.any()


@pytest.mark.parametrize("method", METHODS)
def test_a_pixel_that_is_nowhere_good_is_flagged(method):
    flags = np.array([[int(PixelFlag.SATURATED), 0, 0]], dtype=np.uint8)
    images = [Image(data=[[1.0, np.nan, 1.0]], mask=flags), Image(data=[[1.0, np.nan, 1.0]], mask=flags * 2)]

    stack = stacked(images, method=method)

    assert np.isnan(stack.data[0]).tolist() == [True, True, False]
    assert stack.mask.tolist() == [[4 | 8, int(PixelFlag.NO_DATA), 0]]
    assert stack.mask.dtype == np.uint8


def test_without_masks_there_is_none():
    assert stacked(frames(1, 2)).safe_mask is None
    assert stacked(frames(1, np.nan), method="mean").safe_mask is None
    assert stacked(frames(np.nan, np.nan), method="mean").mask.all()


@pytest.mark.parametrize(
    ("method", "factor"),
    [("mean", 1 / 4), ("clipped", 1 / 4), ("sum", 1.0)],
)
def test_errors_follow_the_closed_form(method, factor):
    images = [Image(data=np.full((2, 2), 5.0), uncertainty=np.full((2, 2), s)) for s in (1.0, 2.0, 3.0, 4.0)]
    expected = math.sqrt(1 + 4 + 9 + 16) * factor
    assert stacked(images, method=method).uncertainty == pytest.approx(expected)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 60])
def test_the_median_of_few_has_the_error_of_a_simulation(rng, count):
    medians = np.median(rng.normal(0, 2, (count, 100_000)), axis=0)
    images = [Image(data=[[5.0]], header={"GAIN": 1.5}, uncertainty=[[2.0]]) for _ in range(count)]

    stack = stacked(images, method="median")

    assert stack.uncertainty == pytest.approx(medians.std(), rel=0.012)
    assert stack.gain == pytest.approx(1.5 * 4 / medians.var(), rel=0.024)
    if count == 60:
        assert stack.uncertainty == pytest.approx(math.sqrt(math.pi / 2 / 60) * 2, rel=0.012)


def test_one_image_without_errors_leaves_the_stack_without():
    images = [*frames(1, uncertainty=np.ones((2, 3))), *frames(1)]
    assert stacked(images, method="mean").safe_uncertainty is None
    assert stacked(images, method="median").safe_uncertainty is None


@pytest.mark.parametrize("method", METHODS)
def test_errors_mean_what_they_say(rng, method):
    images = [
        Image(data=rng.normal(100, 3, (100, 100)).astype(np.float32), uncertainty=np.full((100, 100), 3.0))
        for _ in range(9)
    ]
    stack = stacked(images, method=method)
    truth = 900 if method == "sum" else 100
    pulls = (stack.data - truth) / stack.uncertainty
    assert abs(pulls.mean()) < 0.05
    # Clipping good values costs a little, and the median of 9 is a little better than that of many.
    assert pulls.std() == pytest.approx(1.0, abs=0.08)


def test_a_hit_in_one_of_five_frames_is_rejected(rng):
    images = [Image(data=rng.normal(1000, 5, (50, 50)).astype(np.float32)) for _ in range(5)]
    with images[2].edit("data") as pixels:
        pixels[10, 10] = 60000
    assert stacked(images).data[10, 10] == pytest.approx(1000, abs=10)


def test_gain_noise_and_exposure_are_those_of_the_stack():
    header = {"EXPTIME": 10.0, "GAIN": 1.5, "RDNOISE": 4.0, "SATURATE": 6e4, "OBJECT": "M1"}
    images = [Image(data=[[1.0]], header=header) for _ in range(4)]
    mean, total = stacked(images, method="mean"), stacked(images, method="sum")

    assert (mean.exposure_time, mean.gain, mean.read_noise, mean.saturation) == (10.0, 6.0, 8.0, 6e4)
    assert (total.exposure_time, total.gain, total.read_noise, total.saturation) == (40.0, 1.5, 8.0, 2.4e5)
    assert mean.header["NCOMBINE"] == 4
    assert images[0].header["GAIN"] == 1.5


def test_the_record_names_all_inputs():
    files = [InputFile(f"{k}.fits", 10, f"{k}" * 64) for k in range(3)]
    images = [
        image.with_provenance(Activity("read", "read", inputs=(file,)))
        for image, file in zip(frames(1, 2, 3), files, strict=True)
    ]
    results, _ = series(images, size=3)
    for stack in (results[-1], stacked(images)):
        assert [a.step for a in stack.provenance] == ["read", "Stack"]
        assert stack.provenance[-1].inputs == tuple(files)


def test_other_shapes_are_refused_with_both_names():
    images = [Image(data=np.ones((2, 2)), name="a.fits"), Image(data=np.ones((2, 3)), name="b.fits")]
    with pytest.raises(
        ImageError, match=r"b\.fits has shape \(2, 3\), and image a\.fits of the same stack has \(2, 2\)"
    ):
        series(images)


def test_a_refused_image_does_not_lose_the_stack_before_it():
    pipeline, state = Pipeline(steps=[Stack(group="OBJECT", consecutive=True, method="sum")]), State()
    images = [Image(data=[[2.0]], header={"OBJECT": "A"}), Image(header={"OBJECT": "B"})]

    async def go():
        assert await pipeline(images[0], state) is None
        with pytest.raises(ImageError, match="no data"):
            await pipeline(images[1], state)
        return [await leftover() async for leftover in pipeline.leftovers(state)]

    assert [float(left.data[0, 0]) for left in asyncio.run(go())] == [2.0]


def test_catalog_raw_and_input_are_left_alone():
    image = Image(data=[[1.0]], raw=[[3.0]])
    stack = stacked([image, image], method="sum")
    assert stack.safe_raw is None
    assert image.data.tolist() == [[1.0]]


@pytest.mark.parametrize("method", ["median", "clipped"])
def test_waiting_in_a_file_changes_nothing(rng, method):
    images = [
        Image(data=rng.normal(10, 1, (64, 64)), mask=rng.random((64, 64)) < 0.1, uncertainty=np.ones((64, 64)))
        for _ in range(6)
    ]
    inside, outside = stacked(images, method=method), stacked(images, method=method, max_memory=0.02)
    assert np.array_equal(inside.data, outside.data)
    assert np.array_equal(inside.uncertainty, outside.uncertainty)


def test_colour_images_and_movies_stack_plane_by_plane():
    images = [Image(data=np.full((3, 4, 5), k), mask=np.zeros((4, 5), dtype=bool)) for k in (1.0, 2.0, 6.0)]
    for method, value in (("mean", 3.0), ("median", 2.0)):
        stack = stacked(images, method=method)
        assert stack.data.shape == (3, 4, 5)
        assert (stack.data == value).all()


cubes = arrays(
    np.float32,
    st.tuples(st.integers(1, 7), st.integers(1, 4), st.integers(1, 4)),
    elements=st.floats(-1000, 1000, width=32) | st.just(np.nan),
)


@settings(deadline=None)
@given(cubes)
def test_agrees_with_numpy_on_what_is_good(cube):
    images = [Image(data=plane) for plane in cube]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        median, mean = np.nanmedian(cube, axis=0), np.nanmean(cube.astype(float), axis=0)
    assert np.allclose(stacked(images, method="median").data, median, atol=1e-3, equal_nan=True)
    assert np.allclose(stacked(images, method="mean").data, mean, atol=1e-3, equal_nan=True)
    clipped = stacked(images, sigma=1e9).data
    assert np.allclose(clipped, mean, atol=1e-3, equal_nan=True) or cube.shape[0] > 2


def clipped_slowly(values, errors, sigma):
    """Clipped mean of one pixel, value and error, as its definition says."""
    good = np.isfinite(values)
    floor = math.sqrt(np.mean(errors[good] ** 2)) if good.any() else 0.0
    for _ in range(5):
        if good.sum() < 3:
            break
        deviation = np.abs(values - np.median(values[good]))
        scale = max(1.4826 * np.median(deviation[good]), floor)
        if (survivors := good & (deviation <= sigma * scale)).sum() == good.sum():
            break
        good = survivors
    if not good.any():
        return np.nan, np.nan
    return values[good].mean(), math.sqrt((errors[good] ** 2).sum()) / good.sum()


@pytest.mark.parametrize("sigma", [0.3, 2.5])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 9, 60])
def test_clipping_does_what_its_definition_says(rng, count, sigma):
    cube = rng.normal(100, 5, (count, 6, 7)).astype(np.float32)
    cube[rng.random(cube.shape) < 0.15] += 80
    cube[rng.random(cube.shape) < 0.15] = np.nan
    errors = rng.uniform(0.0, 6.0, cube.shape).astype(np.float32)

    made = stacked([Image(data=data, uncertainty=error) for data, error in zip(cube, errors, strict=True)], sigma=sigma)

    for y, x in np.ndindex(6, 7):
        mean, error = clipped_slowly(cube[:, y, x].astype(float), errors[:, y, x].astype(float), sigma)
        assert made.data[y, x] == pytest.approx(mean, rel=1e-5, nan_ok=True)
        assert made.uncertainty[y, x] == pytest.approx(error, rel=1e-4, nan_ok=True)
