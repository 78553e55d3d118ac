"""How `etendue processors` words types, defaults and documentation."""

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field, PositiveInt

from etendue.pipeline.cli.processors import documentation, inline_yaml, parameters, snippet, type_words
from etendue.processors import Processor


class Lamp(BaseModel):
    """A group of parameters."""

    power: float = Field(5.0, gt=0, description="power [W]")


class Shine(Processor):
    """Shine a :class:`~some.module.Lamp` on ``data``.

    Prose that is
    broken into lines.

    - a list
    - stays
    """

    name: str = Field(description="what to call it")
    count: PositiveInt = Field(3, description="how often")
    method: Literal["mean", "median"] = "mean"
    limits: list[float | None] = [1.0, None]
    weights: dict[str, float] = {}
    section: tuple[int, int] | None = None
    unit: Annotated[float, Field(ge=0, le=1)] = 0.5
    lamp: Lamp = Field(Lamp(), description="the lamp")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("name", "text"),
        ("count", "integer > 0"),
        ("method", "mean | median"),
        ("limits", "list of (number | null)"),
        ("weights", "mapping to number"),
        ("section", "[integer, integer] | null"),
        ("unit", "number ≥ 0, ≤ 1"),
        ("lamp", "Lamp"),
    ],
)
def test_types_are_worded(name, words):
    assert {field["name"]: field["type"] for field in parameters(Shine)}[name] == words


def test_a_group_of_parameters_tells_its_members():
    (lamp,) = [field for field in parameters(Shine) if field["name"] == "lamp"]

    assert lamp["inner"]["power"]["type"] == "number > 0"
    assert lamp["inner"]["power"]["description"] == "power [W]"


def test_the_snippet_puts_first_what_must_be_given():
    assert snippet("Shine", parameters(Shine)).splitlines()[:4] == [
        "steps:",
        "  - class: Shine",
        "    name: …  # what to call it",
        "    count: 3",
    ]


def test_the_snippet_writes_groups_as_blocks():
    assert snippet("Shine", parameters(Shine)).endswith("    lamp:\n      power: 5.0")


def test_roles_become_names_and_prose_is_joined():
    assert documentation(Shine) == "Shine a Lamp on data.\n\nProse that is broken into lines.\n\n- a list\n- stays"


@pytest.mark.parametrize(("value", "text"), [(None, "null"), ([3, 5.0], "[3, 5.0]"), ("on", "'on'"), (True, "true")])
def test_values_are_written_as_in_yaml(value, text):
    assert inline_yaml(value) == text


def test_values_among_types_are_written_as_in_yaml():
    assert type_words({"anyOf": [{"type": "string"}, {"const": False}, {"type": "null"}]}, {}) == "text | false | null"
    assert type_words({"enum": ["mean", True, 3]}, {}) == "mean | true | 3"


def test_what_has_no_type_is_anything():
    assert type_words({}, {}) == "anything"
