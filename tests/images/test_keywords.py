"""What headers call things, and what their values mean."""

import asyncio
from datetime import UTC, datetime

import pytest
from astropy.io import fits
from astropy.time import Time
from hypothesis import given
from hypothesis import strategies as st

from etendue.images import Image, ImageError
from etendue.images.header import as_header
from etendue.images.keywords import KEYWORDS, KeywordProperties, extra_keywords, header_value, keyword_for, parse_time


def image(**cards):
    return Image(header=cards)


def test_every_entry_of_the_table_is_a_property():
    for name, keyword in KEYWORDS.items():
        assert header_value(fits.Header(), name) is None
        assert keyword.description
    properties = {name for name, value in vars(KeywordProperties).items() if isinstance(value, property)}
    assert properties == set(KEYWORDS)


def test_an_image_without_cards_knows_nothing():
    empty = Image()

    assert empty.exposure_time is empty.gain is empty.observation_time is empty.binning is empty.filter is None


@pytest.mark.parametrize("card", ["EXPTIME", "EXPOSURE", "ITIME"])
@pytest.mark.parametrize("value", [30, 30.0, "30.0", " 030.00 "])
def test_numbers(card, value):
    assert image(**{card: value}).exposure_time == 30.0


def test_the_first_card_that_is_filled_in_wins():
    header = as_header({"EXPTIME": " ", "EXPOSURE": 5.0, "ITIME": 7.0})

    assert keyword_for(header, "exposure_time") == "EXPOSURE"
    assert header_value(header, "exposure_time") == 5.0


def test_undefined_cards_are_absent():
    assert Image(header=fits.Header([("EXPTIME", None), ("EXPOSURE", 2.0)])).exposure_time == 2.0


@pytest.mark.parametrize("value", ["long", True, "nan", "1e999"])
def test_a_value_that_makes_no_sense_is_named(value):
    with pytest.raises(ImageError, match=r"frame\.fits: header card EXPTIME = .*exposure_time"):
        _ = Image(header={"EXPTIME": value}, name="frame.fits").exposure_time


def test_a_damaged_card_is_named():
    header = fits.Header.fromstring("EXPTIME = 12 34 'garbage")
    with pytest.raises(ImageError, match=r"a\.fits: header card EXPTIME is damaged"):
        _ = Image(header=header, name="a.fits").exposure_time


def test_gain_of_a_camera_whose_gain_card_is_a_setting():
    assert image(GAIN=120, EGAIN=0.82).gain == 0.82
    assert image(**{"DET-GAIN": 2.0}).gain == 2.0


def test_pyobs_cards():
    header = {"DET-GAIN": 2.0, "DET-RON": 5.0, "DET-SATU": 48000, "DET-BIN1": 2, "DET-BIN2": 1}
    pyobs = Image(header=header)

    assert (pyobs.gain, pyobs.read_noise, pyobs.saturation, pyobs.binning) == (2.0, 5.0, 24000, (2, 1))
    assert image(**{"DET-SATU": 48000}).saturation is None  # electrons; adu need the gain


def test_words():
    words = image(FILTER=" R ", OBJECT="M 31", INSTRUME="kb01", TELESCOP="1m0", OBSERVER="me")

    assert (words.filter, words.object_name, words.instrument, words.telescope) == ("R", "M 31", "kb01", "1m0")
    assert image(FILTER="").filter is None


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Light Frame", "object"),
        ("LIGHT", "object"),
        ("OBJECT", "object"),
        ("Bias Frame", "bias"),
        ("zero", "bias"),
        ("Dark Frame", "dark"),
        ("Flat Field", "flat"),
        ("DOME FLAT", "flat"),
        ("sky_flat", "skyflat"),
        ("SKYFLAT", "skyflat"),
        ("arc", "arc"),
    ],
)
def test_image_types(text, kind):
    assert image(IMAGETYP=text).image_type == kind


