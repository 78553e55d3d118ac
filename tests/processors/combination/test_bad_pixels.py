"""Defective pixels from a dark, and from a series of frames without any dark."""

import numpy as np
import pytest

from etendue.images import Image, ImageError
from etendue.processors.combination import Defect, bad_pixel_map, warm_pixels
from etendue.processors.combination.bad_pixels import drift, local_median


def test_local_median_is_that_of_scipy(rng):
    from scipy.ndimage import median_filter

    data = rng.normal(0, 1, (40, 60)).astype(np.float32)

    assert np.allclose(local_median(data, 5), median_filter(data, size=5, mode="mirror"))


def test_offset_columns_are_found(rng):
    dark = rng.normal(0, 1, (300, 200)).astype(np.float32)
    dark += np.linspace(0, 50, 300, dtype=np.float32)[:, None]  # amplifier glow is no defect
    dark[:, 77] += 3
    dark[100:200, 50] += 40

    bad = bad_pixel_map(dark=Image(dark, header={"IMAGETYP": "master dark"}))

    assert (bad.data[:, 77] & Defect.COLUMN).all()
    assert (bad.data[:, 50] & Defect.COLUMN).all()
    assert (bad.data[100:200, 50] & Defect.HOT).all()
    assert (bad.data != 0).sum() == 600


def test_nothing_to_go_by():
    with pytest.raises(ImageError, match="needs a master dark or a master flat"):
        bad_pixel_map()


@pytest.fixture
def series(tmp_path, rng):
    """``series(step)``: frames of stars that drift by `step` pixels from one to the next, over warm and cold pixels."""
    warm = {(40, 50): 80.0, (41, 50): 60.0, (90, 20): 200.0, (10, 100): -60.0}
    stars = rng.uniform(0, 200, (60, 2)), rng.uniform(200, 20_000, 60)

    def make(step):
        y, x = np.indices((120, 150))
        paths = []
        for k in range(12):
            data = rng.normal(200, 5, (120, 150))
            for (sx, sy), flux in zip(*stars, strict=True):
                data += flux / 14 * np.exp(-((x - sx + step * k) ** 2 + (y - sy + step * k / 3) ** 2) / 4.5)
            for place, excess in warm.items():
                data[place] += excess
            paths.append(tmp_path / f"{k}.fits")
            Image(data.astype(np.float32), header={"DATE-OBS": f"2026-01-01T20:{k:02d}:00"}).writeto(paths[-1])
        return paths

    return make, warm


def test_warm_pixels_are_found_and_stars_are_not(series):
    make, warm = series

    found = warm_pixels(make(4.0))

    assert {tuple(place) for place in np.argwhere(found.data).tolist()} == set(warm)
    assert found.data[10, 100] == Defect.COLD
    assert found.header["DRIFT"] == pytest.approx(11 * 4 * (1 + 1 / 9) ** 0.5, abs=2)


def test_series_that_stands_still_is_refused(series):
    make, _ = series

    with pytest.raises(ImageError, match="cannot be told from warm pixels"):
        warm_pixels(make(0.0))


def test_drift_is_found(rng):
    field = rng.normal(0, 1, (200, 200))
    for y, x in rng.integers(5, 195, (30, 2)):
        field[y - 1 : y + 2, x - 1 : x + 2] += 500

    assert drift(field[:150, :150], field[20:170, 7:157]) == (-7, -20)
