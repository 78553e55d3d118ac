"""The daemon's measure of its own responsiveness."""

import numpy as np
import pytest

from etendue.pipeline.daemon.lag import LagMeter


@pytest.mark.parametrize("percent", [50, 99, 99.9])
def test_percentiles_agree_with_numpy(rng: np.random.Generator, percent: float):
    lags = rng.lognormal(-7, 1.5, 20_000)
    meter = LagMeter()

    for lag in lags:
        meter.note(lag)

    expected = np.percentile(lags, percent)
    assert meter.percentile(percent) == pytest.approx(max(expected, 1e-4), rel=0.13)


def test_one_long_stop_is_the_worst():
    meter = LagMeter()
    for lag in [0.001] * 1000 + [3.0]:
        meter.note(lag)

    assert meter.facts()["max"] == 3.0
    assert meter.percentile(100) == pytest.approx(3.0, rel=0.13)
    assert meter.percentile(99.9) < 0.01


def test_nothing_measured_is_no_lag():
    assert LagMeter().percentile(99.9) == 0.0
