"""Masters from made raw frames of known bias, dark current and response."""

import numpy as np
import pytest

from etendue.images import Image, ImageError, PixelFlag
from etendue.images.sections import Amplifier, Section
from etendue.processors.combination import (
    Preparation,
    bad_pixel_map,
    dark_current,
    master_bias,
    master_dark,
    master_flat,
    photon_transfer,
)

SHAPE = (120, 160)
GAIN, READ_NOISE = 2.0, 3.0  # electron/adu, adu


class Camera:
    """Two amplifiers of different gain and level, each with 20 columns of overscan at the right."""

    def __init__(self, folder, rng, gains=(GAIN, GAIN)):
        self.folder, self.rng, self.count = folder, rng, 0
        y, x = np.indices(SHAPE)
        self.left = x < 80
        self.bias = np.where(self.left, 500, 700) + 4 * np.sin(x / 9)
        self.dark = rng.exponential(0.02, SHAPE)
        self.dark[40, 50] = 8.0
        self.response = (1 - 0.3 * np.hypot(x / 80 - 1, y / 60 - 1) ** 2 / 2) * rng.normal(1, 0.01, SHAPE)
        self.response[90, 100] = 0.1
        self.gain = np.where(self.left, *gains)

    @property
    def preparation(self):
        return Preparation(
            amplifiers=[
                Amplifier(Section(0, 80, 0, 120), Section(160, 180, 0, 120)),
                Amplifier(Section(80, 160, 0, 120), Section(180, 200, 0, 120)),
            ]
        )

    def expose(self, kind, exposure=0.0, light=0.0, **cards):
        electrons = self.rng.poisson(light * self.response + self.dark * exposure)
        drift = self.rng.normal(0, 10)
        level = np.concatenate([self.bias, np.full((120, 20), 500), np.full((120, 20), 700)], axis=1) + drift
        level[:, :160] += electrons / self.gain
        raw = np.round(level + self.rng.normal(0, READ_NOISE, level.shape)).clip(0, 65535).astype(np.uint16)
        self.count += 1
        header = {
            "IMAGETYP": kind,
            "EXPTIME": exposure,
            "DATE-OBS": f"2026-01-01T20:00:{self.count:02d}",
            "BUNIT": "adu",
        }
        path = self.folder / f"{kind}{self.count}.fits"
        Image(raw, header={**header, **cards}).writeto(path)
        return path


@pytest.fixture
def camera(tmp_path, rng):
    return Camera(tmp_path, rng)


@pytest.fixture
def bias(camera):
    return master_bias([camera.expose("bias") for _ in range(9)], preparation=camera.preparation)


def pulls(data, truth, error):
    return (data - truth) / error


def test_bias_is_recovered_to_its_noise(camera, bias):
    truth = camera.bias - np.where(camera.left, 500, 700)
    found = pulls(bias.data, truth, bias.uncertainty)

    assert bias.data.shape == SHAPE
    assert bias.header["MNOISE"] == pytest.approx(READ_NOISE, rel=0.1)
    assert np.median(bias.uncertainty) == pytest.approx(READ_NOISE / 3, rel=0.15)
    # The level of each row comes from 20 pixels of overscan; that error is common to a row.
    assert abs(found.mean()) < 0.1
    assert 0.9 < found.std() < 1.15
    assert "CALOSCAN" in bias.header


def test_master_says_what_it_is_and_what_it_is_made_of(camera, bias):
    assert bias.header["IMAGETYP"] == "master bias"
    assert bias.header["NCOMBINE"] == 9
    assert bias.header["DATE-OBS"].startswith("2026-01-01T20:00:05")
    assert bias.header["MSTATUS"] == "candidate"
    (activity,) = bias.provenance
    assert [file.role for file in activity.inputs] == ["bias"] * 9
    assert "bias1.fits" in activity.inputs[0].path


def test_master_survives_a_file(bias, tmp_path):
    bias.writeto(tmp_path / "master.fits")
    back = Image.from_file(tmp_path / "master.fits")

    assert np.array_equal(back.data, bias.data)
    assert np.array_equal(back.mask, bias.mask)
    assert back.provenance == bias.provenance


