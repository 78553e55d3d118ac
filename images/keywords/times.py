"""Times as headers write them."""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

TIMESTAMP = re.compile(
    r"(?P<year>\d{4})[-/](?P<month>\d{1,2})[-/](?P<day>\d{1,2})"
    r"(?:[T\s]\s*(?P<time>\d{1,2}:\d{1,2}(?::\d{1,2}(?:\.\d*)?)?)\s*(?P<zone>Z|UTC?|[+-]\d{2}:?\d{2})?)?",
    re.I,
)
OLD_DATE = re.compile(r"(?P<day>\d{1,2})/(?P<month>\d{1,2})/(?P<year>\d{2}|\d{4})")
TIME = re.compile(r"(\d{1,2}):(\d{1,2})(?::(\d{1,2})(\.\d*)?)?\s*(?:Z|UTC?)?", re.I)
EPOCHS = {"MJD": datetime(1858, 11, 17, tzinfo=UTC), "JD": datetime(1858, 11, 16, 12, tzinfo=UTC)}
SCALES = {"TAI", "TT", "TDB", "TCG", "TCB", "ET", "TDT", "IAT"}


def parse_time(
    value: Any,
    *,
    is_julian: bool = False,
    time_of_day: str | None = None,
    modified_julian_date: Any = None,
    scale: str = "UTC",
) -> datetime:
    """A moment in UTC from a header's value.

    Parameters
    ----------
    value : str or float
        ``2017-12-20T01:33:43.3``, with a time zone or without; a date alone, also ``20/12/97``; or a number of days,
        which is a modified Julian date (a Julian date from 2 000 000 on).
    is_julian : bool
        Numbers are Julian dates, whatever their size.
    time_of_day : str
        Time that belongs to a date that stands alone, ``01:33:43.3``, or a complete time stamp.
    modified_julian_date : float
        Used for a date that stands alone without a time of day, if it is of the same date.
    scale : str
        Time scale of the value: UTC, TAI, TT, TDB …

    Returns
    -------
    datetime
        With time zone UTC; a leap second counts as the second after it. A date alone is its midnight.

    Raises
    ------
    ValueError
        The value is no time.
    """
    if _is_number(value):
        moment = _days(float(value), is_julian)
    else:
        moment = _stamp(str(value), time_of_day, modified_julian_date)
    return _to_utc(moment, scale.strip().upper())


def _is_number(value: Any) -> bool:
    if isinstance(value, int | float):
        return not isinstance(value, bool)
    return isinstance(value, str) and re.fullmatch(r"\s*\d{4,7}(\.\d*)?\s*", value) is not None


def _days(days: float, is_julian: bool) -> datetime:
    reference, offset = ("JD", 2400000.0) if is_julian or days > 2_000_000 else ("MJD", 0.0)
    try:
        return EPOCHS[reference] + timedelta(days=days - offset)
    except (OverflowError, ValueError):
        raise ValueError("it is not a date") from None


def _stamp(text: str, time_of_day: str | None, modified_julian_date: Any) -> datetime:
    text = text.strip()
    found = TIMESTAMP.fullmatch(text) or OLD_DATE.fullmatch(text)
    if found is None:
        raise ValueError("it is not a time like 2017-12-20T01:33:43.3")
    parts = found.groupdict()
    year = int(parts["year"]) + (1900 if len(parts["year"]) == 2 else 0)
    try:
        midnight = datetime(year, int(parts["month"]), int(parts["day"]), tzinfo=UTC)
    except ValueError:
        raise ValueError("there is no such date") from None
    if parts.get("time"):
        return (midnight + _since_midnight(parts["time"])).replace(tzinfo=_zone(parts["zone"])).astimezone(UTC)
    if time_of_day and TIMESTAMP.fullmatch(time_of_day.strip()):
        return _stamp(time_of_day, None, None)
    if time_of_day and TIME.fullmatch(time_of_day.strip()):
        return midnight + _since_midnight(time_of_day.strip())
    if modified_julian_date is not None and _is_number(modified_julian_date):
        moment = _days(float(modified_julian_date), False)
        if moment.date() == midnight.date():
            return moment
    return midnight


def _since_midnight(text: str) -> timedelta:
    found = TIME.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a time of day")
    hours, minutes, seconds = (int(part or 0) for part in found.groups()[:3])
    if hours > 24 or minutes > 59 or seconds > 60:
        raise ValueError("there is no such time of day")
    microseconds = int(((found[4] or ".")[1:] + "000000")[:6])
    return timedelta(hours=hours, minutes=minutes, seconds=seconds, microseconds=microseconds)


def _zone(text: str | None) -> timezone:
    if not text or text.upper() in ("Z", "UT", "UTC"):
        return UTC
    sign = -1 if text[0] == "-" else 1
    hours, minutes = int(text[1:3]), int(text[-2:])
    if hours > 14 or minutes > 59:
        raise ValueError(f"there is no time zone {text}")
    return timezone(sign * timedelta(hours=hours, minutes=minutes))


def _to_utc(moment: datetime, scale: str) -> datetime:
    if scale not in SCALES:
        return moment
    from astropy.time import Time

    name = {"ET": "tt", "TDT": "tt", "IAT": "tai"}.get(scale, scale.lower())
    return Time(moment.replace(tzinfo=None), scale=name).utc.to_datetime(timezone=UTC)