@pytest.mark.parametrize(
    ("cards", "binning"),
    [
        ({"XBINNING": 2, "YBINNING": 4}, (2, 4)),
        ({"CCDSUM": "2 4"}, (2, 4)),
        ({"BINNING": "2x4"}, (2, 4)),
        ({"BINNING": 2}, (2, 2)),
        ({"BINNING": "3"}, (3, 3)),
        ({"XBINNING": 2}, None),
    ],
)
def test_binning(cards, binning):
    assert Image(header=cards).binning == binning


@pytest.mark.parametrize("value", ["none", 0, 1.5, "1 2 3"])
def test_wrong_binning_is_named(value):
    with pytest.raises(ImageError, match="CCDSUM"):
        _ = image(CCDSUM=value).binning


@pytest.mark.parametrize(
    ("card", "ra"),
    [
        (31.312099, 31.312099),
        ("31.312099", 31.312099),
        ("02:05:00.0", 31.25),
        ("02 05 00", 31.25),
        ("2h05m00s", 31.25),
        ("02:05", 31.25),
        ("123:30:00", 123.5),
        ((2.5, "[h] right ascension"), 37.5),
        ((2.5, "RA in hours"), 37.5),
        ((2.5, "[deg] right ascension"), 2.5),
    ],
)
def test_right_ascension(card, ra):
    assert Image(header={"RA": card}).ra == pytest.approx(ra)


@pytest.mark.parametrize(
    ("card", "dec"),
    [("-00:30:00", -0.5), ("+46:46:12", 46.77), (-12.5, -12.5), ("-12 30 00", -12.5), ("46d30'00\"", 46.5)],
)
def test_declination(card, dec):
    assert image(DEC=card).dec == pytest.approx(dec)


def test_a_declination_beyond_the_pole_is_refused():
    with pytest.raises(ImageError, match=r"DEC.*beyond the pole"):
        _ = image(DEC=100.0).dec


def test_the_pointing_comes_from_the_wcs_if_nothing_else_tells():
    assert image(CRVAL1=10.0, CTYPE1="RA---TAN", CRVAL2=-5.0, CTYPE2="DEC--TAN").ra == 10.0
    assert image(CRVAL1=10.0, CTYPE1="GLON-CAR").ra is None


def test_temperatures_in_kelvin_and_celsius():
    assert image(**{"CCD-TEMP": -20.0}).temperature == -20.0
    assert Image(header={"CAMTEMP": (271.0, "in Kelvin")}).temperature == pytest.approx(-2.15)
    assert Image(header={"CCDTEMP": (77.0, "[K]")}).temperature == pytest.approx(-196.15)


# --- times ---------------------------------------------------------------------------------------------------------

START = datetime(2017, 12, 20, 1, 33, 43, 317000, tzinfo=UTC)


@pytest.mark.parametrize(
    "cards",
    [
        {"DATE-OBS": "2017-12-20T01:33:43.317"},
        {"DATE-OBS": "2017-12-20T01:33:43.317Z"},
        {"DATE-OBS": "2017-12-20 01:33:43.3170000"},
        {"DATE-OBS": "2017-12-19T18:33:43.317-0700"},
        {"DATE-OBS": "2017-12-20T02:33:43.317+01:00"},
        {"DATE-OBS": "2017/12/20", "UT": "01:33:43.317"},
        {"DATE-OBS": "2017-12-20", "TIME-OBS": "01:33:43.317"},
        {"DATE-OBS": "2017-12-20", "UTSTART": "1:33:43.317"},
        {"DATE-OBS": "20/12/2017", "UT": "01:33:43.317"},
        {"DATE-OBS": "2017-12-20", "UT-OBS": "2017-12-20T01:33:43.317-0000"},
        {"DATE-OBS": "2017-12-20T01:34:52.501", "TIMESYS": "TT"},
        {"DATE-OBS": "2017-12-20T01:34:20.317", "TIMESYS": "TAI"},
        {"UT-OBS": "2017-12-20T01:33:43.317"},
    ],
)
def test_start_of_the_exposure(cards):
    found = Image(header=cards).observation_time

    assert found.tzinfo is UTC
    assert abs((found - START).total_seconds()) < 1e-5


