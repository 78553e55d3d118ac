"""The compiled kernels and their networks against slow references."""

from itertools import pairwise, product

import numpy as np
import pytest
from astropy.stats import mad_std, sigma_clip

from etendue.processors.combination import kernels
from etendue.processors.combination.kernels import networks


def networks_for(count):
    return (
        networks.sorting_network(count),
        networks.median_network(count),
        networks.valley_network(count),
        networks.valley_median_network(count),
    )


def applied(network, rows):
    rows = rows.copy()
    for low, high in network:
        rows[low], rows[high] = np.minimum(rows[low], rows[high]), np.maximum(rows[low], rows[high])
    return rows


@pytest.mark.parametrize("count", range(1, 12))
def test_network_sorts_all_zeros_and_ones_and_so_everything(count):
    every = np.array(list(product((0, 1), repeat=count))).T

    assert np.array_equal(applied(networks.sorting_network(count), every), np.sort(every, axis=0))


@pytest.mark.parametrize("count", [1, 2, 5, 9, 10, 17, 30, 61])
def test_median_and_valley_networks(count, rng):
    values = rng.normal(size=(count, 300))
    low, high = networks.middle_rows(count)
    short = applied(networks.median_network(count), values)
    away = np.abs(np.sort(values, axis=0) - np.median(values, axis=0))

    assert np.array_equal((short[low] + short[high]) / 2, np.median(values, axis=0))
    assert np.array_equal(applied(networks.valley_network(count), away), np.sort(away, axis=0))
    half = applied(networks.valley_median_network(count), away)
    assert np.array_equal((half[low] + half[high]) / 2, np.median(away, axis=0))


def stack(rng, frames, pixels=1500, *, holes=0.1):
    """Values with hits; a tenth is left out, and all of the first pixel."""
    values = rng.normal(1000, 5, (frames, pixels)).astype(np.float32)
    values[rng.random(values.shape) < 0.02] += 3000
    values[rng.random(values.shape) < holes] = np.nan
    if holes:
        values[:, 0] = np.nan
    cube = np.empty_like(values)
    for row, target in zip(values, cube, strict=True):
        kernels.load(row, np.empty(0, np.uint8), np.float32(1), target)
    return values, cube


@pytest.mark.filterwarnings("ignore:All-NaN")
@pytest.mark.parametrize("frames", [1, 2, 3, 7, 10, 33, 150])
@pytest.mark.parametrize("holes", [0.0, 0.1])
def test_median_is_that_of_numpy(frames, holes, rng):
    values, cube = stack(rng, frames, holes=holes)
    out, count, deviation = (np.empty(values.shape[1], dtype) for dtype in (np.float32, np.int32, np.float32))

    kernels.median(cube, *networks_for(frames), out, count, deviation)

    assert np.allclose(out, np.nanmedian(values, axis=0), rtol=1e-6, equal_nan=True)
    assert np.array_equal(count, np.isfinite(values).sum(axis=0))
    used = count > 0
    assert np.allclose(deviation[used], mad_std(values, axis=0, ignore_nan=True)[used], rtol=1e-5, atol=1e-3)


def slow_clip(values, rounds, center, deviation, low, high):
    """Values of one pixel that are kept: what was clipped once never comes back."""
    kept = values[np.isfinite(values)].astype(np.float64)
    for _ in range(rounds):
        if kept.size < 2:
            break
        middle = np.median(kept) if center == "median" else np.mean(kept)
        spread = mad_std(kept) if deviation == "mad_std" else np.std(kept)
        inside = kept[(kept >= middle - low * spread) & (kept <= middle + high * spread)]
        if inside.size == kept.size:
            break
        kept = inside
    return kept


