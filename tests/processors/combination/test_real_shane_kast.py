"""Bias, gain and read noise of the Kast blue camera, two amplifiers (Lick, 2015)."""

import numpy as np
import pytest

from etendue.images import Image
from etendue.images.sections import Amplifier, Section
from etendue.processors.combination import Preparation, compare_masters, master_bias, master_flat, photon_transfer

# The first and last columns of the overscan hold charge of their neighbours.
KAST = Preparation(
    amplifiers=[
        Amplifier(Section.parse("[1:1024,1:350]"), Section.parse("[2050:2080,1:350]")),
        Amplifier(Section.parse("[1025:2048,1:350]"), Section.parse("[2081:2111,1:350]")),
    ]
)
HALVES = slice(0, 1024), slice(1024, 2048)


@pytest.fixture(scope="module")
def frames(shared_data):
    folder = shared_data / "raw_night" / "shane_kast_blue_2015"
    return lambda *numbers: [folder / f"b{number}.fits.gz" for number in numbers]


def test_overscan_leaves_the_column_pattern_of_the_bias(frames):
    """The data sections lie about 1 adu above their overscan in every frame, which only a master bias can know."""
    levels = [
        [float(np.mean(KAST(Image.from_file(frame)).data[:, half])) for half in HALVES] for frame in frames(21, 22, 23)
    ]

    assert np.allclose(np.mean(levels, axis=0), 1.0, atol=0.3)
    assert np.std(levels, axis=0).max() < 0.15


def test_calibrated_bias_has_no_level(frames):
    master = master_bias(frames(21, 22), preparation=KAST, minimum=2)
    third = KAST(Image.from_file(frames(23)[0]))

    for half in HALVES:
        pixels = (third.data - master.data)[:, half]
        assert abs(np.median(pixels)) < 0.3
        assert abs(np.mean(pixels[np.abs(pixels) < 20])) < 0.3


def test_gain_and_read_noise(frames):
    found = photon_transfer(frames(11, 12, 13), frames(21, 22, 23), preparation=KAST)

    assert [amplifier.read_noise for amplifier in found] == pytest.approx([2.8, 2.8], abs=0.1)
    # PypeIt's description of this camera says 1.2 electron/adu for both amplifiers. Differences that are clipped at
    # 3 sigma, which cuts 2.7 % of the variance, would say 1.23 and 1.28.
    assert [amplifier.gain for amplifier in found] == pytest.approx([1.2, 1.2], abs=0.06)
    assert found[1].gain == pytest.approx(1.27, abs=0.05)


def test_flat_per_amplifier(frames):
    bias = master_bias(frames(21, 22, 23), preparation=KAST)
    flat = master_flat(frames(11, 12, 13), bias=bias, preparation=KAST, normalise="amplifier")

    for half in HALVES:
        assert np.median(flat.data[:, half]) == pytest.approx(1, abs=1e-5)
    assert (flat.data > 0).all()
    assert compare_masters(flat, None).passed
