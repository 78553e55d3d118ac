"""Filtering of catalogues, with the cases of pyobs's own filter where there are such."""

import numpy as np
import pytest

from etendue.images import Image, ImageError, make_catalog
from etendue.images.flags import SourceFlag
from etendue.processors.catalog import FilterSources


def image_with(shape=(20, 20), header=None, **columns) -> Image:
    return Image(np.zeros(shape), header=header, catalog=make_catalog(**columns))


def test_sources_near_the_border_are_dropped(run):
    image = image_with(x=[1.0, 10, 19, 10, 10], y=[10.0, 1, 10, 19, 10])

    kept = run(FilterSources(min_dist_to_border=2), image).catalog

    assert [(row["x"], row["y"]) for row in kept] == [(10, 10)]


def test_width_and_height_are_not_mixed_up(run):
    image = image_with((20, 100), x=[90.0, 10.0], y=[10.0, 90.0])

    assert list(run(FilterSources(min_dist_to_border=5), image).catalog["x"]) == [90]


def test_bad_sources_are_dropped_each_for_its_reason(run):
    """As in pyobs: saturated, small, elongated; only the last row is good."""
    image = image_with(
        peak=[50_000.0, 5001, 5002, 5006],
        npix=[50, 3, 50, 50],
        ellipticity=[0.1, 0.1, 0.8, 0.1],
        background=[100.0] * 4,
    )

    kept = run(FilterSources(min_pixels=10, max_ellipticity=0.4, saturation=50_000), image).catalog

    assert list(kept["peak"]) == [5006]


def test_the_brightest_come_sorted(run):
    image = image_with(id=[1, 2, 3], flux=[0.0, 1.0, 2.0])

    kept = run(FilterSources(brightest=2), image).catalog

    assert list(kept["flux"]) == [2, 1]
    assert list(kept["id"]) == [3, 2]


def test_unknown_fluxes_are_the_faintest(run):
    assert list(run(FilterSources(brightest=2), image_with(flux=[np.nan, 1.0, 2.0])).catalog["flux"]) == [2, 1]


def test_saturation_counts_the_sky_that_was_taken_off(run):
    image = image_with(header={"BKGLEVEL": 1000.0}, peak=[48_500.0, 49_500.0], background=[0.0, 0.0])

    assert list(run(FilterSources(saturation=50_000), image).catalog["peak"]) == [48_500]


def test_flags_are_named(run):
    image = image_with(flags=[0, SourceFlag.BLENDED, SourceFlag.TRUNCATED | SourceFlag.SATURATED])

    assert list(run(FilterSources(reject_flags=["truncated"]), image).catalog["flags"]) == [0, 1]
    assert list(run(FilterSources(reject_flags=["BLENDED", "SATURATED"]), image).catalog["flags"]) == [0]
    with pytest.raises(ValueError, match="unknown flag 'BLURRED'; there are BLENDED"):
        FilterSources(reject_flags=["blurred"])


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        ("> 2", [3]),
        (">= 2", [2, 3]),
        ("<2", [1]),
        ("<= 2", [1, 2]),
        ("== 2", [2]),
        ("!= 2", [1, 3]),
        (2, [2]),
        ("> -1e9", [1, 2, 3]),
    ],
)
def test_conditions_on_any_column(run, condition, kept):
    image = image_with(colour=[1.0, 2.0, 3.0, np.nan])

    assert list(run(FilterSources(where={"colour": condition}), image).catalog["colour"]) == kept


def test_signal_to_noise_needs_an_error(run):
    image = image_with(flux=[100.0, 100.0, 100.0], flux_err=[5.0, 30.0, 0.0], id=[1, 2, 3])

    assert list(run(FilterSources(min_snr=10), image).catalog["id"]) == [1]


def test_masked_values_fulfil_nothing(run):
    image = image_with(mag=np.ma.array([15.0, 16.0], mask=[False, True]))

    assert list(run(FilterSources(where={"mag": "< 20"}), image).catalog["mag"]) == [15]


def test_without_conditions_nothing_changes(run):
    image = image_with(x=[3.0, 1.0], flux=[1.0, 2.0])

    assert list(run(FilterSources(), image).catalog["x"]) == [3, 1]


def test_an_empty_catalogue_stays_empty(run):
    image = image_with(x=[], y=[], flux=[])

    assert len(run(FilterSources(min_dist_to_border=1, brightest=5), image).catalog) == 0


def test_too_few_sources_can_be_an_error(run):
    with pytest.raises(ImageError, match="1 of 2 sources fulfil the conditions, 2 are needed"):
        run(FilterSources(where={"flux": "> 1"}, at_least=2), image_with(flux=[1.0, 2.0]))


def test_missing_columns_and_wrong_conditions_are_named(run):
    with pytest.raises(ImageError, match="no column ellipticity, which max_ellipticity needs; it has x"):
        run(FilterSources(max_ellipticity=0.3), image_with(x=[1.0]))
    with pytest.raises(ImageError, match="does not hold numbers"):
        run(FilterSources(where={"kind": "> 1"}), image_with(kind=["star"]))
    with pytest.raises(ValueError, match="not a condition"):
        FilterSources(where={"flux": "about 100"})


def test_settings_survive_yaml():
    keep = FilterSources(reject_flags=["saturated"], where={"flux": "> 100", "flags": 0})

    assert FilterSources.model_validate(keep.model_dump(mode="json")) == keep
