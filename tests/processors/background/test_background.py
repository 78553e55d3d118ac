"""The sky: compared with closed forms, with sep, and with slow twins of the kernels."""

import numpy as np
import pytest
import sep
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import CubicSpline

from etendue.images import Image, ImageError
from etendue.processors.background import SubtractBackground, background
from etendue.processors.background.background import filled, median_filtered
from etendue.processors.background.mesh import box_statistics
from etendue.processors.background.spline import curvature_operator, spline_weights

NO_MASK = np.empty((0, 0), dtype=np.uint8)


def starry_sky(rng, shape=(500, 620), sigma=12.0):
    y, x = np.indices(shape)
    data = 1000 + 0.01 * x + 0.02 * y + rng.normal(0, sigma, shape)
    for _ in range(shape[0] * shape[1] // 3000):
        x0, y0 = rng.uniform(16, shape[1] - 17), rng.uniform(16, shape[0] - 17)
        box = np.s_[int(y0) - 15 : int(y0) + 16, int(x0) - 15 : int(x0) + 16]
        data[box] += (rng.pareto(1.0) * 100) * np.exp(-((x[box] - x0) ** 2 + (y[box] - y0) ** 2) / 8)
    return data.astype(np.float32)


@pytest.mark.parametrize("masked", [False, True])
def test_level_and_noise_are_those_of_sep(rng, masked):
    data, sigma = starry_sky(rng), 12.0
    mask = None
    if masked:
        mask = rng.random(data.shape) < 0.01
        mask[50:200, 50:180] = True

    ours, theirs = background(data, mask), sep.Background(data, mask=mask)

    difference = (ours.level() - theirs.back()) / sigma
    assert abs(difference.mean()) < 0.005
    assert difference.std() < 0.01  # a box's own statistical error is 0.03
    assert np.abs(ours.rms() - theirs.rms()).max() < 0.03 * sigma
    assert ours.global_level == pytest.approx(theirs.globalback, abs=0.01 * sigma)
    assert ours.global_rms == pytest.approx(theirs.globalrms, rel=0.005)


def test_box_level_is_the_clipped_mode(rng):
    """A slow twin of the kernel: clip at 3 sigma around the median, then 2.5 median - 1.5 mean."""
    data = rng.normal(200, 5, (64, 64)).astype(np.float32)
    data[:4] += 300  # 6 % of the box are a source
    level, noise = np.empty((1, 1)), np.empty((1, 1))

    box_statistics(data, NO_MASK, 64, 64, 3.0, level, noise)

    kept = data.astype(float).ravel()
    for _ in range(20):
        kept = kept[np.abs(kept - np.median(kept)) <= 3 * kept.std()]
    assert level[0, 0] == pytest.approx(2.5 * np.median(kept) - 1.5 * kept.mean(), abs=0.02 * 5)
    assert noise[0, 0] == pytest.approx(kept.std(), rel=0.01)


def test_a_saturated_star_does_not_blur_the_sky(rng):
    data = rng.normal(200, 5, (64, 64)).astype(np.float32)
    data[20:30, 20:30] = 60000

    sky = background(data)

    assert sky.global_level == pytest.approx(200, abs=0.5)
    assert sky.global_rms == pytest.approx(5, rel=0.05)


def test_a_constant_frame_has_its_level_and_no_noise():
    sky = background(np.ones((100, 100), dtype=np.float32))

    assert sky.level().tolist() == np.ones((100, 100)).tolist()
    assert sky.global_rms == 0


@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (3, 200), (64, 64), (65, 129), (200, 70)])
def test_any_shape_has_a_sky(rng, shape):
    data = rng.normal(100, 1, shape).astype(np.float32)

    sky = background(data)

    assert sky.level().shape == shape
    assert np.abs(sky.level() - 100).max() < 5


def test_masked_pixels_and_nan_are_left_out(rng):
    data = rng.normal(100, 1, (128, 128)).astype(np.float32)
    mask = np.zeros(data.shape, dtype=bool)
    data[10:40, 10:40], mask[10:40, 10:40] = 5000, True
    data[90:120, 20:50] = np.nan
    data[90:120, 70:90] = np.inf

    sky = background(data, mask)

    assert np.abs(sky.level() - 100).max() < 0.6
    assert sky.usable == 128 * 128 - 900 - 900 - 600


def test_flags_mask_like_bool(rng):
    data = starry_sky(rng, (128, 128))
    mask = rng.random(data.shape) < 0.2

    flags = np.where(mask, 4, 0).astype(np.int32)

    assert np.array_equal(background(data, mask).level(), background(data, flags).level())


