"""The right master is found, and where there is none the library says why."""

from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etendue.images import Header, Image, ImageError
from etendue.images.keywords import extra_keywords
from etendue.processors.calibration.library import CalibrationLibrary, LibraryError, NoMatchError, set_status

NIGHT = datetime(2026, 3, 20, 22, 0, 0)


def header(kind=None, *, day=0.0, **cards):
    made = Header()
    given = {"INSTRUME": "Cam", "XBINNING": 2, "YBINNING": 2, "DATE-OBS": (NIGHT + timedelta(days=day)).isoformat()}
    if kind is not None:
        given["IMAGETYP"] = kind
    for key, value in (given | cards).items():
        if value is not None:
            made[key] = value
    return made


@pytest.fixture
def put(tmp_path):
    """``put("f1.fits", "master flat", day=-3, FILTER="R")`` writes a small master to the library."""

    def write(name, kind, *, shape=(4, 6), day=0.0, **cards):
        path = tmp_path / "masters" / name
        Image(np.ones(shape, np.float32), header(kind, day=day, **cards)).writeto(path)
        return path

    (tmp_path / "masters").mkdir()
    return write


@pytest.fixture
def library(tmp_path, put):
    return CalibrationLibrary(tmp_path / "masters")


R = header(FILTER="R", EXPTIME=60.0)


def why(library, kind, frame=R, **wishes):
    with pytest.raises(NoMatchError) as caught:
        library.find(kind, frame, **wishes)
    return str(caught.value)


def test_the_nearest_in_time_is_taken(library, put):
    put("old.fits", "master flat", FILTER="R", day=-9)
    near = put("near.fits", "master flat", FILTER="R", day=-2)
    put("later.fits", "master flat", FILTER="R", day=4)

    match = library.find("flat", R)

    assert match.path == near
    assert match.age == pytest.approx(2)
    assert match.scale == 1
    assert match.image().data.shape == (4, 6)


def test_before_and_after_the_frame(library, put):
    before = put("before.fits", "master flat", FILTER="R", day=-5)
    after = put("after.fits", "master flat", FILTER="R", day=1)

    assert library.find("flat", R).path == after
    assert library.find("flat", R, when="before").path == before
    assert library.find("flat", R, when="after").path == after


def test_the_message_says_how_far_the_nearest_is(library, put):
    for day in (-30, -12, -20):
        put(f"{-day}.fits", "master flat", FILTER="R", day=day)

    assert why(library, "flat", max_age=5) == (
        "no flat for filter R, binning 2x2, instrument Cam: 3 flats match, the nearest is 12 days away and max_age is "
        "5 days"
    )


def test_the_message_says_on_which_side_the_nearest_is(library, put):
    put("a.fits", "master bias", day=2)

    assert "1 bias matches, but none was taken before the frame; the nearest is 2 days after it" in why(
        library, "bias", when="before"
    )


def test_the_message_lists_the_filters_that_there_are(library, put):
    put("b.fits", "master flat", FILTER="B")
    put("v1.fits", "master flat", FILTER="V")
    put("v2.fits", "master flat", FILTER="V")

    assert why(library, "flat").endswith("3 flats in question, but their filter is V, B")


def test_the_message_says_what_an_unsuitable_library_holds(library, put):
    put("b.fits", "master bias")
    put("d.fits", "master dark", EXPTIME=60.0)

    assert why(library, "flat").endswith("masters/ holds 1 bias, 1 dark")


def test_an_empty_library_says_so(library):
    assert why(library, "bias").endswith("holds no masters")


def test_filters_are_told_apart_by_case(library, put):
    put("sloan.fits", "master flat", FILTER="r")

    assert "their" not in why(library, "flat")
    assert "its filter is r" in why(library, "flat")


