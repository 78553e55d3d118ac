"""All corrections in one step: the closed form, the same as the single steps, and honest about what is missing."""

import asyncio

import numpy as np
import pytest

from etendue.images import Image, ImageError, PixelFlag, Section
from etendue.processors.calibration import (
    Bias,
    Calibration,
    Dark,
    Flat,
    Gain,
    Linearity,
    MissingMasterError,
    Overscan,
    Trim,
    Uncertainty,
)

NO_MASTERS = {"bias": False, "dark": False, "flat": False}

HEADER = {"EXPTIME": 30.0, "GAIN": 2.0, "RDNOISE": 5.0, "FILTER": "R", "SATURATE": 60000.0}


def image(values, name=None, header=HEADER, **planes):
    return Image(data=values, header=header, name=name, **planes)


@pytest.fixture
def masters(rng):
    """Masters of 12 x 40 pixels with errors and flags."""
    shape = (12, 40)
    return {
        "bias": image(rng.normal(300, 2, shape).astype("f4"), "bias.fits", uncertainty=np.full(shape, 1.5, "f4")),
        "dark": image(rng.gamma(2, 10, shape).astype("f4"), "dark.fits", uncertainty=np.full(shape, 0.7, "f4")),
        "flat": image(
            rng.uniform(0.5, 1.3, shape).astype("f4"),
            "flat.fits",
            uncertainty=np.full(shape, 0.004, "f4"),
            mask=(np.arange(480).reshape(shape) == 50).astype(np.uint8) * 8,
        ),
    }


@pytest.fixture
def raw(rng):
    """A raw frame with an overscan of 8 columns and a level that drifts from row to row."""
    data = rng.poisson(5000, (12, 48)).astype(float)
    data[:, 40:] = rng.normal(0, 2, (12, 8))
    data += 1000 + 10 * np.arange(12)[:, None]
    header = HEADER | {"BIASSEC": "[41:48,1:12]", "TRIMSEC": "[1:40,1:12]"}
    return image(np.round(data).astype(np.uint16), "raw.fits", header)


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32, np.float64, ">i2"])
@pytest.mark.parametrize("threads", [1, 3])
def test_closed_form(run, dtype, threads):
    # 1100 adu with a bias of 100 and a dark of 200, at 2 e-/adu: (1100 - 300) 2 = 1600 e-, 3200 e- behind half a flat;
    # noise sqrt((1100 - 100) 2 + 5²) = 45 e-, 90 e- behind half a flat.
    science = image(np.array([[1100, 1100]]).astype(dtype))
    step = Calibration(bias=image([[100, 100]]), dark=image([[200, 200]]), flat=image([[1.0, 0.5]]), threads=threads)

    calibrated = run(step, science)

    assert calibrated.data.tolist() == [[1600.0, 3200.0]]
    assert calibrated.uncertainty.tolist() == [[45.0, 90.0]]
    assert calibrated.mask.tolist() == [[0, 0]]
    assert calibrated.unit == "electron"
    assert calibrated.data.dtype == calibrated.uncertainty.dtype == np.float32


def test_it_is_the_same_as_the_single_steps(run, raw, masters):
    bias, dark, flat = masters["bias"] - 300, masters["dark"], masters["flat"]
    single = raw
    for step in (
        Overscan(),
        Trim(),
        Uncertainty(bias=bias),
        Bias(master=bias),
        Dark(master=dark),
        Gain(),
        Flat(master=flat),
    ):
        single = run(step, single)

    calibrated = run(Calibration(bias=bias, dark=dark, flat=flat), raw)

    np.testing.assert_allclose(calibrated.data, single.data, rtol=3e-6)
    # Single steps take the error of the overscan level from Overscan only if there was an uncertainty before.
    level_error = 2.0 * 2.0 * np.sqrt(np.pi / 2 / 8) / flat.data
    expected = np.hypot(single.uncertainty, level_error)
    np.testing.assert_allclose(calibrated.uncertainty, expected, rtol=0.005)
    assert np.array_equal(calibrated.mask, single.mask)
    assert not {"TRIMSEC", "BIASSEC"} & set(calibrated.header)