@pytest.mark.filterwarnings("ignore:Input data contains invalid")
@pytest.mark.parametrize("frames", [3, 5, 10, 30])
@pytest.mark.parametrize("rounds", [1, 5])
@pytest.mark.parametrize(("center", "deviation"), [*product(["median", "mean"], ["mad_std", "std"])])
def test_clipping_is_that_of_slow_code_and_of_astropy(frames, rounds, center, deviation, rng):
    values, cube = stack(rng, frames)
    bottom, top, centres, out, error = np.empty((5, values.shape[1]), dtype=np.float32)
    count = np.empty(values.shape[1], dtype=np.int32)
    full, _, valley, short = networks_for(frames)
    floors = np.zeros(values.shape[1], dtype=np.float32)

    by = center == "median", deviation == "mad_std"
    kernels.clip_limits(cube, full, valley, short, *by, 3.0, 2.5, floors, rounds, bottom, top, centres)
    kernels.clipped_mean(cube, full, valley, short, *by, 3.0, 2.5, floors, rounds, out, error, count)

    assert np.array_equal(count, ((cube >= bottom) & (cube <= top)).sum(axis=0))
    kept = [slow_clip(pixel, rounds, center, deviation, 3.0, 2.5) for pixel in values.T]
    same = count == [pixel.size for pixel in kept]
    assert same.mean() > 0.999  # float32 may decide otherwise at the very limit
    for k in np.flatnonzero(same & (count > 1)):
        assert out[k] == pytest.approx(kept[k].mean(), rel=1e-6)
        assert error[k] == pytest.approx(kept[k].std(ddof=1) / kept[k].size ** 0.5, rel=1e-4, abs=1e-4)
    within = [np.empty_like(plane) for plane in (out, error, count)]
    kernels.mean_within(cube, bottom, top, centres, *within)
    assert np.array_equal(within[2], count)
    assert np.allclose(within[0], out, rtol=1e-6, equal_nan=True)
    assert np.allclose(within[1], error, rtol=1e-4, atol=1e-4, equal_nan=True)
    if rounds == 1:
        clipped = sigma_clip(
            values, sigma_lower=3, sigma_upper=2.5, maxiters=1, cenfunc=center, stdfunc=deviation, axis=0
        )
        assert (count == (~np.ma.getmaskarray(clipped)).sum(axis=0)).mean() > 0.999


def test_weighted_mean_and_its_errors(rng):
    values, cube = stack(rng, 6, holes=0.0)
    variances = rng.uniform(1, 9, values.shape).astype(np.float32)
    weights = np.array([1, 2, 3, 1, 1, 0.5], dtype=np.float32)
    pixels = values.shape[1]
    bottom, top, centres = np.full((3, pixels), [[-1e9], [1e9], [1000]], dtype=np.float32)
    out, scatter, propagated = np.empty((3, pixels), dtype=np.float32)
    count = np.empty(pixels, dtype=np.int32)

    kernels.weighted_mean_within(cube, variances, weights, True, bottom, top, centres, out, scatter, propagated, count)

    w = weights[:, None] / variances.astype(np.float64)
    assert np.allclose(out, np.average(values, axis=0, weights=w), rtol=1e-6)
    assert np.allclose(propagated, np.sqrt((w**2 * variances).sum(axis=0)) / w.sum(axis=0), rtol=1e-5)
    assert (count == 6).all()


def test_number_of_comparators_grows_slowly():
    counts = [len(networks.sorting_network(n)) for n in (8, 16, 32, 64)]

    assert counts == [19, 63, 191, 543]  # Knuth, vol. 3, section 5.3.4
    assert all(b < 4 * a for a, b in pairwise(counts))


def test_typical_error_is_the_root_mean_square_of_what_is_used(rng):
    values, cube = stack(rng, 7)
    errors = rng.uniform(1, 3, values.shape)
    out = np.empty(values.shape[1], dtype=np.float32)

    kernels.typical_error(cube, (errors**2).astype(np.float32), out)

    used = np.ma.masked_array(errors**2, np.isnan(values))
    assert np.allclose(out, np.sqrt(used.mean(axis=0)).filled(0), rtol=1e-5)
