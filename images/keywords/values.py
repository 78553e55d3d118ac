"""What the values of header cards mean: numbers, angles, times, whatever way they are written."""

import math
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..header import card_value
from .table import IMAGE_TYPES, TIME_OF_DAY
from .times import parse_time

if TYPE_CHECKING:
    from astropy.io import fits


def is_blank(value: Any) -> bool:
    """Whether a card's value says nothing."""
    return not value.strip() if isinstance(value, str) else value is None


def number(value: Any) -> float:
    """A finite number, also when it is written as text.

    Raises
    ------
    ValueError
        It is none.
    """
    if isinstance(value, bool):
        raise ValueError("it is a truth value, not a number")
    try:
        found = float(value)
    except (TypeError, ValueError):
        raise ValueError("it is not a number") from None
    if not math.isfinite(found):
        raise ValueError("it is not a finite number")
    return found


def _number(header: "fits.Header", card: str) -> float:
    return number(card_value(header, card))


def _text(header: "fits.Header", card: str) -> str:
    return str(card_value(header, card)).strip()


def normal_image_type(text: str) -> str:
    """The kind of exposure in lower case: bias, dark, flat, skyflat, object, or what the header says.

    >>> normal_image_type("Light Frame")
    'object'
    """
    word = re.sub(r"[\s_-]+", " ", text.strip().lower())
    word = word.removesuffix(" frame").strip()
    return IMAGE_TYPES.get(word, word)


def _image_type(header: "fits.Header", card: str) -> str:
    return normal_image_type(str(card_value(header, card)))


def _binning(header: "fits.Header", card: str) -> tuple[int, int]:
    if "+" in card:
        factors = [number(card_value(header, key)) for key in card.split("+")]
    else:
        value = card_value(header, card)
        words = re.findall(r"[\d.]+", value) if isinstance(value, str) else [value]
        factors = [number(word) for word in (words * 2 if len(words) == 1 else words)]
    if len(factors) != 2 or any(factor < 1 or factor != int(factor) for factor in factors):
        raise ValueError("binning is two whole numbers, like 2 2 or 2x2")
    return int(factors[0]), int(factors[1])


def _longitude(header: "fits.Header", card: str) -> float:
    """Degrees. Sexagesimal text is in hours unless too large; a number is in degrees unless its comment says hours."""
    value = card_value(header, card)
    parts = _sexagesimal(value)
    if parts is not None:
        return parts * 15 if abs(parts) < 24 else parts
    return number(value) * (15 if _says_hours(header, card) else 1)


def _latitude(header: "fits.Header", card: str) -> float:
    value = card_value(header, card)
    parts = _sexagesimal(value)
    degrees = number(value) if parts is None else parts
    if abs(degrees) > 90:
        raise ValueError("it is beyond the pole")
    return degrees


SEXAGESIMAL = re.compile(r"([+-]?)\s*(\d+)\s*[:hd°\s]\s*(\d+(?:\.\d*)?)(?:\s*[:m'\s]\s*(\d+(?:\.\d*)?)\s*[s\"]?)?")


def _sexagesimal(value: Any) -> float | None:
    """Hours or degrees from ``12:34:56.7``, ``12 34 56.7`` or ``12h34m56.7s``; None if it is not written so."""
    if not isinstance(value, str) or (found := SEXAGESIMAL.fullmatch(value.strip())) is None:
        return None
    sign, whole, minutes, seconds = found.groups()
    if float(minutes) >= 60 or float(seconds or 0) > 60:
        raise ValueError("minutes and seconds go up to 60")
    magnitude = int(whole) + float(minutes) / 60 + float(seconds or 0) / 3600
    return -magnitude if sign == "-" else magnitude


HOURS = re.compile(r"\[(h|hr|hrs|hours?)\]|\bin hours|^\s*hours?\b|decimal hours", re.I)


def _says_hours(header: "fits.Header", card: str) -> bool:
    return HOURS.search(header.comments[card]) is not None


def _temperature(header: "fits.Header", card: str) -> float:
    value = number(card_value(header, card))
    kelvin = value > 150 or re.search(r"kelvin|\[K\]", header.comments[card], re.I)
    return value - 273.15 if kelvin else value


def _time(header: "fits.Header", card: str) -> datetime:
    companions = [text for key in TIME_OF_DAY if isinstance(text := card_value(header, key), str) and text.strip()]
    modified = [value for key in ("MJD-OBS", "MJD_OBS", "MJD-BEG") if not is_blank(value := card_value(header, key))]
    return parse_time(
        card_value(header, card),
        is_julian=card == "JD",
        time_of_day=companions[0] if companions else None,
        modified_julian_date=modified[0] if modified else None,
        scale=str(card_value(header, "TIMESYS") or "UTC"),
    )


READERS = {
    "number": _number,
    "text": _text,
    "image type": _image_type,
    "time": _time,
    "binning": _binning,
    "longitude": _longitude,
    "latitude": _latitude,
    "temperature": _temperature,
}
