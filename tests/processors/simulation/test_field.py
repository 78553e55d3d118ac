"""A simulated frame shows exactly what its truth says, with the noise that its header says."""

import asyncio
from itertools import islice

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from etendue.images import Image
from etendue.processors.simulation import Camera, Exposure, SimulateField, pointing, simulate_field, write_fields
from etendue.processors.simulation.camera import bleed, cosmic_ray_hits, read_out, vignette
from etendue.processors.simulation.field import simulate_series
from etendue.processors.simulation.moffat import enclosed_fraction
from etendue.processors.simulation.scene import magnitudes

FLAT_SKY = Exposure(gradient=0, exposure_time=60)


def aperture_sum(pixels, x, y, radius, factor=10):
    """Light in a circle, each pixel's spread evenly over its area."""
    low_x, low_y, size = int(x - radius - 2), int(y - radius - 2), int(2 * radius + 5)
    cut = np.kron(pixels[low_y : low_y + size, low_x : low_x + size], np.ones((factor, factor))) / factor**2
    v, u = (np.mgrid[: cut.shape[0], : cut.shape[1]] + 0.5) / factor - 0.5
    return cut[np.hypot(u + low_x - x, v + low_y - y) < radius].sum()


def test_the_same_seed_gives_the_same_pixels():
    first, second, other = (simulate_field((128, 160), seed=seed) for seed in (5, 5, 6))

    assert np.array_equal(first.data, second.data)
    assert not np.array_equal(first.data, other.data)


def test_a_star_has_the_flux_and_place_that_the_truth_says():
    exposure = Exposure(gradient=0, sky=40, fwhm=3.5, beta=3.2)
    options = {"stars": 1, "galaxies": 0, "star_magnitudes": (14, 15), "exposure": exposure, "rotation": 20}
    image = next(
        image
        for image in (simulate_field((200, 260), seed=seed, digitize=False, **options) for seed in range(99))
        if len(image.catalog) and 25 < image.catalog["x"][0] < 235 and 25 < image.catalog["y"][0] < 175
    )
    star = image.catalog[0]

    within = aperture_sum(image.data.astype(float), star["x"], star["y"], 20)
    v, u = np.mgrid[:200, :260]
    near = np.hypot(u - star["x"], v - star["y"]) < 8
    x = (u * image.data)[near].sum() / image.data[near].sum()

    assert within == pytest.approx(star["flux"] * enclosed_fraction(20, 3.5, 3.2), rel=2e-3)
    assert x == pytest.approx(star["x"], abs=0.05)
    assert star["flux"] == pytest.approx(10 ** (0.4 * (25 - star["mag"])) * 120)


@pytest.mark.parametrize("rotation", [0.0, 33.0, 180.0])
def test_sky_positions_fit_the_header(rotation):
    image = simulate_field((200, 300), seed=3, rotation=rotation, digitize=False)
    wcs = image.wcs
    assert wcs is not None

    ra, dec = wcs.all_pix2world(image.catalog["x"], image.catalog["y"], 0)

    assert image.pixel_scale == pytest.approx(0.5)
    assert np.abs(ra - image.catalog["ra"]).max() < 1e-8
    assert np.abs(dec - image.catalog["dec"]).max() < 1e-8


def test_east_is_left_when_north_is_up():
    header = pointing((100, 200), ra=10.0, dec=20.0, pixel_scale=1.0)
    wcs = Image(np.zeros((100, 200)), header=header).wcs
    assert wcs is not None

    left, up = wcs.pixel_to_world(0.0, 49.5), wcs.pixel_to_world(99.5, 99.0)

    assert left.ra.deg > 10
    assert up.dec.deg > 20


def test_a_turned_field_has_north_counter_clockwise_of_up():
    wcs = Image(np.zeros((100, 100)), header=pointing((100, 100), ra=10, dec=0, pixel_scale=1, rotation=30)).wcs
    assert wcs is not None

    x, y = wcs.all_world2pix([10.0], [0.001], 0)

    assert np.degrees(np.arctan2(y[0] - 49.5, x[0] - 49.5)) == pytest.approx(90 + 30, abs=1e-3)


