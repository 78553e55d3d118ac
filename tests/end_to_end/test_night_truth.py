"""A simulated night, reduced as a person would do it, against the truth: the numbers that a reduction must reach."""

import asyncio

import numpy as np
import pytest
from astropy.table import vstack

from etendue.images import Image
from etendue.pipeline import load_pipeline
from etendue.pipeline.night import reduce_night
from etendue.pipeline.night.chain import calibration_of, with_library
from etendue.pipeline.night.truth import NightTruth
from etendue.processors.simulation import simulate_night

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def reduced(tmp_path_factory):
    """30 frames of 512² in one filter, and their truth."""
    folder = tmp_path_factory.mktemp("night")
    simulate_night(folder / "raw", seed=1, frames=30, size=512, biases=10, darks=10, flats=7, filters=("R",))
    results = reduce_night(folder / "raw", load_pipeline("night"), output=folder / "out")
    assert not results.failed
    return results, NightTruth(folder / "raw" / "truth")


@pytest.mark.parametrize("kind", ["bias", "dark", "flat"])
def test_masters_are_recovered_to_their_noise(reduced, kind):
    results, truth = reduced
    (master,) = [master for master in results.masters if master.kind == kind]

    pulls = truth.master_pulls(master)

    assert pulls.mean == pytest.approx(0, abs=0.05)
    assert pulls.width == pytest.approx(1, abs=0.05)


def test_pulls_of_the_calibrated_background_are_normal(reduced):
    results, truth = reduced
    calibration = calibration_of(with_library(load_pipeline("night"), results.library))
    assert calibration is not None

    for outcome in results.science.done[::7]:
        image = asyncio.run(calibration(Image.from_file(outcome.path)))
        pulls = truth.background_pulls(image, outcome.path.name)
        assert pulls.mean == pytest.approx(0, abs=0.05)
        assert pulls.width == pytest.approx(1, abs=0.05)


def test_fluxes_are_unbiased_across_the_field(reduced):
    results, truth = reduced
    stars = vstack([truth.fluxes(outcome) for outcome in results.science.done])
    height, width = truth.known["shape"]
    radius = np.hypot(stars["x"] - width / 2, stars["y"] - height / 2)

    for chosen in (radius < np.median(radius), radius >= np.median(radius)):
        ratio = np.asarray(stars["ratio"])[chosen]
        assert ratio.size > 25
        assert np.median(ratio) == pytest.approx(1, abs=0.005)


def test_both_stars_are_found_and_nothing_else(reduced):
    results, truth = reduced

    found = {role: truth.curve_of(role, results.curves) for role in ("variable", "transit")}

    assert all(found.values())
    assert len(results.curves) == 2


@pytest.mark.parametrize("role", ["variable", "transit"])
def test_light_curves_have_the_true_depth_within_their_error(reduced, role):
    results, truth = reduced

    strength, error = truth.strength(role, truth.curve_of(role, results.curves))

    assert error < 0.1
    assert strength == pytest.approx(1, abs=max(2.5 * error, 0.01))