@pytest.mark.parametrize(
    ("card", "value", "word"),
    [("XBINNING", 1, "binning"), ("INSTRUME", "Other", "instrument"), ("READOUTM", "fast", "readout mode")],
)
def test_what_differs_does_not_match(library, put, card, value, word):
    put("b.fits", "master bias", **{card: value, **({"YBINNING": value} if card == "XBINNING" else {})})

    assert f"its {word} is" in why(library, "bias", header(READOUTM="slow" if card == "READOUTM" else None))


def test_a_master_that_does_not_tell_is_no_match(library, put):
    put("f.fits", "master flat")

    assert "its filter is not told" in why(library, "flat")


def test_a_frame_that_does_not_tell_is_no_match(library, put):
    put("f.fits", "master flat", FILTER="R")

    assert "the frame does not tell its filter; of 1 flat in question it is R" in why(library, "flat", header())


def test_frames_and_masters_without_filter_belong_together(library, put):
    path = put("f.fits", "master flat")

    assert library.find("flat", header()).path == path


def test_temperatures_match_within_their_tolerance(library, put):
    put("cold.fits", "master dark", EXPTIME=60.0, **{"CCD-TEMP": -40.0})
    warm = put("warm.fits", "master dark", EXPTIME=60.0, **{"CCD-TEMP": -19.2})

    assert library.find("dark", header(EXPTIME=60.0, **{"CCD-TEMP": -20.0})).path == warm
    assert "their temperature is -40 deg C, -19.2 deg C (+-2 allowed)" in why(
        library, "dark", header(EXPTIME=60.0, **{"CCD-TEMP": -30.0})
    )


def test_a_gain_that_only_one_side_tells_is_no_hindrance(library, put):
    path = put("b.fits", "master bias", GAIN=1.5)

    assert library.find("bias", header()).path == path
    assert "its gain is 1.5 electron/adu" in why(library, "bias", header(GAIN=3.0))


def test_a_dark_is_matched_by_exposure_time_not_by_date_alone(library, put):
    put("long.fits", "master dark", EXPTIME=300.0, day=-0.1)
    right = put("right.fits", "master dark", EXPTIME=60.2, day=-3)

    match = library.find("dark", R)

    assert (match.path, match.scale) == (right, 1.0)
    assert "exposed for 60.2, 300 s" in why(library, "dark", header(EXPTIME=10.0))


def test_a_dark_is_scaled_only_within_the_limits(library, put):
    path = put("d.fits", "master dark", EXPTIME=300.0)
    frame = header(EXPTIME=150.0)

    match = library.find("dark", frame, dark_scale=(0.5, 2))

    assert (match.path, match.scale) == (path, 0.5)
    assert "dark_scale: [low, high]" in why(library, "dark", frame)
    assert "dark_scale allows factors of 0.9 to 1.1" in why(library, "dark", frame, dark_scale=(0.9, 1.1))


def test_own_exposure_before_dark_current_before_scaled(library, put):
    scaled = put("scaled.fits", "master dark", EXPTIME=120.0)
    assert library.find("dark", R, dark_scale=(0.1, 10)).path == scaled
    nearer = put("nearer.fits", "master dark", EXPTIME=90.0, day=-3)
    assert library.find("dark", R, dark_scale=(0.1, 10)).path == nearer
    current = put("current.fits", "master dark", EXPTIME=1.0, BUNIT="adu/s", day=-5)
    match = library.find("dark", R, dark_scale=(0.1, 10))
    assert (match.path, match.scale) == (current, 60.0)
    own = put("own.fits", "master dark", EXPTIME=60.0, day=-8)
    assert library.find("dark", R, dark_scale=(0.1, 10)).path == own


@given(st.floats(0.1, 1e4), st.floats(0.1, 1e4), st.floats(0, 0.5))
def test_exposure_tolerance_is_a_fraction_of_the_frames(own, wanted, tolerance):
    from etendue.processors.calibration.library.entry import entry_of
    from etendue.processors.calibration.library.keys import DEFAULT_KEYS
    from etendue.processors.calibration.library.matching import request_for, select

    entry = entry_of("d.fits", header("master dark", EXPTIME=own))
    request = request_for("dark", header(EXPTIME=wanted), DEFAULT_KEYS["dark"], exposure_tolerance=tolerance)

    found = select(request, [entry]).chosen

    assert (found is not None) == (abs(own - wanted) <= tolerance * wanted)


