"""Each effect of the simulated CCD has the size that its parameter says."""

import numpy as np
import pytest

from etendue.processors.simulation.night import CCDCamera, make_maps, read_raw
from etendue.processors.simulation.night.ccd import CLEAR, dust, vignetting

SHAPE = (256, 320)
PERFECT = {
    "bias_structure": 0,
    "row_noise": 0,
    "dark_current": 0,
    "glow": 0,
    "hot_pixels": 0,
    "bad_columns": 0,
    "dead_pixels": 0,
    "pixel_response": 0,
    "coating": 0,
    "dust": 0,
    "vignetting": 0,
}
"""A camera that does nothing but count."""


def perfect(**changes) -> CCDCamera:
    return CCDCamera(**(PERFECT | changes))


def exposures(count, camera, rng, *, light=0.0, seconds=0.0, shape=SHAPE):
    """Raw frames [adu] and the maps of the camera that took them."""
    maps = make_maps(camera, shape, ("R",), seed=2)
    expected = np.full(shape, light) * maps.response["R"]
    frames = [read_raw(expected, seconds, camera=camera, maps=maps, rng=rng).astype(float) for _ in range(count)]
    return np.array(frames), maps


def test_overscan_lies_to_the_right_and_sees_no_light(rng):
    frames, _ = exposures(1, perfect(overscan=24), rng, light=9000, seconds=100)

    assert frames.shape[1:] == (256, 344)
    assert frames[0, :, 320:].mean() == pytest.approx(1000, abs=0.3)
    assert frames[0, :, :320].mean() == pytest.approx(1000 + 9000 / 1.5, abs=2)


def test_level_and_read_noise_of_a_bias(rng):
    (first, second), _ = exposures(2, perfect(bias=700, read_noise=7.5, gain=1.25), rng)

    assert first.mean() == pytest.approx(700, abs=0.1)
    # Rounding to whole counts adds a twelfth to the variance.
    assert (first - second).std() / np.sqrt(2) == pytest.approx(np.sqrt(6.0**2 + 1 / 12), rel=0.01)


def test_the_pattern_of_the_bias_is_fixed(rng):
    frames, maps = exposures(40, CCDCamera(row_noise=0), rng)

    pulls = (frames.mean(axis=0) - 1000 - maps.bias) / (6 / 1.5 / np.sqrt(40))

    assert pulls.mean() == pytest.approx(0, abs=0.02)
    assert pulls.std() == pytest.approx(1, abs=0.02)
    assert maps.bias.std() > 0.5
    assert np.ptp(maps.bias[:, 320:], axis=1).max() < 1e-6  # the overscan sees the level of its row only


def test_pixels_of_a_row_share_the_row_noise(rng):
    frames, _ = exposures(1, perfect(row_noise=2.0, read_noise=3, overscan=320), rng, shape=(2000, 320))

    rows = frames[0].reshape(2000, 2, 320).mean(axis=2) - 1000

    assert np.cov(rows.T)[0, 1] == pytest.approx(4, rel=0.1)


def test_gain_by_photon_transfer(rng):
    (first, second), _ = exposures(2, perfect(gain=1.7, read_noise=5), rng, light=30_000)
    first, second = first[:, :320], second[:, :320]

    signal = (first + second).mean() / 2 - 1000
    variance = (first - second).var() / 2 - (5 / 1.7) ** 2

    assert signal / variance == pytest.approx(1.7, rel=0.015)


def test_gain_is_the_same_through_an_uneven_response(rng):
    """The response of pixels cancels in a difference; a curve of variance against level has the slope 1 / gain."""
    camera = CCDCamera(gain=1.7, hot_pixels=0, dark_current=0, glow=0)
    (first, second), maps = exposures(2, camera, rng, light=30_000)
    good = np.pad(~maps.bad, ((0, 0), (0, 32)))

    signal = (first + second)[good] / 2 - 1000 - maps.bias[good]
    variance = (first - second)[good].var() / 2 - (6 / 1.7) ** 2

    assert signal.mean() / variance == pytest.approx(1.7, rel=0.02)


