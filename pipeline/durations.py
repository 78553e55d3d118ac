"""Times as people write them: ``2 s``, ``500 ms``, ``1.5 min``, or a number of seconds."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

SECONDS = {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(value: Any) -> Any:
    """Seconds from text with a unit; anything else is returned as it is.

    Raises
    ------
    ValueError
        The text is not a number with a unit.
    """
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)\s*", value)
    if not match or match[2] not in ("", *SECONDS):
        raise ValueError(f"{value!r} is not a duration; write for example '2 s', '500 ms', '5 min', '1 h'")
    return float(match[1]) * SECONDS[match[2] or "s"]


Duration = Annotated[
    float,
    Field(ge=0, allow_inf_nan=False),
    BeforeValidator(seconds),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0},
                {"type": "string", "pattern": r"^\s*(\d+(\.\d*)?|\.\d+)\s*(ms|s|min|h|d)?\s*$"},
            ],
            "description": "a number of seconds, or text with a unit: ms, s, min, h, d",
        }
    ),
]
"""Seconds [s]; text with a unit is understood."""