def test_galaxies_turn_with_the_field_and_lie_where_the_truth_says():
    exposure = Exposure(sky=40, gradient=0, fwhm=2.5)
    options = {"stars": 0, "galaxies": 1, "galaxy_magnitudes": (15.0, 15.1), "exposure": exposure, "digitize": False}
    for seed in range(20):
        image = simulate_field((401, 401), seed=seed, rotation=25, **options)
        if len(image.catalog) == 0:
            continue
        galaxy = image.catalog[0]
        if min(galaxy["x"], galaxy["y"], 400 - galaxy["x"], 400 - galaxy["y"]) > 100 and galaxy["ellipticity"] > 0.4:
            break
    else:
        pytest.fail("no seed gives an inclined galaxy well inside the frame")
    v, u = np.mgrid[:401, :401]
    u, v = u - galaxy["x"], v - galaxy["y"]
    light = image.data.astype(float)
    light /= light.sum()
    cut = np.hypot(u, v) < 60

    angle = np.degrees(0.5 * np.arctan2(2 * (light * u * v)[cut].sum(), (light * (u**2 - v**2))[cut].sum()))

    assert (angle - galaxy["theta"] + 90) % 180 - 90 == pytest.approx(0, abs=2)
    assert (light * u)[cut].sum() == pytest.approx(0, abs=0.1)
    assert image.data.sum() == pytest.approx(galaxy["flux"], rel=0.02)


def test_sky_noise_is_photon_and_read_noise():
    camera = Camera(gain=2.0, read_noise=10.0, bias=100)
    image = simulate_field((300, 300), seed=1, stars=0, galaxies=0, exposure=FLAT_SKY, camera=camera)
    level = 10 ** (0.4 * (25 - 20.3)) * 0.5**2 * 60

    assert image.data.mean() == pytest.approx(100 + level / 2, rel=1e-3)
    assert image.data.std() == pytest.approx(np.sqrt(level + 10**2 + 2**2 / 12) / 2, rel=0.01)


def test_saturated_pixels_stop_at_the_card_saturate():
    image = simulate_field((200, 200), seed=4, stars=40, galaxies=0, star_magnitudes=(9, 14))

    assert image.data.dtype == np.uint16
    assert image.data.max() == image.header["SATURATE"] == image.saturation
    assert image.catalog["saturated"].any()
    for star in image.catalog[:5]:
        if star["saturated"]:
            assert image.data[round(star["y"]), round(star["x"])] >= image.header["SATURATE"] * 0.98


def test_bleeding_moves_charge_along_the_column_and_loses_none():
    charge = np.zeros((41, 5), dtype=np.float32)
    charge[20, 2] = 950

    bleed(charge, np.float32(100))

    assert charge.sum() == pytest.approx(950)
    assert charge.max() == 100
    assert charge[:, [0, 1, 3, 4]].sum() == 0
    assert charge[:, 2] == pytest.approx(charge[::-1, 2])


def test_charge_that_reaches_the_border_is_lost():
    charge = np.full((5, 1), 1000, dtype=np.float32)

    bleed(charge, np.float32(100))

    assert (charge == 100).all()


def test_the_corners_lose_what_vignetting_says():
    throughput = vignette((101, 51), 0.3)

    assert throughput[50, 25] == pytest.approx(1)
    assert throughput[[0, 0, -1, -1], [0, -1, 0, -1]] == pytest.approx(0.7)


def test_cosmic_rays_hit_few_pixels_hard():
    hits = cosmic_ray_hits((500, 500), 50, np.random.default_rng(1))

    assert 50 < np.count_nonzero(hits) < 1000
    assert np.median(hits[hits > 0]) > 100


def test_the_converter_has_an_end():
    counts = read_out(np.full((10, 10), 1e6), Camera(full_well=1e7, bits=12), np.random.default_rng(1))

    assert (counts == 4095).all()


