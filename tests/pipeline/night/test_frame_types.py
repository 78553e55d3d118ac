"""Raw frames are sorted by what their headers say, and never by a guess."""

import pytest
from astropy.io import fits

from etendue.images import Header
from etendue.pipeline import ConfigError
from etendue.pipeline.night.frame_types import RULES, FrameType, classify, frame_rules, why_unknown


def header(**cards):
    made = Header()
    for key, value in cards.items():
        made[key.replace("__", "-")] = value
    return made


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        ({"IMAGETYP": "Bias Frame", "EXPTIME": 0.0}, "bias"),  # MaxIm DL
        ({"IMAGETYP": "Dark Frame", "EXPTIME": 30.0}, "dark"),
        ({"IMAGETYP": "Flat Field", "EXPTIME": 3.0}, "flat"),
        ({"IMAGETYP": "FLAT", "EXPTIME": 3.0}, "flat"),
        ({"IMAGETYP": "Light Frame", "EXPTIME": 90.0, "OBJECT": "NGC 6946"}, "science"),
        ({"IMAGETYP": "LIGHT", "EXPTIME": 90.0}, "science"),
        ({"IMAGETYP": "DARKFLAT", "EXPTIME": 2.0}, "dark"),  # N.I.N.A.
        ({"FRAME": "Light", "EXPTIME": 60.0}, "science"),  # INDI
        ({"FRAME": "Dark", "EXPTIME": 60.0}, "dark"),
        ({"IMAGETYP": "zero", "EXPTIME": 0}, "bias"),  # IRAF
        ({"IMAGETYP": "comp", "EXPTIME": 10.0}, "arc"),
        ({"IMAGETYP": "object", "EXPTIME": 150.0, "OBJECT": "rf0420"}, "science"),
        ({"OBSTYPE": "SKYFLAT", "EXPTIME": 5.0}, "flat"),  # LCO
        ({"OBSTYPE": "EXPOSE", "EXPTIME": 60.0}, "science"),
        ({"OBSTYPE": "STANDARD", "EXPTIME": 60.0}, "science"),
        ({"OBSTYPE": "dome flat", "EXPTIME": 5.0}, "flat"),  # DECam
        ({"OBSTYPE": "TARGET", "EXPTIME": 60.0}, "science"),  # INT
        ({"ESO DPR TYPE": "FLAT,SKY", "EXPTIME": 5.0}, "flat"),  # ESO
        ({"ESO DPR TYPE": "LAMP,FLAT", "EXPTIME": 5.0}, "flat"),
        ({"ESO DPR TYPE": "WAVE,LAMP", "EXPTIME": 5.0}, "arc"),
        ({"ESO DPR TYPE": "STD", "EXPTIME": 5.0}, "science"),
        ({"DATA-TYP": "DOMEFLAT", "EXPTIME": 5.0}, "flat"),  # Subaru
        ({"IMAGETYP": "focus", "EXPTIME": 5.0}, "other"),  # pyobs
        ({"IMAGETYP": "acquisition", "EXPTIME": 5.0}, "other"),
        ({"IMAGETYP": "master bias", "NCOMBINE": 20}, "master"),
        ({"IMAGETYP": "bad pixels"}, "master"),
    ],
)
def test_headers_of_common_programs(cards, expected):
    made = Header()
    for key, value in cards.items():
        made[f"HIERARCH {key}" if " " in key else key] = value

    assert classify(made) == expected


def test_a_dark_of_no_time_is_a_bias():
    assert classify(header(OBSTYPE="DARK", EXPTIME=0, OBJECT="Bias")) is FrameType.BIAS
    assert classify(header(OBSTYPE="DARK", EXPTIME=300, OBJECT="M 31")) is FrameType.DARK


