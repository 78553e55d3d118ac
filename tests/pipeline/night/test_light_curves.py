"""Light curves: variable stars are found, targets are drawn, files say what they hold."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from etendue.images import make_catalog
from etendue.images.catalog import read_table
from etendue.pipeline.night.light_curves import Frame, light_curves, write_light_curves

START = datetime(2026, 3, 20, 21, tzinfo=UTC)
COUNT = 24


def series(variable=0.3, filter_name="R", seed=4, n=50):
    """Frames of a field that drifts, through clouds, with a pulsating star (number 7)."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(20, 480, (2, n))
    flux = 10 ** rng.uniform(4.5, 6, n)
    flux[7] = 3e5
    frames = []
    for k in range(COUNT):
        seen = flux * (1 - 0.3 * np.sin(k / 8) ** 2)
        seen[7] *= 10 ** (-0.4 * variable * np.sin(2 * np.pi * k / 17))
        error = np.sqrt(seen + 900)
        measured = seen + error * rng.standard_normal(n)
        catalog = make_catalog(
            x=x + 0.4 * k, y=y - 0.2 * k, ra=150 + x / 7200, dec=2 + y / 7200, flux=measured, flags=np.zeros(n),
            flux_aper_1=measured, flux_err_aper_1=error, flags_aper_1=np.zeros(n),
        )  # fmt: skip
        frames.append(Frame(f"{k}.fits", START + timedelta(minutes=10 * k), filter_name, "field", catalog))
    return frames, (150 + x[7] / 7200, 2 + y[7] / 7200), (150 + x[9] / 7200, 2 + y[9] / 7200)


def test_the_variable_star_is_found_with_its_amplitude():
    frames, (ra, dec), _ = series()

    curves, notes = light_curves(frames)

    assert notes == []
    assert len(curves) == 1
    assert (curves[0].ra, curves[0].dec) == (pytest.approx(ra), pytest.approx(dec))
    assert curves[0].name.startswith("J1000")
    true = 0.3 * np.sin(2 * np.pi * np.arange(COUNT) / 17)
    np.testing.assert_allclose(curves[0].magnitude, true - np.median(true), atol=0.02)
    assert np.nanstd(curves[0].check) < 0.02


def test_a_constant_field_has_no_variable_stars():
    assert light_curves(series(variable=0.0)[0]) == ([], [])


def test_a_target_is_drawn_in_any_case_and_comes_first():
    frames, _, constant = series()

    curves, _ = light_curves(frames, {"My star": constant})

    assert [(curve.name, curve.is_target) for curve in curves][0] == ("My star", True)
    assert len(curves) == 2


def test_a_target_outside_the_field_is_noted():
    _, notes = light_curves(series()[0], {"Far": (10.0, -5.0)})

    assert notes == ["Far was not found on the frames in R"]


def test_a_star_that_varies_in_one_filter_is_drawn_in_all():
    first, _, _ = series()
    second, _, _ = series(variable=0.0, filter_name="V")

    curves, _ = light_curves([*first, *second])

    assert [curve.filter for curve in curves] == ["R", "V"]
    assert curves[0].name == curves[1].name


def test_the_number_of_variable_stars_is_limited():
    assert light_curves(series()[0], variables=0) == ([], [])


def test_few_frames_have_no_light_curves():
    assert light_curves(series()[0][:5]) == ([], [])


def test_catalogues_without_photometry_are_noted():
    frames, _, _ = series()
    bare = [Frame(f.name, f.time, f.filter, f.object_name, f.catalog["x", "y"]) for f in frames]

    _, notes = light_curves(bare)

    assert "no fluxes with errors in common" in notes[0]


def test_a_curve_of_an_earlier_run_does_not_stay(tmp_path):
    curves, _ = light_curves(series()[0])
    (path,) = write_light_curves(curves, tmp_path)

    write_light_curves([], tmp_path)

    assert not path.exists()


def test_one_spoiled_point_makes_no_variable_star():
    frames, _, _ = series(variable=0.0)
    frames[5].catalog["flux_aper_1"][7] *= 0.3

    assert light_curves(frames) == ([], [])


def test_a_curve_is_written_as_a_table_with_units(tmp_path):
    curves, _ = light_curves(series()[0])

    (path,) = write_light_curves(curves, tmp_path / "curves")

    table = read_table(path)
    assert len(table) == COUNT
    assert str(table["magnitude"].unit) == "mag"
    assert table["mjd"][0] == pytest.approx(61119.875)
    assert table.meta["filter"] == "R"
    assert table.meta["comparison_stars"] > 10
