"""A simulated night shows what its truth says, and can be reduced to it."""

import json
from datetime import timedelta

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from etendue.images import Image
from etendue.processors.simulation import simulate_night
from etendue.processors.simulation.moffat import enclosed_fraction
from etendue.processors.simulation.night import BANDS, Night, take_night
from etendue.processors.simulation.night.conditions import START, Weather, airmass
from etendue.processors.simulation.night.plan import plan, science_exposure_time

SIZE, FRAMES = 256, 24
GAIN, READ_NOISE = 1.5, 6.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small night."""
    folder = tmp_path_factory.mktemp("night")
    simulate_night(folder, seed=4, frames=FRAMES, size=SIZE, biases=12, darks=8, flats=6)
    return folder


@pytest.fixture(scope="module")
def truth(folder):
    """Its table of frames, by the name of the file."""
    table = Table.read(folder / "truth" / "frames.ecsv", format="ascii.ecsv")
    table.add_index("file")
    return table


@pytest.fixture(scope="module")
def maps(folder):
    with np.load(folder / "truth" / "maps.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def calibrated(path, maps):
    """A science frame in electrons, by the true maps and the overscan alone; and its error."""
    raw, header = fits.getdata(path).astype(float), fits.getheader(path)
    level = np.mean(raw[:, SIZE:] - maps["bias"][:, SIZE:])
    counts = raw[:, :SIZE] - level - maps["bias"][:, :SIZE]
    response = maps[f"response_{header['FILTER']}"]
    electrons = (counts * GAIN - maps["dark"] * header["EXPTIME"]) / response
    error = np.sqrt(np.maximum(counts * GAIN, 0) + READ_NOISE**2 + GAIN**2 / 12) / response
    return electrons, error


def star_flux(pixels, star, radius=9.0):
    """Aperture sum over the sky of a ring around it."""
    low_x, low_y = max(0, int(star["x"]) - 24), max(0, int(star["y"]) - 24)
    pixels = pixels[low_y : low_y + 50, low_x : low_x + 50]
    y, x = np.indices(pixels.shape) + np.array([low_y, low_x])[:, None, None]
    distance = np.hypot(x - star["x"], y - star["y"])
    sky = np.median(pixels[(distance > 14) & (distance < 22)])
    fine = 8
    offsets = (np.arange(fine) + 0.5) / fine - 0.5
    weight = sum(np.hypot(x + u - star["x"], y + v - star["y"]) < radius for u in offsets for v in offsets) / fine**2
    return np.sum(weight * (pixels - sky))


def test_headers_say_what_a_camera_knows(folder):
    header = fits.getheader(folder / "science_0001.fits")

    assert header["IMAGETYP"] == "object"
    assert (header["NAXIS1"], header["NAXIS2"]) == (SIZE + 32, SIZE)
    assert header["DATASEC"] == header["TRIMSEC"] == "[1:256,1:256]"
    assert header["BIASSEC"] == "[257:288,1:256]"
    assert (header["GAIN"], header["RDNOISE"], header["SATURATE"]) == (1.5, 6.0, 65535)
    assert "PEDESTAL" not in header
    assert "SEEING" not in header
    assert fits.getheader(folder / "bias_0001.fits")["EXPTIME"] == 0
    assert "FILTER" not in fits.getheader(folder / "dark_0001.fits")
    assert fits.getheader(folder / "dark_0001.fits")["EXPTIME"] == header["EXPTIME"]


def test_every_kind_is_there_as_often_as_asked_for(folder, truth):
    kinds = [fits.getheader(path)["IMAGETYP"] for path in sorted(folder.glob("*.fits"))]

    assert {kind: kinds.count(kind) for kind in kinds} == {"bias": 12, "dark": 8, "flat": 12, "object": FRAMES}
    assert sorted(truth["file"]) == sorted(path.name for path in folder.glob("*.fits"))
    assert set(truth["filter"][truth["type"] == "object"]) == {"V", "R"}


def test_raw_frames_are_read_back_as_they_are(folder):
    image = Image.from_file(folder / "flat_R_0001.fits")

    assert image.data.shape == (SIZE, SIZE + 32)
    assert image.image_type == "flat"
    assert fits.getdata(folder / "flat_R_0001.fits").dtype == np.uint16


def test_the_same_seed_gives_the_same_night_on_any_number_of_threads():
    options = {"seed": 9}
    nights = [Night.make((96, 96), **options) for _ in range(2)]
    planned = nights[0].plan(3, biases=1, darks=1, flats=1)

    one, three = (
        [raw.image.data for raw in take_night(night, planned, threads=threads)]
        for night, threads in zip(nights, (1, 3), strict=True)
    )
    other = Night.make((96, 96), seed=10).take(planned[0]).image.data

    assert len(one) == len(three) == len(planned)
    assert all(np.array_equal(a, b) for a, b in zip(one, three, strict=True))
    assert not np.array_equal(one[0], other)


def test_biases_average_to_pattern_and_level(folder, truth, maps):
    frames = [
        fits.getdata(folder / name) - truth.loc[name]["bias_level"] for name in truth["file"][truth["type"] == "bias"]
    ]

    difference = np.median(frames, axis=0) - maps["bias"]

    assert difference.mean() == pytest.approx(0, abs=0.05)
    assert difference.std() == pytest.approx(1.253 * READ_NOISE / GAIN / np.sqrt(12), rel=0.08)


def test_darks_show_hot_pixels_where_the_truth_has_them(folder, truth, maps):
    names = truth["file"][truth["type"] == "dark"]
    frames = [fits.getdata(folder / name) - truth.loc[name]["bias_level"] - maps["bias"] for name in names]
    rate = np.median(frames, axis=0)[:, :SIZE] * GAIN / 120
    hot = maps["dark"] > 2

    assert hot.sum() > 10
    assert rate[hot] == pytest.approx(maps["dark"][hot], rel=0.15)
    assert np.mean(rate[~maps["bad"]]) == pytest.approx(np.mean(maps["dark"][~maps["bad"]]), rel=0.25)


@pytest.mark.parametrize("band", ["V", "R"])
def test_flats_show_the_response(folder, truth, maps, band):
    names = truth["file"][(truth["type"] == "flat") & (truth["filter"] == band)]
    flats = []
    for name in names:
        light = (fits.getdata(folder / name) - truth.loc[name]["bias_level"] - maps["bias"])[:, :SIZE]
        flats.append(light / np.median(light))
    good = ~maps["bad"]

    ratio = np.median(flats, axis=0)[good] / maps[f"response_{band}"][good]

    assert np.median(ratio) == pytest.approx(1, abs=1e-3)
    assert np.median(np.abs(ratio - 1)) * 1.4826 == pytest.approx(1.253 / np.sqrt(6 * 39_000), rel=0.15)


def test_the_sky_has_the_brightness_and_the_noise_of_the_truth(folder, truth, maps):
    """Pulls between neighbours of the calibrated sky: no structure is left, and the noise is that of the electrons."""
    name = "science_0010.fits"
    pixels, error = calibrated(folder / name, maps)
    catalog = Table.read(folder / "truth" / "science_0010_truth.ecsv", format="ascii.ecsv")
    y, x = np.indices(pixels.shape)
    dark = ~maps["bad"] & (fits.getdata(folder / name)[:, :SIZE] < 65535)
    dark[:12], dark[-12:], dark[:, :12], dark[:, -12:] = (False,) * 4  # stars outside shed their light in
    for source in catalog[catalog["flux"] > 300]:
        dark &= np.hypot(x - source["x"], y - source["y"]) > 8 + 1.5 * np.log10(source["flux"] / 300) ** 2
    hits = Table.read(folder / "truth" / "cosmic_rays.ecsv", format="ascii.ecsv")
    here = hits[hits["file"] == name]
    dark[here["y"], here["x"]] = False

    both = dark[:, 1:] & dark[:, :-1]
    pulls = (np.diff(pixels, axis=1) / np.hypot(error[:, 1:], error[:, :-1]))[both]

    assert both.sum() > 8000
    assert np.median(pixels[dark]) == pytest.approx(truth.loc[name]["sky_electrons"], rel=0.02)
    assert pulls.mean() == pytest.approx(0, abs=0.05)
    assert pulls.std() == pytest.approx(1, abs=0.03)


def test_fluxes_of_steady_stars_are_those_of_the_truth(folder, truth, maps):
    ratios = []
    for name in truth["file"][truth["type"] == "object"][::4]:
        pixels, _ = calibrated(folder / name, maps)
        catalog = Table.read(folder / "truth" / name.replace(".fits", "_truth.ecsv"), format="ascii.ecsv")
        # A ring of 14 to 22 px holds some of the star's own light, too: what it has per pixel is missing 254 times.
        fwhm = truth.loc[name]["fwhm"]
        missing = 9**2 / (22**2 - 14**2) * (enclosed_fraction(22, fwhm, 3.0) - enclosed_fraction(14, fwhm, 3.0))
        share = enclosed_fraction(9, fwhm, 3.0) - 0.9 * missing
        stars = catalog[catalog["role"] == "comparison"]
        ratios += [star_flux(pixels, star) / star["flux"] / share for star in stars]

    assert len(ratios) >= 30
    assert np.median(ratios) == pytest.approx(1, abs=0.004)


def light_curve(folder, truth, maps, role, band="R"):
    """Flux of a star relative to those for comparison, and the truth."""
    measured, true = [], []
    for name in truth["file"][(truth["type"] == "object") & (truth["filter"] == band)]:
        pixels, _ = calibrated(folder / name, maps)
        catalog = Table.read(folder / "truth" / name.replace(".fits", "_truth.ecsv"), format="ascii.ecsv")
        others = catalog[catalog["role"] == "comparison"]
        reference = sum(star_flux(pixels, star) for star in others)
        (star,) = catalog[catalog["role"] == role]
        measured.append(star_flux(pixels, star) / reference)
        true.append(truth.loc[name][role])
    return np.array(measured), np.array(true)


def test_the_transit_has_its_depth(folder, truth, maps):
    measured, true = light_curve(folder, truth, maps, "transit")
    inside = true < true.min() + 0.2 * (1 - true.min())
    outside = true == 1
    assert min(inside.sum(), outside.sum()) >= 4

    depth = 1 - measured[inside].mean() / measured[outside].mean()
    error = 0.003 * np.sqrt(1 / inside.sum() + 1 / outside.sum())

    assert 1 - true.min() == pytest.approx(0.0175, abs=0.002)
    assert depth == pytest.approx(1 - true[inside].mean(), abs=3 * error)
    assert depth > 5 * error


def test_the_variable_star_varies_as_the_truth_says(folder, truth, maps):
    measured, true = light_curve(folder, truth, maps, "variable")

    scale = np.median(measured / true)

    assert measured / scale == pytest.approx(true, rel=0.015)
    assert np.ptp(-2.5 * np.log10(true)) > 0.3


def test_the_stars_to_watch_are_never_saturated(folder, truth):
    for name in truth["file"][truth["type"] == "object"]:
        catalog = Table.read(folder / "truth" / name.replace(".fits", "_truth.ecsv"), format="ascii.ecsv")
        assert sorted(set(catalog["role"])) == ["comparison", "field", "transit", "variable"]
        assert not catalog["saturated"][catalog["role"] != "field"].any()
        assert catalog["saturated"][0]


def test_stars_drift_and_the_coordinates_follow(folder, truth):
    last = f"science_{FRAMES:04d}.fits"
    catalogs = [
        Table.read(folder / "truth" / name.replace(".fits", "_truth.ecsv"), format="ascii.ecsv")
        for name in ("science_0001.fits", last)
    ]
    first, second = (catalog[catalog["role"] == "transit"][0] for catalog in catalogs)
    wcs = Image.from_file(folder / last).wcs
    assert wcs is not None

    moved = truth.loc[last]["dx"] - truth.loc["science_0001.fits"]["dx"]

    assert second["x"] - first["x"] == pytest.approx(moved, abs=0.01)
    assert np.hypot(second["x"] - first["x"], second["y"] - first["y"]) > 3
    assert wcs.all_world2pix(second["ra"], second["dec"], 0) == pytest.approx([second["x"], second["y"]], abs=1e-3)


def test_sky_seeing_and_level_change_through_the_night(truth):
    science = truth[(truth["type"] == "object") & (truth["filter"] == "R")]

    assert science["sky"][0] < science["sky"].max() - 0.5  # twilight
    assert science["sky"][-1] < science["sky"].max() - 0.5  # the moon
    assert np.ptp(science["fwhm"]) > 0.4
    assert np.std(science["bias_level"]) == pytest.approx(1.5, rel=0.9)
    assert (science["transparency"] < 1).all()


def test_particles_hit_as_often_as_asked_for():
    night = Night.make((256, 256), seed=1)
    planned = night.plan(1, biases=0, darks=60, flats=0)[:-1]

    hit = [np.count_nonzero(night.take(frame).hits) for frame in planned]

    # A track of exponential length, 1 + 3 px on average, touches about 5 px.
    assert np.mean(hit) == pytest.approx(5 * 0.14 * 124.5 * 256**2 / 1e6, rel=0.35)


def test_airmass_is_that_of_the_altitude():
    """As astropy has it, up to the precession of the equinoxes since 2000."""
    from astropy.coordinates import AltAz, EarthLocation, SkyCoord
    from astropy.time import Time

    field = SkyCoord(150.1, 2.2, unit="deg")
    place = EarthLocation.from_geodetic(-17.88, 28.76, 0)
    for hours in (0, 3, 6):
        time = START + timedelta(hours=hours)
        altitude = field.transform_to(AltAz(obstime=Time(time.replace(tzinfo=None)), location=place)).alt.deg
        assert airmass(time, (150.1, 2.2)) == pytest.approx(1 / np.sin(np.radians(altitude)), rel=0.01)


def test_weather_does_not_depend_on_how_often_it_is_looked_at():
    few, many = (Weather(3, (150.1, 2.2)) for _ in range(2))
    time = START + timedelta(hours=2)
    for minute in range(100):
        many.at(START + timedelta(minutes=minute), BANDS["R"], np.random.default_rng(1))

    first, second = (weather.at(time, BANDS["R"], np.random.default_rng(5)) for weather in (few, many))

    assert first == second


def test_frames_follow_each_other_in_time():
    planned = plan(40, biases=10, darks=10, flats=7, filters=("V", "R"), seed=1)

    ends = [frame.time + timedelta(seconds=frame.exposure_time) for frame in planned]

    assert all(end < after.time for end, after in zip(ends, planned[1:], strict=False))
    assert [frame.filter for frame in planned if frame.kind == "object"].count("R") == 30


def test_many_frames_are_shorter_and_too_many_are_refused():
    assert science_exposure_time(40) == 120
    assert 20 < science_exposure_time(600) < 30
    with pytest.raises(ValueError, match="no room for 5000 frames"):
        science_exposure_time(5000)


def test_an_unknown_filter_is_refused():
    with pytest.raises(ValueError, match="name some of B, V, R, I"):
        Night.make((64, 64), filters=("R", "r'"))


def test_the_parameters_are_written_down(folder):
    known = json.loads((folder / "truth" / "night.json").read_text())

    assert known["seed"] == 4
    assert known["camera"]["gain"] == GAIN
    assert known["transit"]["radius_ratio"] == 0.125
    assert known["transit"]["duration"] == pytest.approx(0.12, abs=0.01)


def test_two_stars_bleed(folder):
    raw = fits.getdata(folder / "science_0010.fits")

    columns = (raw == 65535).sum(axis=0)

    assert columns.max() > 40
    assert (columns > 8).sum() < 30
