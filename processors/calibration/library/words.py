"""How the library speaks of masters, keys and times."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from ....images.keywords import KEYWORDS
from .entry import Kind

PLURALS: Mapping[Kind, str] = MappingProxyType(
    {"bias": "biases", "dark": "darks", "flat": "flats", "bad_pixels": "bad-pixel maps"}
)
SINGULARS: Mapping[Kind, str] = MappingProxyType({"bad_pixels": "bad-pixel map"})


def words_for(key: str) -> str:
    """A key as a person says it."""
    return key.replace("_", " ") if key in KEYWORDS else key


def as_text(key: str, value: Any) -> str:
    """A value of a key, with its unit."""
    match value:
        case None:
            return "not told"
        case tuple():
            return "x".join(str(part) for part in value)
        case float():
            unit = KEYWORDS[key].unit if key in KEYWORDS else ""
            return f"{value:.4g} {unit}".rstrip()
    return str(value)


def days(age: float) -> str:
    """A span of time [day] in words."""
    age = abs(age)
    if age >= 1:
        amount = f"{age:.3g}" if age < 100 else f"{age:.0f}"
        return f"{amount} day" if amount == "1" else f"{amount} days"
    hours = age * 24
    return f"{hours:.2g} h" if hours >= 1 else f"{hours * 60:.2g} min"


def plural(count: int, kind: Kind) -> str:
    """``1 flat``, ``3 flats``."""
    return f"{count} {PLURALS[kind]}" if count != 1 else f"1 {SINGULARS.get(kind, kind)}"


def listed(words: Sequence[str], most: int = 5) -> str:
    """The first of some words, and a sign that there are more."""
    shown = ", ".join(words[:most])
    return f"{shown} …" if len(words) > most else shown


def status_words(status: str, count: int) -> str:
    """Why masters of a status are not used."""
    if status == "rejected":
        return "is rejected" if count == 1 else "are rejected"
    return "is only a candidate" if count == 1 else "are only candidates"