def test_candidates_and_rejected_masters_are_not_used(library, put):
    path = put("f.fits", "master flat", FILTER="R", MSTATUS="candidate")
    put("g.fits", "master flat", FILTER="R", MSTATUS="rejected")

    message = why(library, "flat")
    assert "2 flats match, but 1 is only a candidate and 1 is rejected; `etendue masters accept" in message

    set_status(path, "accepted", "looked at by a person")
    assert library.find("flat", R).path == path
    assert Image.from_file(path).header.comments["MSTATUS"] == "looked at by a person"


def test_an_old_accepted_master_goes_before_a_fresh_candidate(library, put):
    old = put("old.fits", "master flat", FILTER="R", day=-4)
    put("new.fits", "master flat", FILTER="R", MSTATUS="candidate")

    assert library.find("flat", R).path == old


def test_a_frame_without_date_takes_the_only_master_but_does_not_choose(library, put):
    undated = header(FILTER="R", **{"DATE-OBS": None})
    path = put("a.fits", "master flat", FILTER="R", day=-4)
    match = library.find("flat", undated)
    assert (match.path, match.age) == (path, None)

    put("b.fits", "master flat", FILTER="R", day=-2)
    assert "which is nearest cannot be told" in why(library, "flat", undated)
    assert "their age cannot be told" in why(library, "flat", undated, max_age=3)


def test_size_counts_where_it_is_asked_for(library, put):
    whole = put("whole.fits", "master bias", shape=(8, 8), day=-5)
    put("window.fits", "master bias", shape=(2, 2))

    assert library.find("bias", R, shape=(8, 8)).path == whole
    assert "2 biases match, but not in size: 8 x 8, 2 x 2 px instead of 5 x 3" in why(library, "bias", shape=(3, 5))


def test_raw_frames_in_the_folder_are_no_masters(library, put):
    put("raw.fits", "bias")
    combined = put("iraf.fits", "zero", NCOMBINE=12, day=-40)

    assert library.find("bias", R).path == combined
    assert len(library.files()) == 2
    assert [entry.path for entry in library.entries()] == [combined]


def test_keys_are_configuration(tmp_path, put):
    put("f.fits", "master flat", FILTER="R", TELESCOP="East")
    own = CalibrationLibrary(tmp_path / "masters", keys={"flat": ["filter", "TELESCOP"]})

    assert "its TELESCOP is East" in why(own, "flat", header(FILTER="R", TELESCOP="West", INSTRUME="New"))
    assert own.find("flat", header(FILTER="R", TELESCOP="East", INSTRUME="New"))


def test_keys_may_stand_beside_the_masters(tmp_path, put):
    put("d.fits", "master dark", EXPTIME=60.0, **{"CCD-TEMP": -20.0})
    (tmp_path / "masters" / "library.yaml").write_text("keys:\n  dark: {temperature: 9}\n")
    frame = header(EXPTIME=60.0, INSTRUME="New", **{"CCD-TEMP": -12.0})

    assert CalibrationLibrary(tmp_path / "masters").find("dark", frame)
    (tmp_path / "masters" / "library.yaml").write_text("keys:\n  dark: {temperature: 1}\n")
    assert "-20 deg C" in why(CalibrationLibrary(tmp_path / "masters"), "dark", frame)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"flt": ["filter"]}, "no such kind of master"),
        ({"flat": ["filtr"]}, "did you mean 'filter'"),
        ({"flat": {"temperature": "warm"}}, "not a number"),
        ({"dark": ["exposure_time"]}, "always compared"),
        ({"flat": "filter"}, "write a list"),
        ({"flat": [{"filter": 1}]}, "write a list"),
    ],
)
def test_wrong_keys_are_refused_with_a_sentence(tmp_path, put, keys, message):
    with pytest.raises(LibraryError, match=message):
        CalibrationLibrary(tmp_path / "masters", keys=keys)


