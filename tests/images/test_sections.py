"""Sections: FITS notation and slices."""

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from etendue.images import ImageError, Section
from etendue.images.sections import header_section

starts, lengths = st.integers(0, 5000), st.integers(1, 5000)
sections = st.builds(lambda x, w, y, h: Section(x, x + w, y, y + h), starts, lengths, starts, lengths)


def test_fits_counts_from_one_and_includes_the_end():
    assert Section.parse("[2:4,3:5]") == Section(1, 4, 2, 5)
    assert Section.parse(" [ 2 : 4 , 3:5 ] ") == Section(1, 4, 2, 5)


@given(sections)
def test_text_and_back(section):
    assert Section.parse(str(section)) == section


@given(sections, sections)
def test_overlap_is_symmetric_and_inside(one, other):
    common = one.overlap(other)
    assert common == other.overlap(one)
    assert common is None or (common.overlap(one) == common and common.overlap(other) == common)


def test_a_section_is_an_index():
    data = np.arange(24).reshape(4, 6)
    section = Section(1, 3, 2, 4)

    assert data[section.slices].tolist() == [[13, 14], [19, 20]]
    assert np.stack([data] * 3)[..., *section.slices].shape == (3, *section.shape)
    assert section.fits_in(data.shape)
    assert not Section(1, 7, 2, 4).fits_in(data.shape)


@pytest.mark.parametrize(
    "text", ["", "INVALID", "[1:2]", "[1:2,3:4", "[a:b,c:d]", "[4:2,1:1]", "[0:4,1:1]", "[1.5:2,1:1]"]
)
def test_what_is_no_section_is_refused(text):
    with pytest.raises(ValueError, match=r"section"):
        Section.parse(text)


def test_header_cards():
    header = fits.Header({"TRIMSEC": "[2:4,3:5]", "BIASSEC": "  ", "DATASEC": "nonsense"})

    assert header_section(header, "TRIMSEC") == Section(1, 4, 2, 5)
    assert header_section(header, "BIASSEC") is None
    assert header_section(header, "CCDSEC") is None
    with pytest.raises(ImageError, match=r"DATASEC.*nonsense"):
        header_section(header, "DATASEC")


class Model(BaseModel):
    section: Section
    more: list[Section] | None = None


def test_sections_in_configurations():
    model = Model.model_validate({"section": "[2:4,3:5]", "more": ["[1:1,1:1]"]})

    assert model.section == Section(1, 4, 2, 5)
    assert Model(section=Section(1, 4, 2, 5)) == Model.model_validate({"section": "[2:4,3:5]"})
    assert model.model_dump(mode="json") == {"section": "[2:4,3:5]", "more": ["[1:1,1:1]"]}
    assert Model.model_validate_json(model.model_dump_json()) == model
    assert Model.model_json_schema()["properties"]["section"]["type"] == "string"


@pytest.mark.parametrize("value", ["2:4,3:5", 5, [1, 2, 3, 4], "[4:2,1:1]"])
def test_wrong_sections_in_configurations_are_reported(value):
    with pytest.raises(ValidationError, match="section"):
        Model.model_validate({"section": value})


def test_a_section_in_a_union_leaves_other_values_as_they_are():
    class Trim(BaseModel):
        trim: Section | bool = True

    assert Trim().model_dump(mode="json") == {"trim": True}
    assert Trim(trim="[1:4,1:3]").model_dump(mode="json") == {"trim": "[1:4,1:3]"}
