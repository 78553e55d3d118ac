"""Relative light curves: what all stars share goes, what one star does stays."""

import numpy as np
import pytest

from etendue.processors.photometry.ensemble import ensemble_photometry, variability

FRAMES = 40


def night(rng, stars=30, error=0.003):
    """Fluxes of constant stars under clouds, with their errors."""
    brightness = 10 ** rng.uniform(4, 6, stars)
    clouds = 1 - 0.4 * np.sin(np.linspace(0, 3, FRAMES)) ** 2
    flux = brightness[:, None] * clouds
    sigma = error * flux
    return flux + sigma * rng.standard_normal(flux.shape), sigma, clouds


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def test_clouds_are_gone_and_known(rng):
    flux, error, clouds = night(rng)

    found = ensemble_photometry(flux, error)

    assert np.std(found.relative) == pytest.approx(0.003, rel=0.1)
    np.testing.assert_allclose(found.transparency, clouds / np.median(clouds), atol=0.004)


def test_stated_errors_are_those_of_the_points(rng):
    flux, error, _ = night(rng)

    found = ensemble_photometry(flux, error)

    assert np.std((found.relative - 1) / found.error) == pytest.approx(1, abs=0.06)


def test_a_variable_star_keeps_its_amplitude_and_is_no_comparison(rng):
    flux, error, _ = night(rng)
    pulse = 1 + 0.2 * np.sin(np.linspace(0, 12, FRAMES))
    flux[3] *= pulse

    found = ensemble_photometry(flux, error)

    assert not found.comparison[3]
    assert found.comparison.sum() > 20
    np.testing.assert_allclose(found.relative[3], pulse / np.median(pulse), atol=0.015)


def test_a_comparison_star_is_not_compared_with_itself(rng):
    flux, error, _ = night(rng, stars=4)
    flux[0] *= 1000  # its weight would hide its own variation
    error[0] *= 10
    dip = np.where(np.arange(FRAMES) > 20, 0.99, 1.0)
    flux[0] *= dip

    found = ensemble_photometry(flux, error, np.ones(4, bool))

    before, after = np.median(found.relative[0][:20]), np.median(found.relative[0][21:])
    assert after / before == pytest.approx(0.99, abs=0.003)


def test_missing_points_stay_missing(rng):
    flux, error, _ = night(rng)
    flux[2, 5], error[4, 7] = np.nan, 0.0

    found = ensemble_photometry(flux, error)

    assert np.isnan(found.relative[2, 5])
    assert np.isnan(found.relative[4, 7])
    assert np.isfinite(found.relative[5:]).all()


def test_stars_that_are_missing_on_other_frames_can_be_compared(rng):
    """A field that drifts over bad pixels: no star is on every frame, and clouds thin out meanwhile."""
    flux, error, clouds = night(rng)
    flux[rng.random(flux.shape) < 0.25] = np.nan
    flux[np.arange(30), np.arange(30)] = np.nan

    found = ensemble_photometry(flux, error)

    assert found.comparison.sum() > 20
    assert np.nanstd(found.relative) == pytest.approx(0.003, rel=0.12)
    np.testing.assert_allclose(found.transparency, clouds / np.median(clouds), atol=0.006)


def test_too_few_comparison_stars_are_an_error(rng):
    flux, error, _ = night(rng, stars=2)

    with pytest.raises(ValueError, match="2 stars were measured on enough frames"):
        ensemble_photometry(flux, error)


def test_two_frames_are_no_light_curve(rng):
    flux, error, _ = night(rng)

    with pytest.raises(ValueError, match="three frames"):
        ensemble_photometry(flux[:, :2], error[:, :2])


def test_noise_has_chi2_and_steadiness_of_one(rng):
    relative = 1 + 0.01 * rng.standard_normal((400, FRAMES))

    chi2, steadiness = variability(relative, np.full_like(relative, 0.01))

    assert np.mean(chi2) == pytest.approx(1, abs=0.03)
    assert np.median(steadiness) == pytest.approx(1, abs=0.05)


def test_a_slow_change_is_steady_and_a_jitter_is_not():
    time = np.linspace(0, 1, FRAMES)
    slow, jitter = 1 + 0.05 * np.sin(6 * time), 1 + 0.05 * (-1.0) ** np.arange(FRAMES)
    curves = np.vstack([slow, jitter])

    chi2, steadiness = variability(curves, np.full_like(curves, 0.01))

    assert (chi2 > 5).all()
    assert steadiness[0] > 20
    assert steadiness[1] < 0.6
