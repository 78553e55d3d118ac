"""`when:` in a chain."""

import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from etendue.images import Image, ImageError
from etendue.pipeline import Condition

HEADER = {"EXPTIME": 10.0, "FILTER": "R ", "IMAGETYP": "Object", "DATE-OBS": "2024-05-31T22:10:00", "GUIDED": True}


@pytest.fixture
def image():
    return Image(data=[[1.0, 2.0]], header=HEADER)


@pytest.mark.parametrize(
    "test",
    [
        {"EXPTIME": 10},
        {"EXPTIME": "10.0"},
        {"EXPTIME": "> 9.5"},
        {"EXPTIME": ">= 10"},
        {"EXPTIME": "< 1e2"},
        {"EXPTIME": "<=10"},
        {"EXPTIME": "== 10"},
        {"EXPTIME": "!= 11"},
        {"EXPTIME": "10 .. 30"},
        {"EXPTIME": [5, "> 9"]},
        {"exposure_time": "> 5"},
        {"FILTER": "r"},
        {"FILTER": "[RV]"},
        {"FILTER": "!= V*"},
        {"FILTER": ["V", "R"]},
        {"image_type": "object"},
        {"GUIDED": True},
        {"DATE-OBS": "> 2024-05-31"},
        {"observation_time": "2024-05-31 .. 2024-06-01"},
        {"data": "present", "mask": "absent", "catalog.x": "absent"},
        {"AIRMASS": "absent"},
        {"EXPTIME": "present"},
        {},
    ],
)
def test_holds(image, test):
    assert Condition(test).why_not(image) == ""


@pytest.mark.parametrize(
    ("test", "reason"),
    [
        ({"EXPTIME": "> 30"}, "EXPTIME is 10, not > 30"),
        ({"exposure_time": 30}, "exposure_time is 10, not 30"),
        ({"AIRMASS": "< 2"}, "the header has no AIRMASS"),
        ({"AIRMASS": "!= 2"}, "the header has no AIRMASS"),
        ({"airmass": "< 2"}, "the header does not tell the airmass"),
        ({"mask": "present"}, "the image has no mask"),
        ({"catalog.x": "present"}, "the catalog has no column x"),
        ({"EXPTIME": "absent"}, "EXPTIME is present"),
        ({"FILTER": ["B", "V"]}, "FILTER is R, not one of B, V"),
        ({"FILTER": "> 3"}, "FILTER is R, not > 3"),
        ({"GUIDED": False}, "GUIDED is true, not false"),
        ({"FILTER": "R", "EXPTIME": "30 .. 60"}, "EXPTIME is 10, not 30 .. 60"),
    ],
)
def test_says_why_not(image, test, reason):
    assert Condition(test).why_not(image) == reason


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ({"EXPTIME": "=> 30"}, "unknown operator '=>'"),
        ({"EXPTIME": "~ 30"}, "unknown operator '~'"),
        ({"EXPTIME": "> long"}, "'long' is neither a number nor a date"),
        ({"EXPTIME": ">"}, "nothing to compare with"),
        ({"EXPTIME": "30 .. 10"}, "is not a range"),
        ({"EXPTIME": []}, "an empty list can never hold"),
        ({"exposure_tme": 3}, "did you mean 'exposure_time'?"),
        ({"mask": "> 3"}, "can be 'present' or 'absent'"),
    ],
)
def test_nonsense_is_refused(test, message):
    with pytest.raises(ValidationError, match=message.replace("(", r"\(")):
        Condition(test)


def test_a_card_that_is_not_understood_is_an_error_of_the_image():
    image = Image(data=[[1.0]], header={"EXPTIME": "long"})
    with pytest.raises(ImageError, match="EXPTIME"):
        Condition({"exposure_time": "> 3"}).why_not(image)


def test_dumps_back_to_the_same_mapping():
    mapping = {"EXPTIME": "> 30", "FILTER": ["R", "V"], "GUIDED": True}
    assert json.loads(Condition(mapping).model_dump_json()) == mapping
    jsonschema.validate(mapping, Condition.model_json_schema())


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_orders_numbers_as_python_does(value, limit):
    image = Image(header={"VALUE": value})
    assert (Condition({"VALUE": f"> {limit!r}"}).why_not(image) == "") == (value > limit)
    assert (Condition({"VALUE": f"<= {limit!r}"}).why_not(image) == "") == (value <= limit)
