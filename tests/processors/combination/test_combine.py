"""What becomes of several frames, in memory and from files."""

import gzip
import math

import numpy as np
import pytest
from astropy.io import fits

from etendue.images import Image, ImageError, PixelFlag
from etendue.processors.combination import combine as module
from etendue.processors.combination import frames as frames_module
from etendue.processors.combination.combine import combine_files, combine_images
from etendue.processors.combination.reduction import mad_correction, median_efficiency


def constant(*values, shape=(3, 4), **planes):
    return [Image(np.full(shape, value, dtype=np.float32), **planes) for value in values]


@pytest.mark.parametrize("method", ["clipped", "median"])
def test_one_hit_among_five_biases_leaves_no_trace(method, rng):
    frames = [rng.normal(1000, 3, (40, 50)).astype(np.float32) for _ in range(5)]
    frames[2][10, 20] = 60_000

    combined = combine_images([Image(frame) for frame in frames], method=method, floor=3)

    assert abs(combined.data[10, 20] - 1000) < 6
    assert combined.count[10, 20] == (4 if method == "clipped" else 5)
    assert combined.uncertainty[10, 20] < 10


def test_masked_and_nan_values_are_left_out():
    frames = constant(1, 2, 3)
    frames[0] = Image(np.where(np.eye(3, 4) > 0, np.nan, 1).astype(np.float32))
    mask = np.zeros((3, 4), dtype=np.uint8)
    mask[2] = PixelFlag.COSMIC_RAY
    frames[1] = frames[1].replace(mask=mask)

    combined = combine_images(frames, method="mean")

    assert combined.data[0].tolist() == [2.5, 2, 2, 2]
    assert combined.count[2].tolist() == [2, 2, 1, 2]
    assert combined.data[2, 2] == 3


def test_pixel_without_any_value_is_nan_and_masked():
    mask = np.zeros((3, 4), dtype=bool)
    mask[1, 1] = True
    for method in ("mean", "median", "clipped"):
        combined = combine_images(constant(1, 2, 4, mask=mask), method=method)

        assert np.isnan(combined.data[1, 1])
        assert np.isnan(combined.uncertainty[1, 1])
        assert combined.mask.sum() == 1


@pytest.mark.parametrize("frames", [2, 3, 4, 5, 8, 11])
@pytest.mark.parametrize("method", ["mean", "median"])
def test_error_from_scatter_is_that_of_the_result(frames, method, rng):
    combined = combine_images([Image(rng.normal(0, 2, (300, 300))) for _ in range(frames)], method=method)

    # Of the mean the variance is unbiased, of the median the standard deviation.
    typical = np.sqrt(np.mean(combined.uncertainty**2)) if method == "mean" else combined.uncertainty.mean()
    assert combined.data.std() / typical == pytest.approx(1, abs=0.015)


@pytest.mark.parametrize("method", ["mean", "median", "clipped"])
def test_error_from_uncertainties_is_that_of_the_result(method, rng):
    images = [Image(rng.normal(0, 2, (300, 300)), uncertainty=np.full((300, 300), 2.0)) for _ in range(9)]

    combined = combine_images(images, method=method, floor=2.0)

    assert combined.data.std() / combined.uncertainty.mean() == pytest.approx(1, abs=0.015)


def test_small_sample_factors_are_those_of_a_simulation(rng):
    for count in (2, 3, 4, 5, 8, 9, 14, 15):
        values = rng.normal(size=(count, 100_000))
        medians = np.median(values, axis=0)
        deviations = 1.4826 * np.median(np.abs(values - medians), axis=0)

        assert median_efficiency(np.array(count)) == pytest.approx(medians.std() * math.sqrt(count), rel=0.015)
        assert mad_correction(np.array(count)) == pytest.approx(1 / deviations.mean(), rel=0.015)


def test_inverse_variance_weights():
    frames = [
        Image(np.full((2, 2), value, dtype=np.float32), uncertainty=np.full((2, 2), error, dtype=np.float32))
        for value, error in ((10.0, 1.0), (16.0, 2.0))
    ]

    combined = combine_images(frames, method="mean", inverse_variance=True)

    assert combined.data[0, 0] == pytest.approx((10 + 16 / 4) / 1.25)
    assert combined.uncertainty[0, 0] == pytest.approx(1 / math.sqrt(1.25))


def test_weights_of_frames():
    combined = combine_images(constant(1, 4), method="mean", weights=[2, 1])

    assert combined.data[0, 0] == pytest.approx(2)


def test_flats_are_scaled_to_their_mean_level(rng):
    response = rng.uniform(0.8, 1.2, (64, 64)).astype(np.float32)
    images = [Image(response * level) for level in (10_000, 20_000, 30_000)]
    images[0] = Image(np.where(response > 1.19, 60_000, images[0].data), mask=response > 1.19)

    combined = combine_images(images, scale="median")

    assert np.allclose(combined.data, response * 20_000, rtol=0.01)
    assert combined.factors == pytest.approx([2, 1, 2 / 3], rel=0.01)
    assert combined.count.min() == 2


def test_frame_without_level_cannot_be_scaled():
    with pytest.raises(ImageError, match="cannot be scaled"):
        combine_images(constant(1, -3), scale="median")


def test_known_noise_keeps_good_values(rng):
    images = [Image(rng.normal(0, 1, (200, 200))) for _ in range(5)]

    blind = combine_images(images, sigma_low=3, sigma_high=3)
    knowing = combine_images(images, sigma_low=3, sigma_high=3, floor=1.0)

    assert (blind.count < 5).mean() > 0.2
    assert (knowing.count < 5).mean() < 0.03
    assert knowing.data.std() < blind.data.std()