def test_errors_of_masters_are_carried(run, masters):
    bias, dark, flat = masters.values()
    light = np.full((12, 40), 2000.0)
    calibrated = run(Calibration(bias=bias, dark=dark, flat=flat), image(bias.data + dark.data + light))
    f = flat.data.astype(float)
    variance = (light + dark.data) * 2 + 25 + (1.5**2 + 0.7**2) * 4 + (light * 2) ** 2 * (0.004 / f) ** 2
    np.testing.assert_allclose(calibrated.data, light * 2 / f, rtol=1e-5)
    np.testing.assert_allclose(calibrated.uncertainty, np.sqrt(variance) / f, rtol=1e-5)


def test_a_pixel_without_light_has_the_read_noise(run):
    calibrated = run(Calibration(bias=image([[100.0, 100.0]]), dark=image([[50.0, 0.0]])), image([[90.0, 130.0]]))
    assert calibrated.data.tolist() == [[-120.0, 60.0]]
    np.testing.assert_allclose(calibrated.uncertainty, [[5.0, np.sqrt(85)]], rtol=1e-6)


def test_flags_of_all_sources_come_together(run):
    data = np.array([[65000, 500, 500, 500, 500, np.nan]], np.float32)
    step = Calibration(
        bias=image(np.zeros((1, 6)), mask=np.array([[0, 8, 0, 0, 0, 0]], np.int16)),
        flat=image([[1.0, 1.0, 0.0, 1.0, 1.0, 1.0]]),
        bad_pixels=image(np.array([[0, 0, 0, 1, 0, 0]], np.uint8)),
    )
    calibrated = run(step, image(data, mask=np.array([[False] * 4 + [True, False]])))
    flags = PixelFlag
    expected = [flags.SATURATED, flags.COSMIC_RAY, flags.BAD, flags.BAD, flags.BAD, flags.NO_DATA]
    assert calibrated.mask.tolist() == [expected]
    assert np.isnan(calibrated.data[0, [2, 5]]).all()
    assert np.isnan(calibrated.uncertainty[0, [2, 5]]).all()
    assert not np.isinf(calibrated.data).any()
    assert np.isfinite(calibrated.data[0, [0, 1, 3, 4]]).all()


def test_saturation_is_judged_on_raw_pixels_with_bleeding(run):
    data = np.full((9, 4), 1000, np.uint16)
    data[3:5, 1], data[5, 1] = 60000, 50000
    calibrated = run(Calibration(bias=image(np.full((9, 4), 2000.0)), flat=image(np.full((9, 4), 2.0))), image(data))
    assert (calibrated.mask[:, 1] & 4 != 0).tolist() == [False, False, True, True, True, True, True, False, False]
    assert calibrated.mask[:, [0, 2, 3]].max() == 0
    only = run(Calibration(**NO_MASTERS, direction="none"), image(data))
    assert (only.mask != 0).sum() == 2


def test_the_header_names_the_masters_and_what_was_not_applied(run, masters):
    calibrated = run(Calibration(bias=masters["bias"], flat=masters["flat"]), image(np.ones((12, 40))))
    header = calibrated.header
    assert (header["CALBIAS"], header["CALDARK"], header["CALFLAT"]) == ("bias.fits", "none", "flat.fits")
    assert header["CALNOT"] == "dark, bad_pixels"
    assert calibrated.gain == 2.0
    assert calibrated.saturation == 60000


def test_a_missing_master_fails_or_is_said(run, masters):
    dark = image(masters["dark"].data, "dark.fits", HEADER | {"EXPTIME": 60.0})
    frame = image(np.full((12, 40), 1000.0))
    with pytest.raises(MissingMasterError, match="dark_scale"):
        run(Calibration(bias=masters["bias"], dark=dark), frame)
    warned = run(Calibration(bias=masters["bias"], dark=dark, on_missing="warn"), frame)
    assert warned.header["CALDARK"] == "none"
    assert "dark" in warned.header["CALNOT"].split(", ")
    scaled = run(Calibration(bias=masters["bias"], dark=dark, dark_scale=(0.5, 2)), frame)
    assert scaled.header["CALDSCL"] == 0.5
    with pytest.raises(MissingMasterError, match="nowhere"):
        run(Calibration(flat="nowhere.fits"), frame)


