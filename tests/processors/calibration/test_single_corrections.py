"""Bias, dark, flat, bad pixels, gain, noise and linearity, each alone."""

import numpy as np
import pytest
from pydantic import ValidationError

from etendue.images import Image, ImageError, PixelFlag
from etendue.processors import RunContext, run_context
from etendue.processors.calibration import BadPixels, Bias, Dark, Flat, Gain, Linearity, MissingMasterError, Uncertainty

HEADER = {"EXPTIME": 30.0, "GAIN": 2.0, "RDNOISE": 5.0, "FILTER": "R"}


def frame(values, **planes):
    return Image(data=[values], header=planes.pop("header", HEADER), **planes)


def test_bias_carries_error_and_flags_of_the_master(run):
    master = frame([100.0, 101.0], uncertainty=[[3.0, 3.0]], mask=np.array([[0, 2]], np.uint8), name="b.fits")
    corrected = run(Bias(master=master), frame([1100.0, 1101.0], uncertainty=[[4.0, 4.0]]))
    assert corrected.data.tolist() == [[1000.0, 1000.0]]
    assert corrected.uncertainty.tolist() == [[5.0, 5.0]]
    assert corrected.mask.tolist() == [[0, 2]]
    assert corrected.header["CALBIAS"] == "b.fits"


def test_the_error_of_a_master_alone_is_no_uncertainty(run):
    master = frame([100.0], uncertainty=[[3.0]])
    assert run(Bias(master=master), frame([1100.0])).safe_uncertainty is None


def test_unsigned_pixels_do_not_wrap(run):
    corrected = run(Bias(master=frame([100.0])), Image(data=np.array([[90]], np.uint16), header=HEADER))
    assert corrected.data.tolist() == [[-10.0]]


@pytest.mark.parametrize(
    ("exposure", "scale", "expected"),
    [(30.0, None, 1.0), (30.2, None, 1.0), (60.0, (0.2, 2), 0.5), (10.0, (1, 3), 3.0)],
)
def test_a_dark_is_scaled_by_exposure_time_within_limits(run, exposure, scale, expected):
    master = frame([6.0], header={"EXPTIME": exposure}, uncertainty=[[2.0]])
    corrected = run(Dark(master=master, dark_scale=scale), frame([100.0], uncertainty=[[1.5]]))
    assert corrected.data[0, 0] == pytest.approx(100 - 6 * expected)
    assert corrected.uncertainty[0, 0] == pytest.approx(np.hypot(1.5, 2 * expected))
    assert corrected.header["CALDSCL"] == expected


@pytest.mark.parametrize("scale", [None, (0.9, 1.5)])
def test_a_dark_of_another_exposure_time_is_refused(run, scale):
    with pytest.raises(MissingMasterError, match=r"60 s.*30 s"):
        run(Dark(master=frame([6.0], header={"EXPTIME": 60.0}), dark_scale=scale), frame([100.0]))


def test_a_dark_current_is_multiplied_by_the_exposure_time(run):
    master = frame([0.5], header={"BUNIT": "adu/s"})
    assert run(Dark(master=master), frame([100.0])).data.tolist() == [[85.0]]


def test_a_flat_of_zero_gives_flags_and_never_infinity(run):
    master = frame([1.0, 0.5, 0.0, -1.0, np.nan], uncertainty=[[0.1, 0.0, 0.1, 0.1, 0.1]])
    corrected = run(Flat(master=master), frame([10.0] * 5, uncertainty=[[1.0] * 5]))
    assert corrected.data[0, :2].tolist() == [10.0, 20.0]
    assert np.isnan(corrected.data[0, 2:]).all()
    assert np.isnan(corrected.uncertainty[0, 2:]).all()
    assert corrected.mask.tolist() == [[0, 0, PixelFlag.BAD, PixelFlag.BAD, PixelFlag.BAD]]
    assert corrected.uncertainty[0, :2] == pytest.approx([np.hypot(1, 10 * 0.1), 2.0])


def test_a_flat_of_another_filter_is_refused(run):
    with pytest.raises(MissingMasterError, match="filter R"):
        run(Flat(master=frame([1.0], header={"FILTER": "V"})), frame([10.0]))


def test_a_flat_that_is_not_normalised_is_refused(run):
    with pytest.raises(ImageError, match="not normalised"):
        run(Flat(master=frame([30000.0])), frame([10.0]))


def test_a_master_of_another_size_is_refused(run):
    with pytest.raises(ImageError, match="2 x 1"):
        run(Bias(master=frame([1.0, 1.0])), frame([10.0]))


def test_a_bias_without_overscan_level_does_not_fit_a_frame_with_it(run):
    with pytest.raises(ImageError, match="overscan"):
        run(Bias(master=frame([1.0], header={"CALOSCAN": 500.0})), frame([10.0]))


def test_without_master_and_library_it_is_an_error(run):
    with pytest.raises(ImageError, match="master bias"):
        run(Bias(), frame([1.0]))
    with pytest.raises(ImageError, match="nowhere"):
        run(Bias(master="nowhere.fits"), frame([1.0]))


