"""File names from headers."""

from pathlib import Path

import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from etendue.images import Image, ImageError
from etendue.images.filename import MissingKeyError, check_pattern, format_filename, safe_join

HEADER = fits.Header(
    {
        "OBJECT": "M 31",
        "DATE-OBS": "2019-03-26T19:46:23",
        "FILTER": "Clear",
        "IMAGETYP": "light",
        "OBSTYPE": "OBJECT",
        "EXPTIME": 10.0,
        "EXPID": 5,
        "CCD-TEMP": -20.5,
        "HIERARCH ESO DET ID": "ccd1",
    }
)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("{OBJECT}.fits", "M 31.fits"),
        ("{object}.fits", "M 31.fits"),
        ("{FILTER|lower}-{FILTER|upper}", "clear-CLEAR"),
        ("{DATE-OBS|time}", "19-46-23"),
        ("{DATE-OBS|time:-}", "19-46-23"),
        ("{DATE-OBS|time:}", "194623"),
        ("{DATE-OBS|date}", "2019-03-26"),
        ("{DATE-OBS|date:_}", "2019_03_26"),
        ("{FILTER|filter}", "-Clear"),
        ("{FILTER|filter:OBSTYPE}", "-Clear"),
        ("{FILTER|filter:IMAGETYP:_}", "_Clear"),
        ("{IMAGETYP|type}", "e"),
        ("{EXPID|string:04d}", "0005"),
        ("{EXPTIME|string:05.1f}", "010.0"),
        ("{OBJECT|string:8s}x", "    M 31x"),
        ("{OBJECT|string}", "M 31"),
        ("{EXPTIME|exptime}", "10"),
        ("{NOTHING|exptime}", "unknown"),
        ("{CCD-TEMP}", "-20.5"),
        ("{ESO DET ID}", "ccd1"),
        ("{OBJECT}/{FILTER}.fits", "M 31/Clear.fits"),
        ("plain.fits", "plain.fits"),
    ],
)
def test_patterns(pattern, name):
    assert format_filename(pattern, HEADER) == name


@pytest.mark.parametrize(
    ("kind", "filter_part", "letter"),
    [
        ("dark", "", "d"),
        ("bias", "", "b"),
        ("Light Frame", "-clear", "e"),
        ("skyflat", "-clear", "f"),
        ("flat", "-clear", "e"),
    ],
)
def test_kinds_of_exposures(kind, filter_part, letter):
    header = fits.Header({"IMAGETYP": kind, "FILTER": "clear"})

    assert format_filename("{FILTER|filter}", header) == filter_part
    assert format_filename("{IMAGETYP|type}", header) == letter


def test_a_dark_needs_no_filter():
    assert format_filename("d{FILTER|filter}", fits.Header({"IMAGETYP": "dark"})) == "d"


@pytest.mark.parametrize(
    ("seconds", "text"), [(10, "10"), (0.5, "0.5"), (1200.0, "1200"), (1e-5, "0.00001"), ("60.00", "60")]
)
def test_exposure_times(seconds, text):
    assert format_filename("{EXPTIME|exptime}", fits.Header({"EXPTIME": seconds})) == text


def test_times_are_in_utc():
    header = fits.Header({"DATE-OBS": "2017-12-19T18:33:43.317-0700"})

    assert format_filename("{DATE-OBS|date}T{DATE-OBS|time}", header) == "2017-12-20T01-33-43"


def test_a_date_alone_takes_the_time_from_elsewhere():
    header = fits.Header({"DATE-OBS": "2017-12-20", "UT": "01:33:43"})

    assert format_filename("{DATE-OBS|time}", header) == "01-33-43"


def test_a_missing_key_is_named():
    for kind in (KeyError, ImageError, MissingKeyError):
        with pytest.raises(kind) as error:
            format_filename("{OBJECT}-{SEEING}", HEADER, label="image a.fits")
        assert str(error.value) == "image a.fits has no header card SEEING, which the file name needs"
    with pytest.raises(MissingKeyError):
        format_filename("{OBJECT}", fits.Header({"OBJECT": "  "}))


def test_the_first_pattern_that_can_be_filled_is_used():
    assert format_filename(["{SEEING}.fits", "{OBJECT}.fits", "x.fits"], HEADER) == "M 31.fits"
    with pytest.raises(MissingKeyError, match="SEEING"):
        format_filename(["{SEEING}", "{OTHER}"], HEADER)