def test_without_a_gain_pixels_stay_in_counts_and_have_no_uncertainty(run):
    frame = image([[110.0]], header={})
    with pytest.raises(ImageError, match="set gain"):
        run(Calibration(bias=image([[100.0]])), frame)
    calibrated = run(Calibration(bias=image([[100.0]]), on_missing="warn"), frame)
    assert calibrated.data.tolist() == [[10.0]]
    assert calibrated.unit == "adu"
    assert calibrated.safe_uncertainty is None
    assert {"gain", "uncertainty", "dark", "flat"} <= set(calibrated.header["CALNOT"].split(", "))


def test_calibrating_twice_is_refused(run):
    calibrated = run(Calibration(**NO_MASTERS), image([[110.0]]))
    with pytest.raises(ImageError, match="electron"):
        run(Calibration(**NO_MASTERS), calibrated)


def test_amplifiers_have_their_own_level_gain_and_noise(run):
    data = [[110.0, 110.0, 220.0, 220.0, 100.0, 200.0]]
    amplifiers = [
        {"data": "[1:2,1:1]", "overscan": "[5:5,1:1]", "gain": 2.0, "read_noise": 3.0},
        {"data": "[3:4,1:1]", "overscan": "[6:6,1:1]", "gain": 4.0, "read_noise": 5.0},
    ]
    calibrated = run(Calibration(**NO_MASTERS, amplifiers=amplifiers, overscan="mean"), Image(data=data))
    assert calibrated.data.tolist() == [[20.0, 20.0, 80.0, 80.0]]
    np.testing.assert_allclose(calibrated.uncertainty, np.sqrt([[29, 29, 105, 105]]), rtol=1e-6)
    assert calibrated.header["CALOSCAN"] == 150
    assert calibrated.gain == 3.0


def test_pixels_of_no_amplifier_have_no_data(run):
    amplifiers = [{"data": "[1:1,1:1]", "gain": 1.0}, {"data": "[3:3,1:1]", "gain": 2.0}]
    calibrated = run(Calibration(**NO_MASTERS, amplifiers=amplifiers, read_noise=0), Image(data=[[4.0, 4.0, 4.0]]))
    np.testing.assert_array_equal(calibrated.data, [[4.0, np.nan, 8.0]])
    np.testing.assert_array_equal(calibrated.uncertainty, [[2.0, np.nan, np.sqrt(8, dtype="f4")]])
    assert calibrated.mask.tolist() == [[0, PixelFlag.NO_DATA, 0]]


def test_linearity_is_of_counts_above_the_bias(run):
    linearity = {"coefficients": [1.0, 1e-5]}
    bias, flat = image([[100.0, 100.0]], uncertainty=[[2.0, 2.0]]), image([[1.0, 0.5]])
    science = image([[1100.0, 60100.0]])
    calibrated = run(Calibration(bias=bias, flat=flat, linearity=linearity), science)
    np.testing.assert_allclose(calibrated.data, [[2 * 1000 * 1.01, 4 * 60000 * 1.6]], rtol=1e-6)
    assert calibrated.uncertainty[0, 0] == pytest.approx(np.sqrt(2020 + 25 + 16))
    assert calibrated.mask.tolist() == [[0, PixelFlag.SATURATED]]
    assert calibrated.header["CALLIN"] == "polynomial"
    unchanged = run(Calibration(bias=bias, flat=flat, linearity=Linearity()), science)
    assert unchanged.data.tolist() == [[2000.0, 240000.0]]


def test_a_strip_above_the_data_is_used_too(run):
    header = HEADER | {"BIASSEC": "[1:2,3:3]", "TRIMSEC": "[1:2,1:2]"}
    calibrated = run(
        Calibration(**NO_MASTERS),
        image([[110.0, 220.0], [60100, 230.0], [100.0, 200.0]], header=header),
    )
    assert calibrated.data.tolist() == [[20.0, 40.0], [120000.0, 60.0]]
    assert calibrated.mask[1, 0] == PixelFlag.SATURATED


