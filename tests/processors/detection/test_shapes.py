"""The kernels that measure sources, against sep and against closed forms."""

import numpy as np
import pytest
import sep

from etendue.processors.detection.growth import light_radii
from etendue.processors.detection.windowed import windowed_centroids

NO_MASK = np.empty((0, 0), dtype=np.uint8)


def gaussian_stars(rng, noise=1.0, shape=(200, 260), count=40):
    """Round Gaussians of 2 px standard deviation on noise, apart from each other and from the border."""
    rows, columns = np.indices(shape)
    data = rng.normal(0, noise, shape)
    grid = [(x, y) for x in range(25, shape[1] - 20, 30) for y in range(25, shape[0] - 20, 30)][:count]
    x, y = (np.array(grid) + rng.uniform(-0.5, 0.5, (len(grid), 2))).T
    flux = 10 ** rng.uniform(3.5, 5, len(grid))
    for x0, y0, f in zip(x, y, flux, strict=True):
        data += f / (2 * np.pi * 4) * np.exp(-((columns - x0) ** 2 + (rows - y0) ** 2) / 8)
    return data.astype(np.float32), np.ascontiguousarray(x), np.ascontiguousarray(y), flux


def half_light(data, x, y, flux, bad=NO_MASK, largest=12.0):
    radii = np.empty((len(x), 3))
    light_radii(data, bad, x, y, np.full(len(x), largest), flux, np.array([0.25, 0.5, 0.75]), radii)
    return radii


def centroids(data, x, y, bad=NO_MASK, sigma=2.0, farthest=3.0):
    xwin, ywin = np.empty(len(x)), np.empty(len(x))
    windowed_centroids(data, bad, x, y, np.full(len(x), sigma), np.full(len(x), farthest), xwin, ywin)
    return xwin, ywin


@pytest.mark.parametrize("masked", [False, True])
def test_radii_are_those_of_sep(rng, masked):
    data, x, y, flux = gaussian_stars(rng)
    bad = (rng.random(data.shape) < 0.02).astype(np.uint8) if masked else NO_MASK

    ours = half_light(data, x, y, flux, bad)
    theirs, _ = sep.flux_radius(
        data, x, y, np.full(len(x), 12.0), [0.25, 0.5, 0.75], normflux=flux, mask=bad if masked else None
    )

    assert ours == pytest.approx(theirs, abs=1e-6)


def test_radii_follow_the_closed_form(rng):
    """r(f) of a Gaussian is sigma sqrt(-2 ln(1 - f)), with 1/12 px² of the pixel in sigma²."""
    data, x, y, flux = gaussian_stars(rng, noise=0.0)

    radii = half_light(data, x, y, flux)

    expected = np.sqrt(4 + 1 / 12) * np.sqrt(-2 * np.log(1 - np.array([0.25, 0.5, 0.75])))
    assert radii == pytest.approx(np.broadcast_to(expected, radii.shape), rel=0.015)


def test_a_fraction_that_is_never_reached_gets_the_largest_radius(rng):
    data, x, y, flux = gaussian_stars(rng, count=3)

    assert half_light(data, x, y, 10 * flux)[:, 2].tolist() == [12, 12, 12]
    assert np.isnan(half_light(data, x, y, -flux)).all()
    assert np.isnan(half_light(data, np.array([np.nan]), y[:1], flux[:1])).all()


def test_centroids_are_those_of_sep(rng):
    data, x, y, _ = gaussian_stars(rng)
    start_x, start_y = x + rng.uniform(-0.4, 0.4, len(x)), y + rng.uniform(-0.4, 0.4, len(x))

    ours = centroids(data, start_x, start_y)
    theirs_x, theirs_y, _ = sep.winpos(data, start_x, start_y, np.full(len(x), 2.0))

    assert np.hypot(ours[0] - theirs_x, ours[1] - theirs_y).max() < 0.005
    assert np.hypot(ours[0] - x, ours[1] - y).max() < 0.15


def test_centroids_without_noise_are_exact(rng):
    data, x, y, _ = gaussian_stars(rng, noise=0.0)

    xwin, ywin = centroids(data, np.rint(x), np.rint(y))

    assert xwin == pytest.approx(x, abs=2e-4)
    assert ywin == pytest.approx(y, abs=2e-4)


def test_a_masked_hit_does_not_pull_the_centroid(rng):
    data, x, y, _ = gaussian_stars(rng, noise=0.0, count=1)
    column, row = round(x[0]) + 2, round(y[0])
    data[row, column] += 2 * data.max()
    bad = np.zeros(data.shape, dtype=np.uint8)
    bad[row, column] = 1

    pulled, kept = centroids(data, x, y)[0][0] - x[0], centroids(data, x, y, bad)[0][0] - x[0]
    assert pulled > 0.2
    assert abs(kept) < 0.2  # a hole pushes to the other side


def test_without_light_there_is_no_centroid():
    dark = np.zeros((30, 30), dtype=np.float32)

    assert np.isnan(centroids(dark, np.array([15.0]), np.array([15.0]))[0][0])
    assert np.isnan(centroids(dark + 1, np.array([15.0]), np.array([15.0]), sigma=np.nan)[0][0])
    assert np.isnan(centroids(dark + 1, np.array([-90.0]), np.array([15.0]))[0][0])
