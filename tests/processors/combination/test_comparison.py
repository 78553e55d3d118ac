"""A new master against the last one."""

import numpy as np
import pytest

from etendue.images import Image, ImageError
from etendue.processors.combination import compare_masters, judged


@pytest.fixture
def make(rng):
    def master(kind="master bias", level=0.0, noise=1.0, **cards):
        truth = level + np.sin(np.arange(100) / 7) * (2 if kind != "master flat" else 0.02)
        data = rng.normal(truth, noise, (80, 100)).astype(np.float32)
        header = {"IMAGETYP": kind, "NCOMBINE": 9, "MNOISE": 3 * noise, **cards}
        return Image(
            data, header=header, uncertainty=np.full((80, 100), noise, np.float32), mask=np.zeros((80, 100), np.uint8)
        )

    return master


def reasons(*arguments):
    return " ".join(compare_masters(*arguments).reasons)


def test_equal_masters_pass(make):
    for kind, level, noise in (("master bias", 0, 1), ("master dark", 5, 1), ("master flat", 1, 0.002)):
        compared = compare_masters(make(kind, level, noise), make(kind, level, noise))

        assert compared.passed, compared.reasons
        assert compared.status == "accepted"


def test_level_structure_and_noise_are_watched(make):
    old = make()
    wavy = make()
    wavy = wavy.replace(data=wavy.data + 4 * np.cos(np.arange(80) / 5, dtype=np.float32)[:, None])

    assert reasons(make(level=5), old) == ""
    assert "level differs by +1" in reasons(make(level=15), old)
    assert "structure differs" in reasons(wavy, old)
    assert "2.00 times the noise" in reasons(make(noise=2), old)


def test_darks_are_compared_after_scaling(make):
    assert reasons(make("master dark", 20, EXPTIME=100.0), make("master dark", 10, EXPTIME=50.0)) == ""


def test_flats_are_compared_by_ratio(make):
    old = make("master flat", 1, 0.002)
    tilted = old.replace(data=old.data * np.linspace(0.95, 1.05, 100, dtype=np.float32))
    dusty = old.replace(data=old.data * np.random.default_rng(1).normal(1, 0.03, old.data.shape).astype(np.float32))

    assert "illumination differs by up to 4" in reasons(tilted, old)
    assert "response of single pixels" in reasons(dusty, old)


def test_more_bad_pixels_are_noticed(make):
    new, old = make(), make()
    mask = np.zeros((80, 100), np.uint8)
    mask[:8] = 2

    assert "10 % more of its pixels are bad" in reasons(new.replace(mask=mask), old)


def test_first_of_its_kind_is_checked_alone(make):
    first = compare_masters(make(), None)
    wrong = compare_masters(make("master flat", 20_000, 100), None)

    assert first.passed
    assert first.is_first
    assert not wrong.passed
    assert judged(make(), first).header["MSTATUS"] == "accepted"
    waiting = judged(make(), wrong)
    assert waiting.header["MSTATUS"] == "candidate"
    assert "normalised flat" in waiting.header["MREASON"]


def test_other_kind_and_size(make):
    with pytest.raises(ImageError, match="cannot be compared"):
        compare_masters(make(), make("master dark"))
    small = make()
    assert "the last one 90 x 80" in reasons(small, small.replace(data=small.data[:, :90], mask=None, uncertainty=None))