def test_one_hit_among_three_frames_leaves_no_trace(camera):
    paths = [camera.expose("bias") for _ in range(3)]
    hit = Image.from_file(paths[1], dtype=None)
    with hit.edit("data") as pixels:
        pixels[30, 30] = 60_000
    hit.writeto(paths[1])

    made = master_bias(paths, preparation=camera.preparation)

    assert abs(made.data[30, 30] - camera.bias[30, 30] + 500) < 5 * READ_NOISE


def test_frames_without_overscan_are_read_by_rows(tmp_path, rng):
    paths = []
    for i in range(5):
        paths.append(tmp_path / f"{i}.fits")
        Image(rng.normal(300, 2, (50, 60)).round().astype(np.uint16)).writeto(paths[-1])

    made = master_bias(paths)

    assert made.data.mean() == pytest.approx(300, abs=0.1)


def test_dark_and_dark_current(camera, bias):
    darks = {
        exposure: master_dark(
            [camera.expose("dark", exposure) for _ in range(5)], bias=bias, preparation=camera.preparation
        )
        for exposure in (100.0, 300.0)
    }
    current = dark_current(list(darks.values()))
    truth = camera.dark / GAIN

    assert darks[300.0].exposure_time == 300
    assert darks[300.0].data[40, 50] == pytest.approx(300 * 8 / GAIN, rel=0.05)
    assert np.median(pulls(darks[300.0].data, 300 * truth, darks[300.0].uncertainty)) == pytest.approx(0, abs=0.2)
    assert current.unit == "adu/s"
    found = pulls(current.data, truth, current.uncertainty)
    assert abs(np.median(found)) < 0.25
    assert 0.8 < found.std() < 1.3


def test_darks_of_different_exposure_are_refused(camera):
    paths = [camera.expose("dark", exposure) for exposure in (10, 10, 20)]

    with pytest.raises(ImageError, match="10 to 20 s"):
        master_dark(paths, bias=None, preparation=camera.preparation)


@pytest.mark.parametrize("spread", [1.0, 3.0])
def test_flat_is_the_response(camera, bias, spread):
    light = np.linspace(20_000, 20_000 * spread, 7)
    paths = [camera.expose("flat", 5.0, level, FILTER="R") for level in light]

    flat = master_flat(paths, bias=bias, preparation=camera.preparation)

    truth = camera.response / np.median(camera.response)
    found = pulls(flat.data, truth, flat.uncertainty)
    assert np.median(flat.data) == pytest.approx(1, abs=1e-6)
    assert abs(found.mean()) < 0.2
    assert 0.85 < found.std() < 1.2
    assert flat.filter == "R"


def test_flat_normalised_per_amplifier_forgets_their_gains(tmp_path, rng):
    camera = Camera(tmp_path, rng, gains=(2.0, 3.0))
    bias = master_bias([camera.expose("bias") for _ in range(5)], preparation=camera.preparation)
    paths = [camera.expose("flat", 5.0, 20_000.0) for _ in range(5)]

    whole = master_flat(paths, bias=bias, preparation=camera.preparation)
    apart = master_flat(paths, bias=bias, preparation=camera.preparation, normalise="amplifier")

    step = [np.median(flat.data[:, 70:80]) / np.median(flat.data[:, 80:90]) for flat in (whole, apart)]
    assert step == pytest.approx([1.5, 1.0], abs=0.02)


def test_stars_in_twilight_flats_are_clipped(camera, bias):
    paths = []
    for i in range(5):
        path = camera.expose("flat", 5.0, 20_000.0)
        image = Image.from_file(path, dtype=None)
        with image.edit("data") as pixels:
            pixels[50 + 5 * i, 60] += 5000
        image.writeto(path)
        paths.append(path)

    flat = master_flat(paths, bias=bias, preparation=camera.preparation)

    assert np.abs(flat.data[50:75:5, 60] / camera.response[50:75:5, 60] * np.median(camera.response) - 1).max() < 0.03


