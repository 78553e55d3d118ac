"""Conditions on an image, as a chain's ``when:`` states them.

.. code-block:: yaml

    when: {exposure_time: "> 30", FILTER: [R, V], image_type: "!= dark", catalog: present}

A key is a header card (in capitals, as in the header), a property known by several cards (``exposure_time``,
``filter`` …; see :data:`etendue.images.keywords.KEYWORDS`), a plane (``mask``), or a catalogue column
(``catalog.flux``). All tests of a mapping must hold.

==================  ===========================================================================
``30``, ``R``       equal; text without regard to case and surrounding blanks
``"> 30"``          also ``>=``, ``<``, ``<=``: a number, or a date (``"> 2024-01-01"``)
``"!= dark"``       anything else; also ``==``
``"R*"``            a pattern with ``*``, ``?`` or ``[abc]``
``"10 .. 30"``      from 10 to 30, both included
``[R, V, "> 3"]``   one of these tests holds
``present``         the card, plane or column exists; ``absent``: it does not
==================  ===========================================================================

A card that the header does not have fulfils no test but ``absent``.
"""

import difflib
import fnmatch
import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from pydantic import ConfigDict, GetJsonSchemaHandler, RootModel, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from ..images import Image
from ..images.keywords import KEYWORDS, header_value

Scalar = bool | int | float | str
Test = Scalar | list[Scalar]

