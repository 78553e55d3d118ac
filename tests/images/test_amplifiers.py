"""Which pixels each amplifier read, from the header or the configuration."""

import pytest
from pydantic import TypeAdapter, ValidationError

from etendue.images import ImageError, Section
from etendue.images.header import as_header
from etendue.images.sections import Amplifier, amplifiers, overscan_sections


def header(**cards):
    return as_header({"NAXIS1": 12, "NAXIS2": 4} | cards)


def test_a_plain_frame_has_one_amplifier_that_read_all_of_it():
    assert amplifiers(header()) == (Amplifier(Section(0, 12, 0, 4)),)
    assert overscan_sections(header()) == ()


def test_a_single_strip_belongs_to_the_data_section():
    (found,) = overscan_sections(header(BIASSEC="[11:12,1:4]", DATASEC="[1:10,1:4]"))
    assert found == Amplifier(Section(0, 10, 0, 4), Section(10, 12, 0, 4))


def test_numbered_cards_name_several_amplifiers():
    cards = {"DATASEC1": "[1:5,1:4]", "BIASSEC1": "[11:11,1:4]", "GAIN1": 1.2, "RDNOISE1": 3.0}
    cards |= {"DATASEC2": "[6:10,1:4]", "BIASSEC2": "[12:12,1:4]", "GAIN2": 1.3}
    found = amplifiers(header(**cards))
    assert [a.gain for a in found] == [1.2, 1.3]
    assert [a.read_noise for a in found] == [3.0, None]
    assert [str(a.overscan) for a in found] == ["[11:11,1:4]", "[12:12,1:4]"]


def test_the_amplifiers_of_iraf_are_those_in_its_list():
    cards = {"AMPLIST": "11 21", "GTGAIN11": 2.0, "GTRON21": 4.0}
    for name, x in (("11", "1:5"), ("21", "6:10"), ("22", "1:5")):
        cards |= {f"DSEC{name}": f"[{x},1:4]", f"BSEC{name}": "[11:12,1:4]"}
    found = amplifiers(header(**cards))
    assert [(str(a.data), a.gain, a.read_noise) for a in found] == [("[1:5,1:4]", 2.0, None), ("[6:10,1:4]", None, 4.0)]


def test_what_is_configured_goes_before_the_header():
    configured = [Amplifier(Section(0, 6, 0, 4), Section(10, 12, 0, 4))]
    assert amplifiers(header(BIASSEC="[11:12,1:4]"), configured) == tuple(configured)


@pytest.mark.parametrize("cards", [{"BIASSEC": "[11:13,1:4]"}, {"BIASSEC": "11:12"}, {"BIASSEC1": "[11:12,1:4]"}])
def test_sections_that_make_no_sense_are_errors(cards):
    with pytest.raises(ImageError):
        amplifiers(header(**cards))


def test_amplifiers_are_written_as_in_fits():
    adapter = TypeAdapter(list[Amplifier])
    given = [{"data": "[1:5,1:4]", "overscan": "[11:11,1:4]", "gain": 1.2, "read_noise": 3.0}]
    (found,) = adapter.validate_python(given)
    assert found == Amplifier(Section(0, 5, 0, 4), Section(10, 11, 0, 4), 1.2, 3.0)
    assert adapter.dump_python([found], mode="json") == given
    assert "overscan" in str(adapter.json_schema())


@pytest.mark.parametrize("wrong", [{"gain": 0}, {"read_noise": -1}, {"gian": 1.2}])
def test_a_wrong_amplifier_is_refused(wrong):
    with pytest.raises(ValidationError):
        TypeAdapter(Amplifier).validate_python({"data": "[1:5,1:4]"} | wrong)
