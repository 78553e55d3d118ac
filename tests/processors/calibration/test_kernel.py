"""The compiled kernel does what its formula says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etendue.images.sections import Section
from etendue.processors.calibration.folding import Folded, Region
from etendue.processors.calibration.kernel import NO_FLAGS, NONE
from etendue.processors.calibration.reduction import Level, reduce_frame


def slow(raw, given, levels, regions, m, saturation):
    """The formulae of the docstrings, in float64."""
    shape = m.offset.shape
    out, error = np.full(shape, np.nan), np.full(shape, np.nan)
    mask = np.full(shape, 1, np.uint8)
    for region, level, limit in zip(regions, levels, m.dark_limits[: len(regions)], strict=True):
        part, source = region.target.slices, raw[region.source.slices].astype(float)
        g = m.gain_over_flat[part].astype(float)
        out[part] = (source - level.rows[:, None] - m.offset[part]) * g
        s = g / region.gain
        variance = np.maximum(out[part] * s + m.floor[part], s**2 * limit) + g**2 * level.variance
        if m.flat_variance.size:
            variance += out[part] ** 2 * m.flat_variance[part]
        error[part] = np.sqrt(variance)
        flags = np.where(source >= saturation, 4, 0).astype(np.uint8)
        if m.flags.size:
            flags |= m.flags[part]
        if given is not None:
            flags |= given[region.source.slices]
        mask[part] = np.where(np.isnan(out[part]) & (flags == 0), 1, flags)
    return out, error, mask


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([np.uint16, np.int16, np.int32, np.float32]),
    st.booleans(),
    st.booleans(),
    st.integers(1, 4),
)
def test_kernel_is_the_formula(seed, dtype, has_flags, has_flat_error, threads):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(2, 20, 2)
    raw = rng.integers(0, 30000, (height, width + 3)).astype(dtype)
    cut = int(rng.integers(1, width))
    regions = [Region(Section(1, 1 + cut, 0, height), 0, 0, 2.0, 5.0)]
    regions += [Region(Section(1 + cut, 1 + width, 0, height), cut, 0, 1.5, 4.0)] if seed % 2 else []
    shape = (height, width)
    masters = Folded(
        rng.normal(300, 5, shape).astype("f4"),
        np.where(rng.random(shape) < 0.1, np.nan, rng.uniform(1, 3, shape)).astype("f4"),
        rng.uniform(20, 40, shape).astype("f4"),
        rng.uniform(0, 1e-4, shape).astype("f4") if has_flat_error else NONE,
        rng.integers(0, 20, shape).astype("u1") if has_flags else NO_FLAGS,
        (25.0, 16.0),
    )
    given_flags = rng.integers(0, 3, raw.shape).astype("u1") if has_flags else None
    levels = [Level(rng.normal(10, 1, height).astype("f4"), 0.3) for _ in regions]

    found = reduce_frame(raw, given_flags, shape, regions, levels, masters, saturation=25000.0, threads=threads)

    out, error, mask = slow(raw, given_flags, levels, regions, masters, 25000.0)
    np.testing.assert_allclose(found.data, out, rtol=2e-6, atol=2e-2)
    np.testing.assert_allclose(found.uncertainty, error, rtol=1e-5)
    np.testing.assert_array_equal(found.mask, mask)
    seen = np.zeros(raw.shape, bool)
    for region in regions:
        seen[region.source.slices] = raw[region.source.slices] >= 25000
    np.testing.assert_array_equal(found.saturated_rows, np.flatnonzero(seen.any(axis=1)))
    np.testing.assert_array_equal(found.saturated_columns, np.flatnonzero(seen.any(axis=0)))


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_more_threads_than_rows_are_no_problem(rows):
    shape = (rows, 3)
    one = np.ones(shape, np.float32)
    masters = Folded(0 * one, one, one, NONE, NO_FLAGS, (1.0,))
    region = Region(Section(0, 3, 0, rows), 0, 0, 1.0, 1.0)
    found = reduce_frame(one * 8, None, shape, [region], [Level(np.zeros(rows, "f4"))], masters, threads=16)
    assert (found.data == 8).all()
    assert (found.uncertainty == 3).all()