def test_the_observers_word_counts_where_the_program_says_object_of_everything():
    assert classify(header(OBSTYPE="OBJECT", EXPTIME=15, OBJECT="Dome Flat")) is FrameType.FLAT
    assert classify(header(OBSTYPE="OBJECT", EXPTIME=30, OBJECT="Arcs")) is FrameType.ARC
    assert classify(header(OBSTYPE="OBJECT", EXPTIME=30, OBJECT="Arcturus")) is FrameType.SCIENCE
    assert classify(header(OBSTYPE="OBJECT", EXPTIME=30, OBJECT="Dark Cloud 1")) is FrameType.SCIENCE


@pytest.mark.parametrize(
    "cards",
    [
        {},
        {"EXPTIME": 10.0},
        {"IMAGETYP": "whatever", "EXPTIME": 10.0},
        {"IMAGETYP": "bias", "EXPTIME": 300.0},
        {"OBSTYPE": "DARK", "EXPTIME": 60.0, "OBJECT": "Bias"},
        {"OBSTYPE": "OBJECT", "EXPTIME": 60.0, "OBJECT": "Bias"},
        {"OBSTYPE": "OBJECT", "EXPTIME": 0.0, "OBJECT": "M 31"},
        {"OBJECT": "flat_R_003", "EXPTIME": 3.0, "RA": 10.0, "DEC": 20.0},
        {"OBJECT": "focus run", "EXPTIME": 3.0, "RA": 10.0, "DEC": 20.0},
        {"OBJECT": "M 31", "EXPTIME": 60.0},
    ],
)
def test_what_is_not_said_or_contradictory_is_not_guessed(cards):
    assert classify(header(**cards)) is None
    assert why_unknown(header(**cards)).endswith("add a rule to frame_types")


def test_without_a_type_card_a_named_object_at_known_coordinates_is_science():
    assert classify(header(OBJECT="HATP-32", EXPTIME=60.0, RA=31.3, DEC=46.8)) is FrameType.SCIENCE


def test_why_unknown_names_the_cards():
    assert "IMAGETYP = 'whatever', a type that no rule knows" in why_unknown(header(IMAGETYP="whatever"))
    contradiction = why_unknown(header(OBSTYPE="DARK", OBJECT="Bias", EXPTIME=60.0))
    assert "OBSTYPE = 'DARK' and OBJECT = 'Bias'" in contradiction
    assert "contradict" in contradiction


def test_rules_of_a_configuration_go_first():
    rules = frame_rules([{"type": "arc", "when": {"LAMPSTAF": "on"}}, {"type": "unknown", "when": {"OBJECT": "test*"}}])

    assert classify(header(OBSTYPE="OBJECT", OBJECT="M 31", EXPTIME=5, LAMPSTAF="on"), rules) is FrameType.ARC
    assert classify(header(OBSTYPE="OBJECT", OBJECT="M 31", EXPTIME=5), rules) is FrameType.SCIENCE
    refused = header(OBSTYPE="OBJECT", OBJECT="test 1", EXPTIME=5)
    assert classify(refused, rules) is None
    assert "rule of the configuration" in why_unknown(refused, rules)


def test_wrong_rules_are_told_all_at_once():
    with pytest.raises(ConfigError) as caught:
        frame_rules([{"type": "baias", "when": {"A": 1}}, {"type": "bias", "when": {"exposure_tme": 1}, "x": 1}])

    lines = str(caught.value).splitlines()
    assert any(line.startswith("frame_types.0.type:") for line in lines)
    assert any("did you mean 'exposure_time'" in line for line in lines)
    assert any(line.startswith("frame_types.1.x:") for line in lines)


def test_a_value_that_makes_no_sense_fulfils_no_test():
    assert classify(header(IMAGETYP="DARK", EXPTIME="long")) is FrameType.DARK
    assert classify(header(OBJECT="M 31", EXPTIME="long", RA=1.0, DEC=1.0)) is None


def test_an_astropy_header_will_do():
    assert classify(fits.Header({"IMAGETYP": "BIAS", "EXPTIME": 0.0})) is FrameType.BIAS


def test_all_rules_can_be_met():
    assert all(rule.when.root for rule in RULES)
