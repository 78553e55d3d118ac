"""Cards are added as they are written, and never run as code."""

import asyncio

import numpy as np
import pytest
from pydantic import ValidationError

from etendue.images import Image, ImageError
from etendue.processors.header import AddFitsHeaders


@pytest.fixture
def image():
    cards = {
        "OBJECT": "M 31/core",
        "EXPTIME": (10.5, "[s] exposure time"),
        "FILTER": "R",
        "DATE-OBS": "2026-03-20T21:30:00",
    }
    return Image(np.zeros((2, 3), dtype=np.float32), header=cards)


def added(image, headers, **options):
    return asyncio.run(AddFitsHeaders(headers=headers, **options)(image)).header


def test_mapping_list_of_mappings_and_list_of_lists_mean_the_same():
    mapping = AddFitsHeaders(headers={"SITEID": "abc", "ALT": [2400, "[m] height"]})
    mappings = AddFitsHeaders(
        headers=[{"key": "siteid", "value": "abc"}, {"key": "ALT", "value": 2400, "comment": "[m] height"}]
    )
    lists = AddFitsHeaders(headers=[["SITEID", "abc"], ["ALT", 2400, "[m] height"]])

    assert mapping == mappings == lists


def test_values_keep_their_types(image):
    header = added(image, {"A": 1, "B": 1.5, "C": True, "D": "text", "E": None})

    assert [type(header[key]).__name__ for key in "ABCD"] == ["int", "float", "bool", "str"]
    assert "E" in header


def test_comments_are_written_and_old_ones_stay(image):
    header = added(image, {"ALT": [2400, "[m] height"], "EXPTIME": 12.0})

    assert header.comments["ALT"] == "[m] height"
    assert header["EXPTIME"] == 12.0
    assert header.comments["EXPTIME"] == "[s] exposure time"


def test_placeholders_see_the_header_as_it_came(image):
    header = added(
        image, {"OBJECT": "new", "TITLE": "{OBJECT} in {FILTER|lower} on {DATE-OBS|date}", "COPY": "{EXPTIME}"}
    )

    assert header["TITLE"] == "M 31/core in r on 2026-03-20"
    assert header["COPY"] == 10.5


def test_existing_cards_can_be_left(image):
    assert added(image, {"FILTER": "V", "NEW": 1}, overwrite=False)["FILTER"] == "R"
    assert added(image, {"FILTER": "V"})["FILTER"] == "V"


def test_history_is_added_to(image):
    image.header.add_history("first")

    assert list(added(image, {"HISTORY": "of {OBJECT}"})["HISTORY"]) == ["first", "of M 31/core"]


def test_long_keys_become_hierarch_cards(image):
    header = added(image, {"ESO DET GAIN": 1.5, "LONGER-THAN-EIGHT": 2})

    assert header["ESO DET GAIN"] == 1.5
    assert Image.from_bytes(image.replace(header=header).to_bytes()).header["LONGER-THAN-EIGHT"] == 2


def test_the_input_is_left_as_it_was(image):
    before = image.header.tostring()

    added(image, {"FILTER": "V"})

    assert image.header.tostring() == before


def test_a_missing_card_is_named(image):
    with pytest.raises(ImageError, match="no header card NOPE, which the new card TITLE needs"):
        added(image, {"TITLE": "{NOPE} {FILTER}"})
    with pytest.raises(ImageError, match="NOPE"):
        added(image, {"TITLE": "{NOPE|lower}"})


def test_text_in_braces_is_never_run_as_code(image):
    with pytest.raises(ValidationError, match="no valid header key"):
        AddFitsHeaders(headers={"X": "{__import__('os').getcwd()}"})


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"NAXIS1": 3}, "follows from the pixels"),
        ({"A": float("nan")}, "cannot be stored"),
        ({"A": "é"}, "plain ASCII"),
        ({"A": "two\nlines"}, "plain ASCII"),
        ({"A B!": 1}, "no header keyword"),
        ({"A": "{X|nope}"}, "unknown method 'nope'"),
        ({"A": "{X"}, "brace"),
        ({"X" * 80: 1}, "cannot be stored"),
        ({"A": [1, 2, 3]}, "valid"),
        ("A=1", "valid"),
    ],
)
def test_what_cannot_be_a_card_is_refused_before_any_image(headers, reason):
    with pytest.raises(ValidationError, match=reason):
        AddFitsHeaders(headers=headers)


def test_the_configuration_comes_back_equal():
    step = AddFitsHeaders(headers={"A": 1, "B": [True, "flag"], "C": "{OBJECT}"}, overwrite=False)

    assert AddFitsHeaders.model_validate_json(step.model_dump_json()) == step
    assert "object" in str(AddFitsHeaders.model_json_schema()["properties"]["headers"])
