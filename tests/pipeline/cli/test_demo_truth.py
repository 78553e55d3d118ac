"""The demo's comparison of measured fluxes with simulated ones."""

import numpy as np
import pytest
from astropy.table import Table

from etendue.pipeline.cli.demo import ANNULUS, APERTURES, compare_with_truth
from etendue.processors.simulation import Exposure
from etendue.processors.simulation.moffat import enclosed_fraction


@pytest.fixture
def truth():
    x, y = (grid.ravel().astype(float) for grid in np.meshgrid([200, 400, 600], [300, 500]))
    table = Table({"x": x, "y": y, "flux_adu": np.full(6, 1e5), "snr": np.full(6, 200.0), "fwhm": np.full(6, 3.0)})
    table["type"], table["saturated"] = "star", False
    return table


def catalogue(truth, factor=1.0):
    """What exact aperture photometry with a mean sky from the ring measures."""

    def held(radius):
        return enclosed_fraction(radius, 3.0, Exposure().beta)

    inner, outer = ANNULUS
    sky = (held(outer) - held(inner)) / (outer**2 - inner**2)
    flux = truth["flux_adu"] * (held(APERTURES[-1]) - sky * APERTURES[-1] ** 2) * factor
    return Table({"x": truth["x"] + 0.1, "y": truth["y"] - 0.1, "flux_aper_3": flux})


def test_exact_fluxes_are_one_and_all_stars_are_found(truth):
    assert compare_with_truth(catalogue(truth), truth) == (6, 6, pytest.approx(1.0))


def test_a_wrong_scale_is_seen(truth):
    assert compare_with_truth(catalogue(truth, factor=1.07), truth)[2] == pytest.approx(1.07)


def test_a_star_that_was_missed_is_counted(truth):
    assert compare_with_truth(catalogue(truth)[1:], truth)[:2] == (5, 6)


def test_saturated_faint_and_crowded_stars_and_galaxies_are_left_out(truth):
    truth["saturated"][0] = True
    truth["snr"][1] = 10
    truth["type"] = ["star", "star", "galaxy", "star", "star", "star"]
    truth["x"][4] = truth["x"][3] + 5

    assert compare_with_truth(catalogue(truth), truth)[:2] == (1, 1)