def test_given_values_go_first():
    extra = {"OBJECT": "x", "stem": "s", "counter": 7}

    assert format_filename("{OBJECT}-{stem}-{counter|string:03d}", HEADER, extra=extra) == "x-s-007"


def test_an_image_remembers_its_name():
    image = Image(header=HEADER)

    assert image.format_filename("{OBJECT}_{run}.fits", run=3) == "M 31_3.fits"
    assert image.header["FNAME"] == "M 31_3.fits"


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("{OBJECT", "brace"),
        ("OBJECT}", "brace"),
        ("{{OBJECT}}", "brace"),
        ("{}", "key"),
        ("{OBJECT|}", "unknown method"),
        ("{OBJECT|lowercase}", "unknown method 'lowercase'"),
        ("{OBJECT|lower:x}", "lower takes no"),
        ("{FILTER|filter:A:B:C}", "filter takes 2"),
        ("{EXPTIME|string:05.1q}", "no format"),
        ("{EXPTIME|string:99999999d}", "no format"),
        ("{DATE-OBS|date:/}", "parameter"),
        ("{../x}", "key"),
        ("", "names no file"),
        ("folder/", "names no file"),
    ],
)
def test_a_malformed_pattern_is_refused_before_there_is_an_image(pattern, problem):
    with pytest.raises(ValueError, match=problem):
        check_pattern(pattern)
    with pytest.raises(ValueError, match=problem):
        format_filename([pattern, "fine"], HEADER)


@pytest.mark.parametrize("method", ["string:04d", "exptime", "time"])
def test_a_value_that_does_not_suit_is_named(method):
    with pytest.raises(ImageError, match="OBJECT = 'M 31'"):
        format_filename(f"{{OBJECT|{method}}}", HEADER)


@pytest.mark.parametrize(
    ("value", "safe"),
    [
        ("../../etc/passwd", "_._etc_passwd"),
        ("/etc/passwd", "_etc_passwd"),
        ("a\\b", "a_b"),
        ("..", "_"),
        ("...", "_"),
        ("-rf", "rf"),
        (".hidden", "hidden"),
        ("a..b", "a.b"),
    ],
)
def test_what_a_header_says_stays_one_name(value, safe):
    assert format_filename("{OBJECT}", fits.Header({"OBJECT": value})) == safe


@given(
    value=st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1),
    method=st.sampled_from(["", "|lower", "|string:s", "|filter"]),
)
def test_no_header_can_leave_the_folder(value, method):
    folder = Path("/tmp/products")
    header = {"OBJECT": value, "IMAGETYP": "object"}
    try:
        name = format_filename(f"sub/{{OBJECT{method}}}.fits", Image(header=header).header)
    except MissingKeyError:
        assert not value.strip()
        return

    assert safe_join(folder, name).parent == folder / "sub"
    assert len(Path(name).name.encode()) <= 255


@given(st.text(min_size=1), st.text(min_size=1))
def test_given_values_cannot_leave_the_folder_either(one, other):
    try:
        name = format_filename("{A}{B}", fits.Header(), extra={"A": one, "B": other})
    except MissingKeyError:
        return
    assert "/" not in name
    assert "\0" not in name
    assert name not in (".", "..")


def test_long_values_are_cut_but_stay_different():
    one, other = (format_filename("{OBJECT}{OBJECT}.fits", {"OBJECT": "x" * 300 + end}) for end in "ab")

    assert one != other
    assert len(one) <= 255
    assert one.endswith(".fits")


def test_names_are_joined_below_the_folder(tmp_path):
    assert safe_join(tmp_path, "a/b.fits") == tmp_path / "a" / "b.fits"
    (tmp_path / "link").symlink_to("/")
    for name in ("../x", "a/../../x", "/etc/passwd", "link/etc/passwd", "", ".", "a\0b"):
        with pytest.raises(ImageError):
            safe_join(tmp_path, name)


def test_a_name_that_no_card_can_hold_is_given_back_whole():
    image = Image(header={"OBJECT": "M31"})

    assert image.format_filename("Sähne-{OBJECT}.fits") == "Sähne-M31.fits"
    assert image.header["FNAME"] == "S?hne-M31.fits"
