"""Pictures for people."""

import io

import numpy as np
import pytest
from PIL import Image as Picture

from etendue.images import Image, ImageError
from etendue.images.display import downsample, encode, limits, picture


def test_the_first_row_is_at_the_bottom():
    assert picture(np.array([[0.0, 1.0], [2.0, 3.0]]), vmin=0, vmax=3).tolist() == [[170, 255], [0, 85]]


def test_a_constant_frame_is_black():
    assert not picture(np.ones((4, 4))).any()
    assert not picture(np.full((4, 4), np.nan)).any()


def test_limits_that_are_given_are_used():
    assert (picture(np.ones((4, 4)), vmin=0.5, vmax=1.5) == 127).all()


def test_only_the_missing_limit_is_found():
    data = np.arange(101.0).reshape(1, 101)

    assert picture(data, vmin=0)[0, 50] == int(50 / 95 * 255)
    assert picture(data, vmax=105)[0, 55] == int((55 - 5) / 100 * 255)
    assert limits(data) == (5.0, 95.0)
    assert limits(data, low=10, high=50) == (10.0, 50.0)


def test_logarithm_and_square_root_lift_what_is_faint():
    values = np.array([[0.0, 1.0, 25.0, 100.0]])

    def grey(fraction: np.ndarray) -> list[int]:
        return [int(level) for level in fraction.ravel() * 255]

    logarithm = picture(values, vmin=0, vmax=100, stretch="log")[0].astype(int)
    root = picture(values, vmin=0, vmax=100, stretch="sqrt")[0].astype(int)

    assert np.abs(logarithm - grey(np.log1p(10 * values) / np.log1p(1000))).max() <= 1
    assert np.abs(root - grey(np.sqrt(values / 100))).max() <= 1


def test_nan_is_black_and_does_not_disturb():
    data = np.arange(100.0).reshape(10, 10)
    with_nan = data.copy()
    with_nan[5, 5] = np.nan

    shown = picture(with_nan)

    assert shown[4, 5] == 0
    assert np.abs(shown.astype(int) - picture(data))[np.arange(10) != 4].max() <= 2


def test_infinities_are_clipped():
    assert picture(np.array([[0.0, 1.0, np.inf, -np.inf]]), vmin=0, vmax=1).tolist() == [[0, 255, 255, 0]]


def test_quantiles_of_a_large_frame_are_right():
    data = np.random.default_rng(1).normal(size=(2048, 2048)).astype(np.float32)

    assert limits(data) == pytest.approx((-1.6449, 1.6449), abs=0.02)


def test_a_frame_with_hot_columns_is_sampled_across_them():
    data = np.zeros((2048, 2048), np.float32)
    data[:, ::16] = 1000.0

    assert limits(data)[1] == 1000.0
    assert limits(data, high=90)[1] == 0.0


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float64])
def test_all_types_of_pixels(dtype):
    ramp = np.arange(200, dtype=dtype).reshape(10, 20)

    shown = picture(ramp, vmin=0, vmax=199)

    assert (shown[-1, 0], shown[0, -1]) == (0, 255)


def test_asinh_keeps_faint_and_bright():
    data = np.array([[0.0, 0.02, 1.0]])

    shown = picture(data, vmin=0, vmax=1, stretch="asinh", softening=0.02)[0]

    assert shown.tolist() == pytest.approx([0, 255 * np.arcsinh(1) / np.arcsinh(50), 255], abs=1)


def test_zscale_follows_the_sky_as_astropy_does():
    from astropy.visualization import ZScaleInterval

    data = np.random.default_rng(2).normal(100, 5, (200, 200))
    data[:3] = 60000

    assert limits(data, "zscale") == pytest.approx(ZScaleInterval().get_limits(data))


def test_colour():
    shown = picture(np.stack([np.full((2, 2), value) for value in (0.0, 0.5, 1.0)]), vmin=0, vmax=1)

    assert shown.shape == (2, 2, 3)
    assert shown[0, 0].tolist() == [0, 127, 255]


def test_a_movie_is_shown_as_its_mean():
    movie = Image(np.stack([np.zeros((2, 4)), np.zeros((2, 4)), np.full((2, 4), 3.0)]), axes="TYX")

    assert Picture.open(io.BytesIO(movie.to_png(0, 2))).getpixel((0, 0)) == 127


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_files_are_read_by_pillow(kind):
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)

    opened = Picture.open(io.BytesIO(encode(ramp, kind)))

    assert opened.format == kind.upper()
    assert np.abs(np.asarray(opened).astype(int) - ramp).max() <= (3 if kind == "jpeg" else 0)


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (40, 300), (1, 9, 3), (33, 20, 3)])
@pytest.mark.parametrize("noisy", [True, False])
def test_png_is_lossless(shape, noisy, rng):
    array = rng.integers(0, 256 if noisy else 2, shape).astype(np.uint8)

    opened = Picture.open(io.BytesIO(encode(array, "png")))
    opened.load()

    assert np.array_equal(np.asarray(opened), array)
    assert opened.mode == ("L" if len(shape) == 2 else "RGB")


def test_a_png_of_little_content_is_small():
    assert len(encode(np.zeros((500, 500), np.uint8), "png")) < 5000


def test_pictures_of_images():
    image = Image(np.arange(100.0).reshape(10, 10))

    assert Picture.open(io.BytesIO(image.to_jpeg(quality=50))).size == (10, 10)
    assert Picture.open(io.BytesIO(image.to_png(stretch="zscale"))).mode == "L"
    assert Picture.open(io.BytesIO(Image(np.ones((3, 4, 5))).to_jpeg())).mode == "RGB"
    with pytest.raises(ImageError, match="no data"):
        Image().to_jpeg()


def test_unknown_stretches_and_shapes_are_refused():
    with pytest.raises(ValueError, match="linear, asinh, zscale"):
        picture(np.ones((2, 2)), stretch="cube")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="H, W"):
        picture(np.ones(3))
    with pytest.raises(ValueError, match="jpeg"):
        encode(np.ones((2, 2), np.uint8), "gif")  # type: ignore[arg-type]


def test_thumbnails_are_means_without_nan():
    data = np.arange(16.0).reshape(4, 4)
    data[0, 0] = np.nan

    assert downsample(data, 2) == pytest.approx(np.array([[10 / 3, 4.5], [10.5, 12.5]]))
    assert downsample(data, 4) is data
    assert downsample(np.ones((3, 50, 40)), 10).shape == (3, 10, 8)
    assert downsample(np.ones((1, 1000)), 10).shape == (1, 10)
    with pytest.raises(ValueError, match="at least 1"):
        downsample(data, 0)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (3, 0, 4)])
def test_an_image_without_pixels_has_no_picture(shape):
    for show in (Image(np.zeros(shape)).to_jpeg, Image(np.zeros(shape)).to_png):
        with pytest.raises(ImageError, match="needs pixels"):
            show()