def test_dark_current_grows_with_time(rng):
    short, maps = exposures(1, CCDCamera(bias_structure=0), rng, seconds=10)
    long, _ = exposures(1, CCDCamera(bias_structure=0), rng, seconds=90)
    good = ~maps.bad

    rate = (long - short)[0, :, :320][good].mean() * 1.5 / 80

    assert rate == pytest.approx(maps.dark[good].mean(), rel=0.05)
    assert np.median(maps.dark) == pytest.approx(0.05, rel=0.3)
    assert maps.dark[-20:, -20:].mean() > 0.2  # glow of the amplifier


def test_hot_pixels_are_as_many_as_asked_for(rng):
    _, maps = exposures(0, perfect(hot_pixels=0.01), rng)

    assert maps.bad.mean() == pytest.approx(0.01, rel=0.1)
    assert (maps.dark[maps.bad] >= 2).all()


def test_bad_columns_reach_away_from_the_amplifier(rng):
    _, maps = exposures(0, perfect(bad_columns=3), rng)
    rows = maps.bad.sum(axis=0)

    assert (rows > 0).sum() == 3
    assert rows.max() == 256  # one is dead altogether
    assert maps.bad[-1].sum() == 3
    assert maps.bad[0].sum() == 1


def test_an_observer_keeps_his_stars_clear_of_defects():
    camera, star = CCDCamera(hot_pixels=0.05, dead_pixels=0.05, bad_columns=40), (100.0, 90.0)

    maps = make_maps(camera, SHAPE, ("R",), 3, clear=[star])

    y, x = np.nonzero(maps.bad)
    assert np.hypot(x - star[0], y - star[1]).min() > CLEAR


def test_response_has_median_one_and_its_scatter(rng):
    _, maps = exposures(0, perfect(pixel_response=0.02), rng)
    response = maps.response["R"]

    assert np.median(response) == pytest.approx(1, abs=1e-6)
    assert response.std() == pytest.approx(0.02, rel=0.02)


def test_corners_lose_what_vignetting_says():
    throughput = vignetting((401, 401), 0.3)
    corners = [throughput[y, x] for y in (0, -1) for x in (0, -1)]

    assert throughput.max() == pytest.approx(1, abs=0.01)
    assert np.mean(corners) == pytest.approx(0.7, abs=0.01)


def test_a_grain_of_dust_makes_a_ring(rng):
    throughput = dust((400, 400), 1, rng, radius=(0.1, 0.1), depth=(0.05, 0.05))
    y, x = np.nonzero(throughput < 0.999)
    distance = np.hypot(*np.indices((400, 400)) - np.array([y.mean(), x.mean()])[:, None, None])

    assert throughput.min() == pytest.approx(0.95, abs=1e-3)
    assert throughput[distance < 6].mean() > 0.985  # the shadow of the mirror's hole
    assert throughput[distance > 60].min() > 0.9999
    assert np.sum(1 - throughput) / 0.05 == pytest.approx(np.pi * 40**2 * (1 - 0.9 * 0.38**2), rel=0.05)


def test_filters_share_the_detector_but_not_their_dust():
    maps = make_maps(perfect(dust=8, pixel_response=0.01), SHAPE, ("V", "R"), 1)

    ratio = maps.response["V"] / maps.response["R"]

    assert ratio.std() < maps.response["V"].std()
    assert 0.001 < ratio.std() < 0.01


def test_saturated_pixels_read_the_end_of_the_scale_and_bleed(rng):
    camera = perfect()
    maps = make_maps(camera, SHAPE, ("R",), 1)
    light = np.full(SHAPE, 1000.0)
    light[128, 160] = 12 * camera.full_well

    raw = read_raw(light, 0, camera=camera, maps=maps, rng=rng)

    trail = np.flatnonzero(raw[:, 160] == camera.saturation)
    assert camera.saturation == 65535
    assert trail.size == pytest.approx(12, abs=1)
    assert abs(trail.mean() - 128) < 1
    assert (raw[:, [159, 161]] < 3000).all()


def test_the_charge_of_a_particle_is_added_as_it_is(rng):
    camera = perfect(read_noise=0, gain=2)
    maps = make_maps(camera, SHAPE, ("R",), 1)
    hits = np.zeros(SHAPE, np.float32)
    hits[10, 12] = 5000

    raw = read_raw(np.zeros(SHAPE), 60, camera=camera, maps=maps, rng=rng, hits=hits)

    assert raw[10, 12] == 3500
    assert np.count_nonzero(raw != 1000) == 1
