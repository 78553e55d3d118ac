"""From simulated frames to catalogues: what is found, what is not there, and whether fluxes and errors are true."""

import numpy as np
import pytest
from astropy.table import Table, vstack
from scipy.ndimage import uniform_filter
from scipy.spatial import cKDTree

from etendue.images import Image
from etendue.processors.background import SubtractBackground
from etendue.processors.detection import SepSourceDetection
from etendue.processors.photometry import AperturePhotometry, PhotUtilsPhotometry, SepPhotometry
from etendue.processors.simulation import simulate_field

FWHM, BETA = 3.2, 3.0
"""Of the simulated stars: the default of the simulator."""

APERTURES = (3, 4, 6, 10)


@pytest.fixture(scope="module")
def frames() -> list[Image]:
    """Raw frames of a field of stars: sky with a gradient, photon and read noise; the catalogue is the truth."""
    field = {"galaxies": 0, "stars": 200, "star_magnitudes": (14.0, 22.0)}
    return [simulate_field((1024, 1024), seed=seed, **field) for seed in range(1, 6)]


def enclosed(radius: float) -> float:
    """Part of a Moffat's flux in a circle, averaged over where the star lies on the pixels.

    The profile is smoothed twice by a pixel: once by the detector, once because the circle cuts flat pixels.
    Without this, 1 - (1 + r²/c²)^(1 - beta), the stars would seem 1 % too faint within 4 px.
    """
    fine = 16
    u = (np.arange(121 * fine) + 0.5) / fine - 60.5
    core2 = (FWHM / 2) ** 2 / (2 ** (1 / BETA) - 1)
    r2 = u[:, None] ** 2 + u[None, :] ** 2
    profile = (1 + r2 / core2) ** -BETA * (BETA - 1) / (np.pi * core2) / fine**2
    return float(uniform_filter(uniform_filter(profile, fine), fine)[r2 < radius**2].sum())


def isolated(truth: Table, shape: tuple[int, int]) -> np.ndarray:
    """Stars away from the border whose neighbours within 30 px together have less than 1 % of their flux."""
    x, y, flux = (np.asarray(truth[name]) for name in ("x", "y", "flux"))
    neighbours = cKDTree(np.c_[x, y]).query_ball_point(np.c_[x, y], 30)
    light = np.array([flux[near].sum() - flux[k] for k, near in enumerate(neighbours)])
    border = np.minimum.reduce([x, y, shape[1] - 1 - x, shape[0] - 1 - y])
    return (light < 0.01 * flux) & (border > 30) & ~np.asarray(truth["saturated"])


def measured(frames: list[Image], run, photometry) -> Table:
    """Isolated stars of all frames with their measured fluxes."""
    tables = []
    for frame in frames:
        catalog = run(photometry, run(SubtractBackground(), frame)).catalog
        tables.append(catalog[isolated(catalog, frame.shape)])
    return vstack(tables, metadata_conflicts="silent")


def test_stars_are_found_and_nothing_else(frames, run):
    found, spurious, sources = [], 0, 0
    for frame in frames:
        truth = frame.catalog
        catalog = run(SepSourceDetection(), run(SubtractBackground(), frame.replace(catalog=None))).catalog
        distance, _ = cKDTree(np.c_[catalog["x"], catalog["y"]]).query(np.c_[truth["x"], truth["y"]])
        found.append(Table({"snr": truth["snr"], "found": distance < 2}))
        distance, _ = cKDTree(np.c_[truth["x"], truth["y"]]).query(np.c_[catalog["x"], catalog["y"]])
        spurious, sources = spurious + (distance > 2).sum(), sources + len(catalog)
    found = vstack(found)

    def completeness(low, high):
        return found["found"][(found["snr"] >= low) & (found["snr"] < high)].mean()

    assert completeness(20, np.inf) > 0.98  # the rest are close pairs
    assert completeness(10, 20) > 0.95
    assert completeness(7, 10) > 0.65
    assert spurious / sources < 0.02


@pytest.mark.parametrize("annulus", [None, (15, 30)])
def test_fluxes_and_errors_mean_what_they_say(frames, run, annulus):
    stars = measured(frames, run, AperturePhotometry(apertures=APERTURES, annulus=annulus))
    bright = stars["snr"] > 50

    assert bright.sum() > 80
    for k, radius in enumerate(APERTURES, start=1):
        expected = stars["flux_adu"] * enclosed(radius)
        flux, error = stars[f"flux_aper_{k}"], stars[f"flux_err_aper_{k}"]
        assert np.mean((flux / expected)[bright]) == pytest.approx(1, abs=0.01)
        assert np.median((flux / expected)[bright]) == pytest.approx(1, abs=0.005)
        pulls = (flux - expected) / error
        assert np.mean(pulls) == pytest.approx(0, abs=0.1)
        assert np.std(pulls) == pytest.approx(1, abs=0.15)


def test_errors_of_an_uncertainty_plane_mean_what_they_say(frames, run):
    """With the variance of each pixel given, as a calibration would: electrons and read noise."""
    given = []
    for frame in frames:
        gain, read_noise, bias = frame.gain, frame.read_noise, 300.0
        variance = np.maximum(frame.data - bias, 0) / gain + (read_noise / gain) ** 2
        given.append(frame.replace(uncertainty=np.sqrt(variance).astype(np.float32)))

    stars = measured(given, run, AperturePhotometry(apertures=[4]))

    pulls = (stars["flux_aper_1"] - stars["flux_adu"] * enclosed(4)) / stars["flux_err_aper_1"]
    assert np.mean(pulls) == pytest.approx(0, abs=0.1)
    assert np.std(pulls) == pytest.approx(1, abs=0.15)


def test_sep_and_photutils_measure_the_same(frames, run):
    image = run(SubtractBackground(), frames[0])
    ours, *others = (
        run(kind(apertures=[3, 5], annulus=[12, 18]), image).catalog
        for kind in (AperturePhotometry, SepPhotometry, PhotUtilsPhotometry)
    )

    for other in others:
        for name in ("flux_aper_1", "flux_err_aper_1", "flux_aper_2", "background_aper_2", "area_aper_2"):
            assert other[name] == pytest.approx(ours[name], rel=1e-6, abs=1e-6, nan_ok=True)
        assert list(other["flags_aper_1"]) == list(ours["flags_aper_1"])


def test_positions_are_as_good_as_their_errors(frames, run):
    """x_err, y_err are sep's: sky and photon noise, no blends."""
    pulls = []
    for frame in frames:
        truth = frame.catalog
        stars = truth[isolated(truth, frame.shape) & (np.asarray(truth["snr"]) > 30)]
        catalog = run(SepSourceDetection(), frame).catalog
        distance, nearest = cKDTree(np.c_[catalog["x"], catalog["y"]]).query(np.c_[stars["x"], stars["y"]])
        found = catalog[nearest[distance < 1]]
        pulls += list((found["xwin"] - stars["x"][distance < 1]) / found["x_err"])

    assert np.mean(pulls) == pytest.approx(0, abs=0.2)
    assert 0.5 < np.std(pulls) < 1.5