def test_trimming_moves_everything(run, raw):
    flagged = raw.replace(mask=np.arange(12 * 48).reshape(12, 48) == 3, header=raw.header)
    flagged.header["CRPIX1"], flagged.header["CTYPE1"] = 5.0, "RA---TAN"
    calibrated = run(Calibration(**NO_MASTERS, trim=Section(2, 40, 1, 12), keep_raw=True), flagged)
    assert calibrated.shape == (11, 38)
    assert calibrated.header["CRPIX1"] == 3.0
    assert calibrated.raw.shape == (12, 48)
    assert not calibrated.mask.any()
    assert run(Calibration(**NO_MASTERS, overscan=None, trim=False), raw).header["CALNOT"].startswith("overscan")
    assert run(Calibration(**NO_MASTERS), flagged).mask[0, 3] == PixelFlag.BAD


def test_a_movie_is_calibrated_frame_by_frame(run, masters, rng):
    movie = Image(data=rng.poisson(2000, (3, 12, 40)).astype(np.uint16), header=HEADER, axes="TYX")
    step = Calibration(**masters)
    calibrated = run(step, movie)
    for k in range(3):
        single = run(step, image(movie.data[k]))
        assert np.array_equal(calibrated.data[k], single.data, equal_nan=True)
        assert np.array_equal(calibrated.uncertainty[k], single.uncertainty, equal_nan=True)
        assert np.array_equal(calibrated.mask[k], single.mask)


def test_many_frames_at_once_give_what_each_gives_alone(run, masters, rng):
    frames = [image(rng.poisson(2000 + k, (12, 40)).astype(np.uint16)) for k in range(12)]
    step = Calibration(**masters)

    async def together():
        return await asyncio.gather(*(step(frame) for frame in frames))

    for frame, calibrated in zip(frames, asyncio.run(together()), strict=True):
        assert np.array_equal(run(step, frame).data, calibrated.data)


def test_new_masters_of_the_same_name_are_noticed(run, tmp_path):
    path = tmp_path / "flat.fits"
    for level in (1.0, 2.0):
        image([[level]]).writeto(path)
        assert run(Calibration(flat=path), image([[100.0]])).data[0, 0] == 200 / level


def test_the_input_is_left_as_it_was(run, raw):
    before = raw.data.copy(), repr(raw.header)
    run(Calibration(**NO_MASTERS), raw)
    assert np.array_equal(raw.data, before[0])
    assert repr(raw.header) == before[1]


def test_parameters_are_written_and_read_back():
    step = Calibration(
        bias="b.fits", dark=False, trim="[1:4,1:4]", dark_scale=(0.5, 2), amplifiers=[{"data": "[1:4,1:4]"}]
    )
    assert Calibration.model_validate_json(step.model_dump_json()) == step
    assert "amplifiers" in Calibration.model_json_schema()["properties"]


def test_long_names_and_lists_fit_into_the_header(run, recwarn):
    bias = image([[100.0]], name="a_master_bias_with_a_name_that_is_much_too_long_for_a_card_of_eighty_characters.fits")
    frame = image([[110.0]], header={"BIASSEC": "[1:1,1:1]"})
    calibrated = run(Calibration(bias=bias, overscan=None, on_missing="warn"), frame)
    again = Image.from_bytes(calibrated.to_bytes())
    assert again.header["CALBIAS"] == bias.name
    assert again.header["CALNOT"] == "overscan, dark, flat, bad_pixels, gain, uncertainty, saturation"
    assert not recwarn.list


def test_nothing_to_calibrate_with_is_an_error_and_not_a_calibrated_frame(run):
    with pytest.raises(ImageError, match="neither masters nor a library"):
        run(Calibration(gain=1), image([[110.0]]))

    passed_on = run(Calibration(gain=1, on_missing="warn"), image([[110.0]]))
    assert {"bias", "dark", "flat"} <= set(passed_on.header["CALNOT"].split(", "))
