"""Real raw frames for which there are no masters: reduced as far as possible, and honest about the rest."""

import numpy as np
import pytest

from etendue.images import Image, ImageError
from etendue.processors.calibration import Calibration


def test_a_frame_with_overscan_gain_and_read_noise(run, shared_data):
    raw = Image.from_file(shared_data / "raw_night" / "ccdproc" / "a8280271.fits")

    calibrated = run(Calibration(on_missing="warn"), raw)

    assert calibrated.shape == (520, 512)
    assert calibrated.header["CALNOT"] == "bias, dark, flat, bad_pixels, saturation"
    level = np.median(raw.data[:, 3:13], axis=1, keepdims=True)
    np.testing.assert_allclose(calibrated.data, (raw.data[:, 16:528] - level) * 1.9, atol=1e-3)
    sky = calibrated.data[200:300, 100:200]
    pull = (sky - np.median(sky)) / calibrated.uncertainty[200:300, 100:200]
    assert 1.4826 * np.median(np.abs(pull)) == pytest.approx(1, abs=0.2)


def test_a_frame_about_which_nothing_is_known(run, shared_data):
    raw = Image.from_file(sorted((shared_data / "timeseries" / "hatp32").glob("*.gz"))[0])
    with pytest.raises(ImageError, match="set gain"):
        run(Calibration(bias=False, dark=False, flat=False), raw)

    calibrated = run(Calibration(on_missing="warn"), raw)

    assert calibrated.header["CALNOT"] == "bias, dark, flat, bad_pixels, gain, uncertainty, saturation"
    assert calibrated.unit == "adu"
    assert calibrated.safe_uncertainty is None
    assert np.array_equal(calibrated.data, raw.data)