def test_a_lost_quadrant_is_filled_from_its_neighbours(rng):
    data = rng.normal(100, 1, (256, 256)).astype(np.float32)
    data[128:, 128:] = np.nan

    assert np.abs(background(data).level() - 100).max() < 0.6


def test_few_usable_pixels_still_give_a_level(rng):
    data = np.full((128, 128), np.nan, dtype=np.float32)
    data[::4, ::4] = rng.normal(100, 1, (32, 32))

    assert background(data).global_level == pytest.approx(100, abs=0.3)


def test_nothing_usable_is_an_error(run):
    for image in (
        Image(np.full((9, 9), np.nan)),
        Image(np.ones((9, 9)), mask=np.ones((9, 9), dtype=bool), name="a.fits"),
    ):
        with pytest.raises(ImageError, match="every pixel is masked or NaN"):
            run(SubtractBackground(), image)
    with pytest.raises(ImageError, match="no pixels"):
        background(np.empty((0, 5), dtype=np.float32))


def test_the_spline_is_the_natural_cubic_one(rng):
    nodes = rng.normal(0, 1, 7)
    positions = np.arange(-10, 130.0)
    cell, weights = spline_weights(positions, 16, 7)

    bent = curvature_operator(7) @ nodes
    values = (
        weights[0] * nodes[cell] + weights[1] * nodes[cell + 1] + weights[2] * bent[cell] + weights[3] * bent[cell + 1]
    )

    centres = (np.arange(7) + 0.5) * 16 - 0.5
    assert values == pytest.approx(CubicSpline(centres, nodes, bc_type="natural")(positions), abs=1e-9)


@given(height=st.integers(1, 90), width=st.integers(1, 90), box=st.integers(1, 40), seed=st.integers(0, 10))
def test_maps_points_and_subtraction_agree(height, width, box, seed):
    rng = np.random.default_rng(seed)
    data = rng.normal(50, 2, (height, width)).astype(np.float32)
    sky = background(data, box_size=box, filter_size=1)
    x, y = rng.integers(0, width, 5), rng.integers(0, height, 5)

    assert sky.level_at(x, y) == pytest.approx(sky.level()[y, x], abs=1e-2)
    assert np.array_equal(sky.subtract_from(data), data - sky.level()) or np.allclose(
        sky.subtract_from(data), data - sky.level(), atol=2e-5
    )


def test_nearest_boxes_fill_an_empty_one():
    mesh = np.array([[1.0, np.nan, 3.0], [1.0, 8.0, 3.0]])

    assert filled(mesh)[0, 1] == pytest.approx((1 + 3 + 8) / 3)


def test_the_filter_shrinks_on_both_sides_at_the_border():
    mesh = np.arange(20.0).reshape(4, 5)
    mesh[2, 2] = 100

    assert median_filtered(mesh, 3)[0, 0] == 0  # a corner keeps its value: a gradient does not move it
    assert median_filtered(mesh, 3)[2, 2] == 13  # the median of 6 7 8 11 100 13 16 17 18
    assert median_filtered(mesh, 3)[0, 2] == 2


def test_everything_else_of_the_image_stays(run, make_noise):
    image = make_noise((80, 100), mask=np.zeros((80, 100), dtype=bool), uncertainty=np.full((80, 100), 5.0))

    result = run(SubtractBackground(), image)

    assert result.mask is image.mask
    assert result.uncertainty is image.uncertainty
    assert result.data.dtype == np.float32
    assert abs(np.median(result.data)) < 0.5
    assert result.header["BKGLEVEL"] == pytest.approx(100, abs=0.5)
    assert result.header["BKGRMS"] == pytest.approx(5, rel=0.05)
    assert "BKGLEVEL" not in image.header
    assert "BKGLEVEL" not in run(SubtractBackground(write_header=False), image).header


def test_colours_are_treated_one_by_one(run, rng):
    data = rng.normal([[[100]], [[200]], [[300]]], 1, (3, 64, 64)).astype(np.float32)

    result = run(SubtractBackground(), Image(data))

    assert np.abs(np.median(result.data, axis=(1, 2))).max() < 0.2
    assert result.axes == "CYX"


def test_integers_become_float_and_doubles_stay(run):
    frame = np.full((32, 32), 7, dtype=np.uint16)

    assert run(SubtractBackground(), Image(frame)).data.tolist() == np.zeros((32, 32)).tolist()
    assert run(SubtractBackground(), Image(frame)).data.dtype == np.float32
    assert run(SubtractBackground(), Image(frame.astype(np.float64))).data.dtype == np.float64


def test_an_even_filter_is_refused():
    with pytest.raises(ValueError, match="must be odd"):
        SubtractBackground(filter_size=4)
