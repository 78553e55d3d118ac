"""A real night of a spectrograph, reduced by one configuration file: two amplifiers, a header that misleads."""

import numpy as np
import pytest

from etendue.images import Image

NIGHT = "raw_night/shane_kast_blue_2015"
HALVES = slice(0, 1024), slice(1024, 2048)


@pytest.fixture
def kast(shared_data, repository, command, tmp_path):
    """The output of ``etendue reduce``, and what it said."""
    folder = shared_data / NIGHT
    if not folder.exists():
        pytest.skip(f"{folder} is not there")
    result = command("reduce", folder, "-p", repository / "examples" / "kast_blue.yaml", "-o", "out")
    assert result.exit_code == 0, result.output
    return tmp_path / "out", result.output


def test_one_file_is_all_that_a_camera_needs(kast, shared_data, repository, command):
    output, said = kast

    assert "9 frames: 3 bias, 3 flat, 2 science, 1 arc" in said
    assert "2 of 2 masters built and used" in said
    assert "2 frames without these corrections: dark, bad_pixels" in said
    report = (output / "report.html").read_text()
    assert "without these corrections: dark, bad_pixels" in report
    assert "b27.fits.gz" in report
    assert ">Sky" not in report  # nobody measured it: the level of a raw frame is none

    bias = Image.from_file(next((output / "masters").glob("bias*.fits")))
    flat = Image.from_file(next((output / "masters").glob("flat*.fits")))
    for half in HALVES:
        # All biases share one adu of structure above their overscan, which is why there is a master.
        assert np.mean(bias.data[:, half]) == pytest.approx(1.0, abs=0.3)
        assert np.median(flat.data[:, half]) == pytest.approx(1.0, abs=1e-3)
    assert bias.header["NCOMBINE"] == flat.header["NCOMBINE"] == 3

    for name in ("b24", "b27"):
        science = Image.from_file(output / "reduced" / f"{name}_calibrated.fits")
        assert science.shape == (350, 2048)
        assert science.header["BUNIT"] == "electron"
        assert science.header["CALBIAS"].startswith("bias_")
        assert science.header["CALFLAT"].startswith("flat_")
        assert science.header["CALDARK"] == science.header["CALBPM"] == "none"
        assert science.header["CALNOT"] == "dark, bad_pixels"
        assert (science.uncertainty > 0).all()

    why = command(
        "masters", "why", shared_data / NIGHT / "b27.fits.gz", "-m", output / "masters",
        "-p", repository / "examples" / "kast_blue.yaml",
    )  # fmt: skip
    assert why.exit_code == 0
    assert "bias_2015-05-19.fits, taken 53 min before the frame" in why.output
    assert "flat_2015-05-19.fits, taken 2.7 h before the frame" in why.output
    assert "none: no dark for 1200 s" in why.output


def test_a_calibrated_spectrum_has_no_step_between_the_amplifiers(kast):
    """In the sky beside the spectrum, and its noise is what the uncertainty says."""
    output, _ = kast
    science = Image.from_file(output / "reduced" / "b27_calibrated.fits")
    sky = slice(285, 330)

    for half in (slice(500, 1020), slice(1030, 1500)):
        step = np.diff(science.data[sky, half], axis=0)
        error = np.hypot(science.uncertainty[sky, half][1:], science.uncertainty[sky, half][:-1])
        pull = step / error
        assert np.std(pull[np.abs(pull) < 5]) == pytest.approx(1, abs=0.12)