def test_star_counts_grow_as_the_luminosity_function_says():
    rng = np.random.default_rng(8)
    mag = magnitudes(200_000, 12, 20, 0.3, rng)

    below = [(mag < limit).sum() for limit in (15, 16, 17, 18)]
    slopes = np.diff(np.log10(below))

    assert mag.min() >= 12
    assert mag.max() <= 20
    # N(<m) ~ 10^(0.3 m) - 10^(0.3 · 12), so the slope of the sum falls to 0.3 from above.
    expected = np.diff(np.log10([10 ** (0.3 * m) - 10**3.6 for m in (15, 16, 17, 18)]))
    assert slopes == pytest.approx(expected, abs=0.02)


def test_signal_to_noise_is_that_of_ideal_photometry():
    """Weighting with the profile gives the S/N of the truth, which many noisy frames show."""
    exposure, camera = Exposure(gradient=0), Camera(bias=1000)
    options = {"stars": 30, "galaxies": 0, "star_magnitudes": (19.0, 20.0), "exposure": exposure}
    clean = simulate_field((400, 400), seed=12, digitize=False, camera=camera, **options)
    truth = clean.catalog
    apart = [
        i
        for i, a in enumerate(truth)
        if min([np.hypot(a["x"] - b["x"], a["y"] - b["y"]) for b in truth if b["id"] != a["id"]]) > 40
        and 20 < a["x"] < 380
        and 20 < a["y"] < 380
    ]
    sky = float(np.median(clean.data))
    ratios = []
    for i in apart:
        x, y = round(truth["x"][i]), round(truth["y"][i])
        cut = np.s_[y - 18 : y + 19, x - 18 : x + 19]
        profile = (clean.data[cut] - sky) / truth["flux"][i]
        noise = np.sqrt(1 / (profile**2 / (clean.data[cut] + camera.read_noise**2)).sum())
        ratios.append(truth["flux"][i] / noise / truth["snr"][i])

    assert len(apart) > 5
    assert np.median(ratios) == pytest.approx(1, abs=0.1)


def test_a_series_shows_the_same_sky_from_shifted_pointings():
    first, second = islice(simulate_series(2, (200, 200), seed=2, dither=5), 2)
    common = set(first.catalog["ra"].tolist()) & set(second.catalog["ra"].tolist())

    assert len(common) > 0.7 * len(first.catalog)
    assert second.observation_time > first.observation_time
    assert first.header["SEEING"] != second.header["SEEING"]


def test_a_frame_of_a_series_does_not_depend_on_their_number():
    alone = next(iter(simulate_series(1, (100, 100), seed=9)))
    among = next(iter(simulate_series(5, (100, 100), seed=9)))

    assert np.array_equal(alone.data, among.data)


def test_one_star_of_a_series_varies():
    magnitudes_of = [
        image.catalog["mag"][image.catalog["variable"]] for image in simulate_series(8, (300, 300), seed=1, stars=600)
    ]
    values = [float(found[0]) for found in magnitudes_of if len(found)]

    assert len(values) == 8
    assert np.ptp(values) == pytest.approx(0.4, abs=0.01)


def test_fields_are_written_as_a_camera_would(tmp_path):
    paths = write_fields(tmp_path, 2, shape=(96, 128), seed=3)

    assert [path.name for path in paths] == ["field_0001.fits", "field_0002.fits"]
    with fits.open(paths[0]) as hdus:
        assert len(hdus) == 1
        assert hdus[0].data.dtype == np.uint16
        assert hdus[0].header["EXPTIME"] == 120
    truth = Table.read(tmp_path / "truth" / "field_0001_truth.ecsv")
    assert str(truth["flux"].unit) == "electron"
    image = Image.from_file(paths[0])
    assert (image.exposure_time, image.gain, image.read_noise, image.filter) == (120, 1.5, 6.0, "R")
    assert image.image_type == "object"


def test_the_processor_gives_every_name_a_field_of_its_own():
    step = SimulateField(width=96, height=64, stars=20)

    first, again, other = (
        asyncio.run(step(Image(header={"SITE": "here"}, name=name))) for name in ("a.fits", "a.fits", "b.fits")
    )

    assert first.shape == (64, 96)
    assert first.header["SITE"] == "here"
    assert first.header["NAXIS1"] == 96
    assert np.array_equal(first.data, again.data)
    assert not np.array_equal(first.data, other.data)