@pytest.mark.parametrize(
    "cards", [{"MJD-OBS": 58107.0650846875}, {"JD": 2458107.5650846875}, {"MJD-OBS": "58107.0650846875"}]
)
def test_julian_dates(cards):
    assert abs((Image(header=cards).observation_time - START).total_seconds()) < 1e-3


def test_julian_dates_agree_with_astropy():
    for mjd in (41317.0, 51544.5, 58107.065, 60000.123456):
        assert parse_time(mjd) == Time(mjd, format="mjd", scale="utc").to_datetime(timezone=UTC)


def test_a_date_alone_takes_the_time_from_the_julian_date():
    header = {"DATE-OBS": "2017-12-20", "MJD-OBS": 58107.5}

    assert Image(header=header).observation_time == datetime(2017, 12, 20, 12, tzinfo=UTC)
    assert image(**{"DATE-OBS": "2017-12-20"}).observation_time == datetime(2017, 12, 20, tzinfo=UTC)


def test_old_dates_and_leap_seconds():
    assert parse_time("31/12/97") == datetime(1997, 12, 31, tzinfo=UTC)
    assert parse_time("2016-12-31T23:59:60") == datetime(2017, 1, 1, tzinfo=UTC)
    assert parse_time("2016-12-31T24:00:00") == datetime(2017, 1, 1, tzinfo=UTC)
    assert parse_time("2016-12-31T23:59") == datetime(2016, 12, 31, 23, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "yesterday",
        "2017-13-01",
        "2017-12-20T25:00:00",
        "2017-12-20T01:61:00",
        "32/01/97",
        "1e30",
        "2017-12-20T1:2:3+99:00",
    ],
)
def test_what_is_no_time_is_named(value):
    with pytest.raises(ImageError, match="DATE-OBS"):
        _ = image(**{"DATE-OBS": value}).observation_time


@given(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)))
def test_iso_times_survive(moment):
    assert parse_time(moment.isoformat()) == moment.replace(tzinfo=UTC)


# --- configuration --------------------------------------------------------------------------------------------------


def test_more_cards_can_be_configured():
    header = {"XPOSURE": 12.0, "EXPTIME": 10.0}
    with extra_keywords({"exposure_time": ["XPOSURE"]}):
        assert Image(header=header).exposure_time == 12.0
        with extra_keywords({"exposure_time": ["MYTIME"], "gain": "MYGAIN"}):
            assert image(MYTIME=1.0, XPOSURE=2.0).exposure_time == 1.0
            assert image(MYGAIN=3.0).gain == 3.0
            assert image(XPOSURE=2.0).exposure_time == 2.0
        assert image(MYGAIN=3.0).gain is None
    assert Image(header=header).exposure_time == 10.0


def test_configuration_is_not_seen_by_other_tasks():
    async def task(card):
        with extra_keywords({"exposure_time": [card]}):
            await asyncio.sleep(0)
            return await asyncio.to_thread(lambda: image(ONE=1.0, TWO=2.0).exposure_time)

    async def both():
        return await asyncio.gather(task("ONE"), task("TWO"))

    assert asyncio.run(both()) == [1.0, 2.0]


def test_a_misspelt_property_is_corrected():
    with pytest.raises(ValueError, match="did you mean 'exposure_time'"), extra_keywords({"exposuretime": ["A"]}):
        pass
    with pytest.raises(ValueError, match="unknown property"):
        keyword_for(fits.Header(), "nothing like it")


@pytest.mark.parametrize("gain", [0.0, -1.0])
def test_a_saturation_in_electrons_needs_a_gain(gain):
    with pytest.raises(ImageError, match="DET-SATU is in electrons"):
        _ = Image(header={"DET-SATU": 1000.0, "DET-GAIN": gain}).saturation