def test_a_library_that_is_not_there(tmp_path):
    with pytest.raises(LibraryError, match="does not exist"):
        CalibrationLibrary(tmp_path / "nowhere")


def test_why_follows_the_choice(library, put):
    put("b.fits", "master flat", FILTER="B")
    best = put("r.fits", "master flat", FILTER="R", day=-1)
    put("r2.fits", "master flat", FILTER="R", day=-3, MSTATUS="candidate")

    bias, flat = library.why(R, kinds=("bias", "flat"))

    assert bias.match is None
    assert "holds 3 flats" in bias.reason
    assert flat.match.path == best
    assert [count for _, count in flat.steps] == [3, 3, 3, 3, 2, 1, 1]
    assert "2 of filter R" in str(flat)


def test_further_cards_are_understood_within_their_context(library, put):
    path = put("f.fits", "master flat", WHEEL="R")
    frame = header(WHEEL="R")

    with extra_keywords({"filter": ["WHEEL"]}):
        assert library.find("flat", frame).path == path
        assert "its filter is R" in why(library, "flat", header(WHEEL="B"))


def test_a_value_that_makes_no_sense_is_an_error_of_the_frame(library, put):
    with pytest.raises(ImageError, match="EXPTIME"):
        library.find("dark", header(EXPTIME="long"))


def test_a_master_is_added_under_a_telling_name(library, tmp_path):
    flat = Image(np.ones((4, 6), np.float32), header("master flat", FILTER="R/2"))

    path = library.add(flat)

    assert path.name == "master_flat_R-2_2x2_20260320T220000.fits"
    assert library.find("flat", header(FILTER="R/2")).path == path
    with pytest.raises(FileExistsError):
        library.add(flat)
    with pytest.raises(ImageError, match="it is no master"):
        library.add(Image(np.ones((2, 2), np.float32), header("flat")))


def test_a_file_is_copied_into_the_library(library, tmp_path):
    source = tmp_path / "elsewhere.fits"
    Image(np.ones((4, 6), np.float32), header("master bias")).writeto(source)

    path = library.add(source)

    assert path == tmp_path / "masters" / "elsewhere.fits"
    assert path.read_bytes() == source.read_bytes()
    assert library.add(path) == path


def test_a_new_master_is_compared_with_the_nearest_accepted_one_of_the_same_frames(library, put):
    put("b.fits", "master flat", FILTER="B", day=-1)
    put("tried.fits", "master flat", FILTER="R", day=-1, MSTATUS="candidate")
    last = put("last.fits", "master flat", FILTER="R", day=-6)
    put("older.fits", "master flat", FILTER="R", day=-20)
    put("new.fits", "master flat", FILTER="R")
    entries = {entry.path.name: entry for entry in library.entries()}

    assert library.last_like(entries["new.fits"]).path == last
    assert library.last_like(entries["b.fits"]) is None


def test_darks_are_compared_with_darks_and_dark_currents_with_dark_currents(library, put):
    put("dark.fits", "master dark", EXPTIME=60.0, day=-2)
    put("current.fits", "master dark", EXPTIME=1.0, BUNIT="adu/s", day=-2)
    put("long.fits", "master dark", EXPTIME=300.0, day=-1)
    put("new_dark.fits", "master dark", EXPTIME=60.0)
    put("new_current.fits", "master dark", EXPTIME=1.0, BUNIT="adu/s")
    entries = {entry.path.name: entry for entry in library.entries()}

    assert library.last_like(entries["new_dark.fits"]).path.name == "dark.fits"
    assert library.last_like(entries["new_current.fits"]).path.name == "current.fits"
    assert library.last_like(entries["long.fits"]) is None


def test_wording_of_bad_pixel_maps(library, put):
    put("b.fits", "master bias")

    assert why(library, "bad_pixels").startswith("no bad-pixel map for binning 2x2, instrument Cam: ")