def test_uncertainties_keep_good_values_of_each_pixel(rng):
    sigma = np.where(np.arange(200) < 100, 1.0, 20.0) * np.ones((200, 1))
    images = [Image(rng.normal(0, sigma), uncertainty=sigma) for _ in range(5)]
    with images[2].edit("data") as pixels:
        pixels[10, 20] = 100

    combined = combine_images(images, floor="uncertainty")

    assert (combined.count < 5).mean() < 0.03
    assert combined.count[10, 20] == 4
    assert (combined.data / combined.uncertainty).std() == pytest.approx(1, abs=0.03)


def test_of_two_values_none_is_clipped():
    combined = combine_images(constant(1, 5), sigma_low=0.1, sigma_high=0.1)

    assert combined.data[0, 0] == 3


def test_other_rules_are_refused():
    for wrong in (
        {"method": "sum"},
        {"sigma_low": 0},
        {"rounds": 0},
        {"floor": -1},
        {"floor": "mean"},
        {"method": "median", "inverse_variance": True},
    ):
        with pytest.raises(ValueError):
            combine_images(constant(1, 2), **wrong)
    with pytest.raises(ValueError, match="one for each"):
        combine_images(constant(1, 2), method="mean", weights=[1])
    with pytest.raises(ImageError, match="no frames"):
        combine_images([])
    with pytest.raises(ImageError, match="has no uncertainty"):
        combine_images(constant(1, 2), uncertainty="propagated")
    with pytest.raises(ImageError, match="5 x 3 pixels"):
        combine_images([*constant(1), *constant(1, shape=(3, 5))])


@pytest.fixture
def files(tmp_path, rng):
    """Raw frames of uint16, a float frame with mask and uncertainty by Etendue, and a packed one."""
    paths = []
    for i in range(5):
        path = tmp_path / f"raw{i}.fits"
        fits.writeto(path, rng.poisson(1000, (300, 200)).astype(np.uint16))
        paths.append(path)
    packed = tmp_path / "packed.fits.gz"
    packed.write_bytes(gzip.compress(paths[4].read_bytes()))
    paths[4] = packed
    mask = np.zeros((300, 200), dtype=bool)
    mask[7, 9] = True
    own = tmp_path / "own.fits"
    Image(rng.normal(1000, 30, (300, 200)).astype(np.float32), mask=mask).writeto(own)
    return [*paths, own]


@pytest.mark.parametrize("memory", [0.01, 1000])
def test_files_give_what_images_give(files, memory, monkeypatch):
    monkeypatch.setattr(module, "TILE", 30_000)  # some rows at a time
    images = [Image.from_file(path) for path in files]

    for rule in ({"method": "median"}, {"method": "clipped", "scale": "mean"}):
        by_rows = combine_files(files, memory=memory, **rule)
        at_once = combine_images(images, **rule)

        assert np.allclose(by_rows.data, at_once.data, rtol=1e-6)
        assert np.array_equal(by_rows.count, at_once.count)
        assert by_rows.count[7, 9] <= 5


def test_each_file_is_opened_once_and_closed(files, monkeypatch):
    opened, closed = [], []
    real = frames_module.open_bands

    def counting(path):
        bands = real(path)
        opened.append(path)
        if bands is not None:
            close = bands.close
            monkeypatch.setattr(bands, "close", lambda: (closed.append(path), close()))
        return bands

    monkeypatch.setattr(frames_module, "open_bands", counting)
    monkeypatch.setattr(module, "TILE", 30_000)

    combine_files(files, scale="median")

    assert opened == files
    assert len(closed) == 5  # all but the packed one


def test_prepared_frames(files):
    combined = combine_files(files, method="mean", prepare=lambda image: image - 1000)

    assert abs(float(np.nanmedian(combined.data))) < 10


def test_damaged_file_is_named(files, tmp_path):
    (tmp_path / "raw1.fits").write_bytes((tmp_path / "raw0.fits").read_bytes()[:6000])

    with pytest.raises(ImageError, match=r"raw1\.fits.*truncated"):
        combine_files(files)
    with pytest.raises(FileNotFoundError):
        combine_files([tmp_path / "none.fits"])


@pytest.mark.parametrize(
    ("etendue", "ccdproc_rule"),
    [
        ({"method": "median"}, {"method": "median"}),
        ({"method": "mean"}, {"method": "average"}),
        ({"rounds": 1},
         {"method": "average", "sigma_clip": True, "sigma_clip_func": "median", "sigma_clip_dev_func": "mad_std"}),
        ({"rounds": 1, "center": "mean", "deviation": "std", "sigma_low": 1.5, "sigma_high": 1.5},
         {"method": "average", "sigma_clip": True, "sigma_clip_func": "mean", "sigma_clip_dev_func": "std",
          "sigma_clip_low_thresh": 1.5, "sigma_clip_high_thresh": 1.5}),
    ],
)  # fmt: skip
def test_result_is_that_of_ccdproc(etendue, ccdproc_rule, rng):
    ccdproc = pytest.importorskip("ccdproc")
    from astropy.nddata import CCDData

    frames = [rng.poisson(1000, (60, 70)).astype(np.float32) for _ in range(10)]
    frames[3][5, 6] = 60_000
    theirs = ccdproc.combine([CCDData(frame, unit="adu") for frame in frames], **ccdproc_rule)

    ours = combine_images([Image(frame) for frame in frames], **etendue)

    assert np.allclose(ours.data, theirs.data, rtol=2e-6)
