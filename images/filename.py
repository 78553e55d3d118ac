"""File names from headers: ``{OBJECT}-{DATE-OBS|date}-{FILTER}.fits``.

A placeholder is ``{KEY}``, ``{KEY|method}`` or ``{KEY|method:parameter}``; a method may have several parameters,
separated by colons.

======================================  =============================================================================
``{OBJECT}``                            the value of the card
``{OBJECT|lower}``, ``{OBJECT|upper}``  in lower, upper case
``{DATE-OBS|date}``, ``|date:_``        2019-03-26, 2019_03_26; in UTC
``{DATE-OBS|time}``, ``|time:``         19-46-23, 194623; in UTC
``{FILTER|filter}``                     ``-R`` for exposures of the sky (by IMAGETYP), nothing for all others
``{FILTER|filter:OBSTYPE:_}``           the same by OBSTYPE, ``_R``
``{IMAGETYP|type}``                     b for bias, d for dark, f for skyflat, e for all else
``{EXPTIME|exptime}``                   10, 0.5; "unknown" if the card is absent
``{EXPTIME|string:05.1f}``              as the C function printf writes it: 010.0
======================================  =============================================================================

What a header says can only become part of a name, never of a path: a slash in a value does not make a folder.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import ImageError
from .header import card_value
from .keywords import header_value, normal_image_type, number, parse_time

if TYPE_CHECKING:
    from astropy.io import fits

PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
KEY = re.compile(r"[A-Za-z0-9_-]+( [A-Za-z0-9_-]+)*")
PRINTF = re.compile(r"[-+ #0]*\d{0,3}(\.\d{1,2})?[sdifeEgGxXo]")
LONGEST_VALUE = 200
LONGEST_NAME = 255
SKY_EXPOSURES = ("object", "flat", "skyflat")


class MissingKeyError(ImageError, KeyError):
    """A header card that a file name needs is absent or blank."""

    def __str__(self) -> str:
        return str(self.args[0])


class _Source:
    """Where the values of placeholders come from: given ones first, then the header."""

    def __init__(self, header: "fits.Header", label: str, extra: Mapping[str, Any]) -> None:
        self.header = header
        self.label = label
        self.extra = {key.upper(): value for key, value in extra.items()}

    def find(self, key: str) -> Any:
        value = self.extra.get(key.upper())
        value = card_value(self.header, key) if value is None else value
        blank = value is None or (isinstance(value, str) and not value.strip())
        return None if blank else value

    def get(self, key: str) -> Any:
        value = self.find(key)
        if value is None:
            raise MissingKeyError(f"{self.label} has no header card {key}, which the file name needs")
        return value


def _plain(source: _Source, key: str) -> str:
    return safe_text(source.get(key))


def _lower(source: _Source, key: str) -> str:
    return safe_text(source.get(key)).lower()


def _upper(source: _Source, key: str) -> str:
    return safe_text(source.get(key)).upper()


def _moment(source: _Source, key: str) -> Any:
    value = source.get(key)
    try:
        if key.upper() == "DATE-OBS" and "DATE-OBS" not in source.extra:
            return header_value(source.header, "observation_time", label=source.label)
        return parse_time(value)
    except ValueError as error:
        raise ImageError(f"{source.label}: header card {key} = {value!r} is no time for a file name: {error}") from None


def _date(source: _Source, key: str, delimiter: str = "-") -> str:
    return _moment(source, key).strftime(f"%Y{delimiter}%m{delimiter}%d")


def _time(source: _Source, key: str, delimiter: str = "-") -> str:
    return _moment(source, key).strftime(f"%H{delimiter}%M{delimiter}%S")


def _filter(source: _Source, key: str, type_key: str = "IMAGETYP", prefix: str = "-") -> str:
    if normal_image_type(str(source.get(type_key))) not in SKY_EXPOSURES:
        return ""
    return prefix + safe_text(source.get(key))


def _type(source: _Source, key: str) -> str:
    return {"bias": "b", "dark": "d", "skyflat": "f"}.get(normal_image_type(str(source.get(key))), "e")


def _string(source: _Source, key: str, layout: str = "s") -> str:
    value = source.get(key)
    if layout[-1] == "s":
        return f"%{layout}" % safe_text(value)
    try:
        found = number(value)
    except ValueError as error:
        raise ImageError(
            f"{source.label}: header card {key} = {value!r} cannot be written as %{layout}: {error}"
        ) from None
    return f"%{layout}" % (int(found) if layout[-1] in "dixXo" else found)


def _exptime(source: _Source, key: str) -> str:
    value = source.find(key)
    if value is None:
        return "unknown"
    try:
        return f"{Decimal(str(number(value))).normalize():f}"
    except ValueError as error:
        raise ImageError(f"{source.label}: header card {key} = {value!r} is no exposure time: {error}") from None


METHODS: dict[str, tuple[Callable[..., str], int]] = {
    "lower": (_lower, 0),
    "upper": (_upper, 0),
    "time": (_time, 1),
    "date": (_date, 1),
    "filter": (_filter, 2),
    "type": (_type, 0),
    "string": (_string, 1),
    "exptime": (_exptime, 0),
}
"""Methods and how many parameters each may have."""


def format_filename(
    pattern: str | Iterable[str],
    header: "fits.Header",
    *,
    label: str = "image",
    extra: Mapping[str, Any] | None = None,
) -> str:
    """Fill a pattern with the values of a header.

    Parameters
    ----------
    pattern : str or sequence of str
        One pattern, or several: the first one whose keys are all there is used. Slashes in it make folders.
    header : astropy.io.fits.Header
        Where values come from.
    label : str
        What messages call the image.
    extra : mapping
        More values, which go before the header's.

    Returns
    -------
    str
        A relative name unless the pattern itself is absolute. No part of it is longer than 255 bytes.

    Raises
    ------
    MissingKeyError
        A key is absent or blank; it is an ImageError and a KeyError.
    ImageError
        A value does not suit the method.
    ValueError
        The pattern is malformed.
    """
    patterns = [pattern] if isinstance(pattern, str) else list(pattern)
    for each in patterns or [""]:
        check_pattern(each)
    source = _Source(header, label, extra or {})
    missing: MissingKeyError | None = None
    for each in patterns:
        try:
            filled = PLACEHOLDER.sub(lambda found: _fill(found[1], source), each)
        except MissingKeyError as error:
            missing = missing or error
            continue
        return "/".join(_shortened(part, LONGEST_NAME) for part in filled.split("/"))
    raise missing or ValueError("there is no file name pattern")


def check_pattern(pattern: str | Iterable[str]) -> None:
    """See whether a pattern can be filled at all, before there is an image.

    Raises
    ------
    ValueError
        It is malformed: the message says where, and what it could be.
    """
    if not isinstance(pattern, str):
        for each in pattern:
            check_pattern(each)
        return
    if not pattern.strip() or pattern.endswith("/"):
        raise ValueError(f"file name pattern {pattern!r} names no file")
    if "\0" in pattern or "{" in (rest := PLACEHOLDER.sub("", pattern)) or "}" in rest:
        raise ValueError(f"file name pattern {pattern!r}: a brace is not closed, not opened, or inside another")
    for found in PLACEHOLDER.finditer(pattern):
        _check_placeholder(found[1], pattern)


def _check_placeholder(content: str, pattern: str) -> None:
    key, method, parameters = _split(content)
    if not KEY.fullmatch(key):
        raise ValueError(f"file name pattern {pattern!r}: {{{content}}} has no valid header key")
    if method is None:
        return
    if method not in METHODS:
        raise ValueError(f"file name pattern {pattern!r}: unknown method {method!r}; there are {', '.join(METHODS)}")
    most = METHODS[method][1]
    if len(parameters) > most:
        raise ValueError(
            f"file name pattern {pattern!r}: {method} takes {most or 'no'} parameter(s), not {len(parameters)}"
        )
    if method == "string" and parameters and not PRINTF.fullmatch(parameters[0]):
        raise ValueError(f"file name pattern {pattern!r}: {parameters[0]!r} is no format such as 05.1f, 04d or 10s")
    if method == "filter" and parameters and not KEY.fullmatch(parameters[0]):
        raise ValueError(
            f"file name pattern {pattern!r}: filter's first parameter is a header key, not {parameters[0]!r}"
        )
    if any(mark in parameter for parameter in parameters for mark in "/\\|%"):
        raise ValueError(f"file name pattern {pattern!r}: a parameter contains one of / \\ | %")


def _split(content: str) -> tuple[str, str | None, list[str]]:
    key, bar, rest = content.partition("|")
    if not bar:
        return key.strip(), None, []
    method, *parameters = rest.split(":")
    return key.strip(), method.strip(), parameters


def _fill(content: str, source: _Source) -> str:
    key, method, parameters = _split(content)
    return _plain(source, key) if method is None else METHODS[method][0](source, key, *parameters)


def safe_text(value: Any) -> str:
    """A header's value as part of a file name: no separators, no control characters, no leading dots or dashes.

    A value of which nothing remains becomes an underscore; a very long one is cut and marked with a checksum.
    """
    text = str(value).strip()
    if not isinstance(value, str):
        return re.sub(r"[/\\\x00-\x1f\x7f]", "_", text)
    text = re.sub(r"[/\\\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\ud800-\udfff]", "_", text)
    text = re.sub(r"\.{2,}", ".", text).lstrip(".-").strip()
    return _shortened(text or "_", LONGEST_VALUE)


def _shortened(text: str, longest: int) -> str:
    """At most so many bytes; what is cut is replaced by a checksum, and the suffix stays."""
    if len(text.encode("utf-8", "replace")) <= longest:
        return text
    stem, dot, suffix = text.rpartition(".")
    if not dot or len(suffix) > 16:
        stem, dot, suffix = text, "", ""
    mark = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:8]
    room = longest - len(f"~{mark}{dot}{suffix}".encode())
    return f"{stem.encode('utf-8', 'replace')[:room].decode('utf-8', 'ignore')}~{mark}{dot}{suffix}"


def safe_join(folder: str | Path, name: str | Path) -> Path:
    """The path of a file below a folder.

    Parameters
    ----------
    folder : path
        It need not exist yet.
    name : str
        Relative; may contain folders.

    Raises
    ------
    ImageError
        The path would lie outside the folder, also through symbolic links.
    """
    base = Path(folder)
    text = str(name)
    if not text.strip() or "\0" in text:
        raise ImageError(f"{text!r} is no file name")
    path = base / text
    inside = path.resolve()
    if not inside.is_relative_to(base.resolve()) or inside == base.resolve():
        raise ImageError(f"the file name {text!r} would leave the folder {base}")
    return path
