"""Raw frames of the Kast spectrograph: two amplifiers with overscan, described by a configuration alone."""

import numpy as np
import pytest

from etendue.images import Image
from etendue.processors.calibration import Calibration, Overscan, Trim

AMPLIFIERS = [
    {"data": "[1:1024,1:350]", "overscan": "[2049:2080,1:350]", "gain": 1.27, "read_noise": 3.6},
    {"data": "[1025:2048,1:350]", "overscan": "[2081:2112,1:350]", "gain": 1.27, "read_noise": 3.6},
]
HALVES = (slice(0, 1024), slice(1024, 2048))


@pytest.fixture
def frames(shared_data):
    folder = shared_data / "raw_night" / "shane_kast_blue_2015"
    return lambda *numbers: [Image.from_file(folder / f"b{number}.fits.gz") for number in numbers]


def corrected(run, image):
    return run(Trim(), run(Overscan(amplifiers=AMPLIFIERS), image))


def test_both_amplifiers_come_to_the_same_level(run, frames):
    biases = [corrected(run, image) for image in frames(21, 22, 23)]
    for half in HALVES:
        # Raw levels are 944.4 and 966.1 adu; one adu more than in the overscan is structure that all biases share.
        assert [np.mean(bias.data[:, half]) for bias in biases] == pytest.approx([1.0] * 3, abs=0.2)
    master = Image(data=np.mean([bias.data for bias in biases[:2]], axis=0), header=biases[0].header)
    residual = biases[2].data - master.data
    for half in HALVES:
        assert np.mean(residual[:, half]) == pytest.approx(0, abs=0.1)
        assert np.std(residual[:, half]) < 1.3 * 2.9 * np.sqrt(1.5)


def test_a_science_frame_is_calibrated(run, frames):
    biases = [corrected(run, image) for image in frames(21, 22, 23)]
    level = np.median([bias.data for bias in biases], axis=0)
    error = np.full_like(level, 2.8 * np.sqrt(np.pi / 2 / 3))  # of a median of three
    master = Image(data=level, header=biases[0].header, uncertainty=error, name="bias.fits")
    (science,) = frames(27)

    calibrated = run(Calibration(amplifiers=AMPLIFIERS, bias=master), science)

    assert calibrated.shape == (350, 2048)
    assert calibrated.unit == "electron"
    assert calibrated.gain == 1.27  # the card GAIN held the number of a setting of the controller
    assert calibrated.header["CALBIAS"] == "bias.fits"
    assert calibrated.header["CALNOT"] == "dark, flat, bad_pixels, saturation"
    by_hand = corrected(run, science).data - master.data
    np.testing.assert_allclose(calibrated.data, by_hand * 1.27, atol=1e-3)
    # What neighbours differ by is what their uncertainties say; without a flat, their response differs a little more.
    step = np.diff(calibrated.data, axis=1)
    error = np.hypot(calibrated.uncertainty[:, 1:], calibrated.uncertainty[:, :-1])
    for half in (slice(5, 1020), slice(1030, 2040)):
        pull = (step / error)[280:330, half]
        assert 0.95 < np.std(pull[np.abs(pull) < 5]) < 1.15