def test_flats_of_wrong_level_or_filter(camera, bias):
    paths = [camera.expose("flat", 5.0, light, FILTER="R") for light in (20_000, 21_000, 22_000, 500)]
    other = camera.expose("flat", 5.0, 20_000, FILTER="V")

    flat = master_flat(paths, bias=bias, levels=(5000, 50_000), preparation=camera.preparation)

    assert flat.header["NREJECT"] == 1
    assert flat.header["NCOMBINE"] == 3
    with pytest.raises(ImageError, match="R, V"):
        master_flat([*paths[:3], other], bias=bias, preparation=camera.preparation)
    with pytest.raises(ImageError, match="only 3 of 4"):
        master_flat(paths, bias=bias, levels=(5000, 50_000), minimum=4, preparation=camera.preparation)


def test_saturated_pixels_of_flats_are_left_out(camera, bias):
    paths = [camera.expose("flat", 5.0, light, SATURATE=11_000) for light in (16_000, 17_000, 19_000, 30_000)]

    flat = master_flat(paths, bias=bias, preparation=camera.preparation)

    truth = camera.response / np.median(camera.response)
    assert abs(np.median(flat.data / truth) - 1) < 0.01
    assert abs(np.mean((flat.data / truth)[60:70, 60:70]) - 1) < 0.01


def test_too_few_and_unlike_frames(camera, bias, tmp_path):
    with pytest.raises(ImageError, match="2 bias frames; a master needs at least 3"):
        master_bias([camera.expose("bias") for _ in range(2)])
    with pytest.raises(ImageError, match=r"160 x 120 pixels.*200 x 120"):
        master_dark([camera.expose("dark", 5.0) for _ in range(3)], bias=bias)


def test_flags_of_the_bias_are_carried(camera, bias):
    mask = np.zeros(SHAPE, dtype=np.uint8)
    mask[3, 4] = PixelFlag.BAD
    paths = [camera.expose("dark", 5.0) for _ in range(3)]

    dark = master_dark(paths, bias=bias.replace(mask=mask), preparation=camera.preparation)

    assert dark.mask[3, 4] == PixelFlag.BAD


def test_defects_of_dark_and_flat_are_found(camera, bias):
    dark = master_dark([camera.expose("dark", 300.0) for _ in range(5)], bias=bias, preparation=camera.preparation)
    flat = master_flat(
        [camera.expose("flat", 5.0, 20_000) for _ in range(5)], bias=bias, preparation=camera.preparation
    )

    bad = bad_pixel_map(dark=dark, flat=flat)

    assert bad.data[40, 50] & 1
    assert bad.data[90, 100] & 4
    assert bad.header["IMAGETYP"] == "bad pixels"
    # Most hot pixels are those of the exponential distribution of the dark current, far above the rest.
    hot = camera.dark * 300 / GAIN > np.median(camera.dark) * 300 / GAIN + 12 * READ_NOISE
    assert (bad.data[hot] != 0).all()
    assert (bad.data != 0).mean() < hot.mean() + 0.01


def test_gain_and_read_noise_are_recovered(tmp_path, rng):
    camera = Camera(tmp_path, rng, gains=(1.3, 2.5))
    flats = [camera.expose("flat", 5.0, light) for light in (30_000, 31_000, 29_000, 30_000, 30_500)]
    biases = [camera.expose("bias") for _ in range(5)]

    found = photon_transfer(flats, biases, preparation=camera.preparation)

    assert [amplifier.gain for amplifier in found] == pytest.approx([1.3, 2.5], rel=0.03)
    for amplifier, gain in zip(found, (1.3, 2.5), strict=True):
        assert abs(amplifier.gain - gain) < 4 * amplifier.gain_error
        assert amplifier.read_noise == pytest.approx(np.hypot(READ_NOISE, 12**-0.5), rel=0.02)
        assert amplifier.read_noise_electrons == pytest.approx(amplifier.read_noise * amplifier.gain)
        assert abs(amplifier.bias_level) < 3