def test_a_master_from_a_file_is_recorded_with_its_checksum(run, tmp_path):
    path = tmp_path / "bias.fits"
    frame([100.0]).writeto(path)
    with run_context(RunContext(output=tmp_path)) as context:
        corrected = run(Bias(master=path), frame([110.0]))
    assert corrected.data.tolist() == [[10.0]]
    (used,) = context.inputs
    assert (used.path, used.role, used.size) == (str(path), "master bias", path.stat().st_size)


def test_a_master_that_changes_on_disk_is_read_again(run, tmp_path):
    path = tmp_path / "bias.fits"
    for level in (100.0, 50.0):
        frame([level]).writeto(path)
        assert run(Bias(master=path), frame([110.0])).data[0, 0] == 110 - level


def test_bad_pixels_from_a_map_and_from_sections(run):
    known = Image(data=np.array([[0, 1, 0]], np.uint8), mask=np.array([[0, 0, 4]], np.uint8), name="bpm.fits")
    flagged = run(BadPixels(map=known, sections=["[1:1,1:1]"]), frame([1.0, 2.0, 3.0]))
    assert flagged.mask.tolist() == [[2, 2, 4]]
    assert flagged.data.tolist() == [[1.0, 2.0, 3.0]]
    assert flagged.header["CALBPM"] == "bpm.fits"
    assert run(BadPixels(sections=["[2:3,1:1]"]), frame([1.0, 2.0, 3.0])).mask.tolist() == [[0, 2, 2]]


def test_gain_makes_electrons(run):
    electrons = run(Gain(), frame([10.0], uncertainty=[[2.0]], header=HEADER | {"ZEROPT": 25.0}))
    assert electrons.data.tolist() == [[20.0]]
    assert electrons.uncertainty.tolist() == [[4.0]]
    assert electrons.unit == "electron"
    assert electrons.zero_point == pytest.approx(25 + 2.5 * np.log10(2))
    with pytest.raises(ImageError, match="electron"):
        run(Gain(), electrons)


def test_each_amplifier_has_its_own_gain_and_noise(run):
    amplifiers = [
        {"data": "[1:1,1:1]", "gain": 2.0, "read_noise": 3.0},
        {"data": "[2:2,1:1]", "gain": 4.0, "read_noise": 6.0},
    ]
    image = run(Uncertainty(amplifiers=amplifiers), frame([0.0, 0.0], header={}))
    assert image.uncertainty.tolist() == [[1.5, 1.5]]
    assert run(Gain(amplifiers=amplifiers), image).uncertainty.tolist() == [[3.0, 6.0]]


def test_a_frame_without_gain_says_what_to_do(run):
    with pytest.raises(ImageError, match="set gain"):
        run(Gain(), frame([1.0], header={}))
    with pytest.raises(ImageError, match="set read_noise"):
        run(Uncertainty(gain=2), frame([1.0], header={}))


def test_the_bias_level_has_no_photon_noise(run):
    # The closed form: 1000 adu of light at 2 e-/adu are 2000 e-; with 5 e- of read noise 45 e-, or 22.5 adu.
    for image, step in (
        (frame([1000.0]), Uncertainty()),
        (frame([1100.0]), Uncertainty(bias_level=100)),
        (frame([1100.0]), Uncertainty(bias=frame([100.0]))),
    ):
        assert run(step, image).uncertainty.tolist() == [[22.5]]
    assert run(Uncertainty(), frame([2000.0], header=HEADER | {"BUNIT": "electron"})).uncertainty.tolist() == [[45.0]]
    assert run(Uncertainty(), frame([-50.0])).uncertainty.tolist() == [[2.5]]


def test_noise_is_what_repeated_exposures_show(run, rng):
    light = rng.poisson(400, (200, 200)) + rng.normal(0, 5, (200, 200))
    image = run(Uncertainty(), Image(data=light / 2, header=HEADER))
    pull = (image.data - 200) / image.uncertainty
    assert np.std(pull) == pytest.approx(1, abs=0.02)


def test_linearity_by_polynomial_and_by_table(run):
    measured = np.array([0.0, 1000.0, 40000.0])
    polynomial = run(Linearity(coefficients=[1.0, 1e-6]), frame(measured, uncertainty=[[1.0, 1.0, 1.0]]))
    np.testing.assert_allclose(polynomial.data[0], measured * (1 + 1e-6 * measured))
    np.testing.assert_allclose(polynomial.uncertainty[0], 1 + 2e-6 * measured, rtol=1e-6)
    table = run(Linearity(table=[(0, 0), (1000, 1010), (50000, 52000)]), frame([-10.0, 500.0, 1000.0, 60000.0]))
    np.testing.assert_allclose(table.data[0], [-10.1, 505.0, 1010.0, 1010 + 59000 * 50990 / 49000], rtol=1e-6)


def test_a_detector_that_loses_light_is_made_linear(run):
    true = np.linspace(0, 60000, 50)
    measured = true * (1 - 5e-7 * true)
    pairs = list(zip(measured.tolist(), true.tolist(), strict=True))
    np.testing.assert_allclose(run(Linearity(table=pairs), frame(measured)).data[0], true, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("wrong", [{"coefficients": [1], "table": [(0, 0), (1, 1)]}, {"table": [(1, 0), (1, 1)]}])
def test_linearity_refuses_what_makes_no_sense(wrong):
    with pytest.raises(ValidationError):
        Linearity(**wrong)
