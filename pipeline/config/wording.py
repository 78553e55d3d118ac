"""What is wrong with a parameter, in words of those who write chains."""

import math
from collections.abc import Mapping
from typing import Any

from pydantic_core import ErrorDetails

from .problems import did_you_mean

NOT_A = {
    "int": "is not a whole number",
    "float": "is not a number",
    "bool": "is neither true nor false",
    "string": "is not text; put it in quotes",
    "list": "is not a list",
    "tuple": "is not a list",
    "set": "is not a list",
    "frozen_set": "is not a list",
    "dict": "is not a mapping of keys to values",
    "mapping": "is not a mapping of keys to values",
    "model": "is not a mapping of keys to values",
    "path": "is not a path",
    "decimal": "is not a number",
    "date": "is not a date",
    "datetime": "is not a date with time",
    "is_instance_of": "is of the wrong kind",
}
LIMITS = {
    "greater_than": ("gt", "greater than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
    "multiple_of": ("multiple_of", "a multiple of"),
}


def shown(value: Any) -> str:
    """A value as it is written, shortened if it is long."""
    match value:
        case None:
            return "an empty value"
        case bool():
            return "true" if value else "false"
        case float() if math.isfinite(value):
            text = f"{value:g}"
        case Mapping():
            text = "a mapping"
        case list() | tuple() if not all(isinstance(entry, str | int | float | None) for entry in value):
            text = "a list"
        case _:
            text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def in_words(error: ErrorDetails) -> str:
    """One sentence for one of pydantic's errors, beginning with the value."""
    kind, value, context = error["type"], shown(error["input"]), error.get("ctx", {})
    if kind in LIMITS:
        name, words = LIMITS[kind]
        return f"must be {words} {context[name]:g}, not {value}"
    match kind:
        case "value_error" | "assertion_error":
            return str(context.get("error") or error["msg"])
        case "literal_error" | "enum":
            expected = str(context.get("expected", "")).replace("'", "")
            choices = [word for part in expected.split(", ") for word in part.split(" or ")]
            return f"{value} is not one of {', '.join(choices)}{_nearest(error['input'], choices)}"
        case "model_type" | "model_attributes_type" if context.get("class_name") == "Pipeline":
            return f"{value} is not a list of steps"
        case "finite_number":
            return f"{value} is not a finite number"
        case "int_from_float":
            return f"{value} is not a whole number"
        case "string_pattern_mismatch":
            return f"{value} does not have the form {context.get('pattern')}"
        case "too_short" | "string_too_short":
            least = context.get("min_length", 1)
            return "must not be empty" if least == 1 else f"needs at least {least} entries"
        case "too_long" | "string_too_long":
            return f"has more than {context.get('max_length')} entries"
    for suffix in ("_type", "_parsing", "_attributes_type", "_from_float", "_parsing_size"):
        if kind.endswith(suffix) and (words := NOT_A.get(kind.removesuffix(suffix))):
            return f"{value} {words}"
    if words := NOT_A.get(kind):
        return f"{value} {words}"
    message = error["msg"].removeprefix("Value error, ")
    return f"{value}: {message[:1].lower()}{message[1:]}"


def _nearest(value: Any, choices: list[str]) -> str:
    if not isinstance(value, str):
        return ""
    hint = did_you_mean(value, choices)
    return hint if hint.startswith(", did") else ""
