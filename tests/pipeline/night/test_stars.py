"""The same stars on shifted, rotated and incomplete frames."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etendue.images import make_catalog
from etendue.pipeline.night.stars import make_series, shift_between


def catalog(x, y, flux, *, flags=None, sky=None):
    n = len(x)
    columns = {"x": x, "y": y, "flux": flux, "flags": np.zeros(n) if flags is None else flags}
    columns |= {"flux_aper_1": flux, "flux_err_aper_1": np.sqrt(flux), "flags_aper_1": np.zeros(n)}
    if sky is not None:
        columns |= {"ra": sky[0], "dec": sky[1]}
    return make_catalog(columns)


def stars(seed=1, n=60, side=500.0):
    rng = np.random.default_rng(seed)
    return rng.uniform(0, side, n), rng.uniform(0, side, n), 10 ** rng.uniform(3, 6, n)


@given(
    dx=st.floats(-40, 40),
    dy=st.floats(-40, 40),
    seed=st.integers(0, 50),
    lost=st.integers(0, 25),
    new=st.integers(0, 25),
)
def test_shift_is_found_among_lost_and_new_stars(dx, dy, seed, lost, new):
    x, y, _ = stars(seed)
    reference = np.column_stack([x, y])
    rng = np.random.default_rng(seed)
    moved = np.vstack([reference[lost:] + np.array([dx, dy]), rng.uniform(0, 500, (new, 2))])

    np.testing.assert_allclose(shift_between(reference, moved), (dx, dy), atol=0.2)


def test_fluxes_follow_the_stars():
    x, y, flux = stars()
    order = np.random.default_rng(2).permutation(len(x))
    frames = [catalog(x, y, flux), catalog(x[order] + 12.3, y[order] - 7.1, 2 * flux[order])]

    series = make_series(frames)

    np.testing.assert_allclose(series.flux[0, :, 1], 2 * series.flux[0, :, 0])
    np.testing.assert_allclose(series.error[0, :, 0] ** 2, flux)


def test_a_field_turned_by_the_meridian_flip_is_matched_on_the_sky():
    x, y, flux = stars()
    ra, dec = 150 + (x - 250) * 2e-4 / np.cos(np.radians(2)), 2 + (y - 250) * 2e-4
    frames = [catalog(x, y, flux, sky=(ra, dec)), catalog(499 - x + 3, 499 - y - 2, flux, sky=(ra, dec))]

    series = make_series(frames)

    np.testing.assert_allclose(series.flux[0, :, 1], flux)


def test_a_star_that_is_missing_saturated_or_at_the_border_has_no_flux():
    x, y, flux = stars()
    flags = np.zeros(len(x), int)
    flags[3], flags[4] = 256, 0
    second = catalog(x, y, flux, flags=flags)
    second["flags_aper_1"][4] = 16
    frames = [catalog(x, y, flux), second[np.arange(len(x)) != 7]]

    series = make_series(frames)

    assert np.isnan(series.flux[0, [3, 4, 7], 1]).all()
    assert np.isfinite(series.flux[0, [3, 4, 7], 0]).all()
    assert np.flatnonzero(series.saturated).tolist() == [3]


def test_two_stars_do_not_share_a_source():
    x, y, flux = stars()
    x[1], y[1] = x[0] + 2.0, y[0]  # blended on the second frame
    second = catalog(np.delete(x, 1), np.delete(y, 1), np.delete(flux, 1))

    series = make_series([catalog(x, y, flux), second])

    assert np.isfinite(series.flux[0, 0, 1])
    assert np.isnan(series.flux[0, 1, 1])


def test_an_empty_frame_leaves_a_gap():
    x, y, flux = stars()

    series = make_series([catalog(x, y, flux), catalog([], [], []), catalog(x, y, flux)])

    assert np.isnan(series.flux[0, :, 1]).all()
    assert np.isfinite(series.flux[0, :, 2]).all()


def test_catalogues_without_fluxes_are_refused_with_advice():
    with pytest.raises(ValueError, match="add a step for photometry"):
        make_series([make_catalog(x=[1.0], y=[2.0])])