PLANES = ("data", "mask", "uncertainty", "raw", "catalog")
ORDERINGS: Mapping[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
OPERATORS = (*ORDERINGS, "==", "!=")
ABSENT: Any = object()


@dataclass(frozen=True, slots=True)
class _Test:
    """One test: how it reads, and whether a value passes it."""

    text: str
    holds: Callable[[Any], bool]


class Condition(RootModel[dict[str, Test]]):
    """Tests on header, planes and catalogue that must all hold; see :mod:`etendue.pipeline.conditions`."""

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _explain_form(cls, given: Any) -> Any:
        if isinstance(given, Condition):
            return given
        if not isinstance(given, Mapping):
            raise ValueError(f"{given!r} is not a mapping of keys to tests; write for example {{EXPTIME: '> 30'}}")
        wrong = [str(key) for key, test in given.items() if not _is_test(test)]
        if wrong:
            tests = "a number, text or a list of them; 'present' and 'absent' are tests, too"
            raise ValueError("; ".join(f"{key}: a test is {tests}" for key in wrong))
        return given

    @model_validator(mode="after")
    def _compile(self) -> "Condition":
        problems = []
        for key, test in self.root.items():
            try:
                check_key(key)
                compiled = compile_test(test)
                if is_presence_only(key) and compiled.text not in ("present", "absent"):
                    raise ValueError(f"a plane or column can be 'present' or 'absent', not {compiled.text!r}")
            except ValueError as error:
                problems.append(f"{key}: {error}")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @cached_property
    def _tests(self) -> tuple[tuple[str, _Test], ...]:
        return tuple((key, compile_test(test)) for key, test in self.root.items())

    def why_not(self, image: Image) -> str:
        """Empty if all tests hold, else the first that does not, as a sentence: ``EXPTIME is 10, not > 30``.

        Raises
        ------
        ImageError
            A property cannot be understood from its header card.
        """
        for key, test in self._tests:
            value = value_of(image, key)
            if value is ABSENT:
                if test.text != "absent":
                    return _missing(key)
            elif test.text == "absent":
                return f"{key} is present"
            elif test.text != "present" and not test.holds(value):
                return f"{key} is {as_text(value)}, not {test.text}"
        return ""

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        scalar = {"type": ["string", "number", "boolean"]}
        test = {"anyOf": [scalar, {"type": "array", "items": scalar, "minItems": 1}]}
        return {
            "type": "object",
            "description": 'header card, property, plane or catalog column: test; for example {EXPTIME: "> 30"}',
            "properties": {
                **{name: {"description": keyword.description} for name, keyword in KEYWORDS.items()},
                **{name: {"enum": ["present", "absent"]} for name in PLANES},
            },
            "additionalProperties": test,
        }


def _is_test(given: Any) -> bool:
    return all(isinstance(part, Scalar) for part in (given if isinstance(given, list | tuple) else [given]))


def check_key(key: str) -> None:
    """Raise ValueError if a key is neither a header card nor a property, plane or column."""
    if key in KEYWORDS or key in PLANES or key.startswith("catalog."):
        return
    if not key or key.strip() != key:
        raise ValueError("a header card has a name without blanks around it")
    if key == key.lower() and key != key.upper():
        near = difflib.get_close_matches(key, [*KEYWORDS, *PLANES], n=1, cutoff=0.6)
        hint = f"did you mean '{near[0]}'?" if near else f"write header cards in capitals: {key.upper()}"
        raise ValueError(f"no such property; {hint}")


def is_presence_only(key: str) -> bool:
    """Whether a key can only be present or absent."""
    return key in PLANES or key.startswith("catalog.")


def value_of(image: Image, key: str) -> Any:
    """What an image says about a key of a condition; ABSENT if nothing."""
    if key in PLANES:
        return ABSENT if getattr(image, f"safe_{key}") is None else True
    if key.startswith("catalog."):
        catalog = image.safe_catalog
        return ABSENT if catalog is None or key.partition(".")[2] not in catalog.colnames else True
    if key in KEYWORDS:
        value = header_value(image.header, key, label=image.label)
        return ABSENT if value is None else value
    value = image.header.get(key, ABSENT)
    return ABSENT if value is None or type(value).__name__ == "Undefined" else value


def compile_test(test: Test) -> _Test:
    """A test from what a chain says.

    Raises
    ------
    ValueError
        The text looks like a comparison and is none.
    """
    if isinstance(test, list):
        if not test:
            raise ValueError("an empty list can never hold")
        tests = [compile_test(entry) for entry in test]
        return _Test(f"one of {', '.join(t.text for t in tests)}", lambda value: any(t.holds(value) for t in tests))
    if not isinstance(test, str):
        return _Test(as_text(test), lambda value: is_equal(value, test))
    text = test.strip()
    if text in ("present", "absent"):
        return _Test(text, lambda _: text == "present")
    if match := re.fullmatch(r"(\S+)\s*\.\.\s*(\S+)", text):
        low, high = quantity(match[1]), quantity(match[2])
        if not _ordered(high, low, operator.ge):
            raise ValueError(f"{text!r} is not a range; write for example '10 .. 30'")
        return _Test(text, lambda value: _ordered(value, low, operator.ge) and _ordered(value, high, operator.le))
    match = re.match(r"[<>=!~]+", text)
    if not match:
        return _Test(text, lambda value: matches(value, text))
    symbol, operand = match[0], text[match.end() :].strip()
    if symbol not in OPERATORS:
        raise ValueError(f"unknown operator {symbol!r} in {test!r}; there are {' '.join(OPERATORS)}")
    if not operand:
        raise ValueError(f"nothing to compare with in {test!r}; write for example '{symbol} 30'")
    if symbol in ORDERINGS:
        limit = quantity(operand)
        return _Test(f"{symbol} {operand}", lambda value: _ordered(value, limit, ORDERINGS[symbol]))
    if symbol == "==":
        return _Test(operand, lambda value: is_equal(value, operand))
    return _Test(f"{symbol} {operand}", lambda value: not matches(value, operand))


def quantity(text: str) -> float | datetime:
    """A number or a date, for comparisons.

    Raises
    ------
    ValueError
        The text is neither.
    """
    found = _quantity(text)
    if found is None:
        raise ValueError(f"{text!r} is neither a number nor a date (2024-05-31, 2024-05-31T22:10:00)")
    return found


def _quantity(value: Any) -> float | datetime | None:
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        pass
    else:
        return None if math.isnan(number) else number
    try:
        date = datetime.fromisoformat(str(value).strip())
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _ordered(value: Any, limit: float | datetime, compare: Callable[[Any, Any], bool]) -> bool:
    found = _quantity(value)
    return type(found) is type(limit) and compare(found, limit)


def is_equal(value: Any, wanted: Any) -> bool:
    """Equal as truth values, numbers, dates or text."""
    if isinstance(value, bool) or isinstance(wanted, bool):
        return as_text(value).lower() == as_text(wanted).lower()
    left, right = _quantity(value), _quantity(wanted)
    if left is not None and right is not None and type(left) is type(right):
        return left == right
    return as_text(value).casefold() == as_text(wanted).casefold()


def matches(value: Any, wanted: str) -> bool:
    """Equal, or fitting a pattern with ``*``, ``?`` or ``[abc]``."""
    if any(sign in wanted for sign in "*?["):
        return fnmatch.fnmatchcase(as_text(value).casefold(), wanted.casefold())
    return is_equal(value, wanted)


def as_text(value: Any) -> str:
    """A value as a person writes it in a chain."""
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:g}" if f"{value:g}" == repr(value).removesuffix(".0") else repr(value)
        case datetime():
            return value.isoformat()
        case tuple():
            return "x".join(as_text(part) for part in value)
        case str():
            return value.strip()
    return str(value)


def _missing(key: str) -> str:
    if key in PLANES:
        return f"the image has no {key}"
    if key.startswith("catalog."):
        return f"the catalog has no column {key.partition('.')[2]}"
    if key in KEYWORDS:
        return f"the header does not tell the {key}"
    return f"the header has no {key}"
