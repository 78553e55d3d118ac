"""Look at files that have appeared: are they complete, and what do their headers say. Runs in the clerk."""

import errno
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

from ....images import Header, Image, ImageError
from ....images.io.content import HEAD
from ....images.io.fits.header import image_header
from ....images.io.fits.reader import data_unit
from ....images.io.registry import FITS, format_by_content, format_by_suffix
from ....images.keywords import extra_keywords, header_value
from ...conditions import Condition
from ...night.frame_types import FrameRule, classify, frame_rules, why_unknown
from .closed import is_closed
from .completeness import Hostile, NotWhole, check_whole, open_regular, whole_fits

LARGEST_UNPACKED = 4 * 2**30
"""Bytes that a packed file may unpack to, unless something else is asked for."""

FACTS = (
    "object_name",
    "filter",
    "exposure_time",
    "observation_time",
    "image_type",
    "instrument",
    "telescope",
    "binning",
    "readout_mode",
    "temperature",
)
"""Properties from the header that are kept with the job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """What a look at a file has shown.

    Attributes
    ----------
    path : Path
        The file.
    exists : bool
        Whether it was there.
    size, mtime_ns : int
        Its identity when it was looked at [byte], [ns since 1970].
    whole : bool or None
        Whether it is complete by what its format says; None if that cannot be told.
    closed : bool or None
        Whether nobody has it open for writing; None if that cannot be told.
    why : str
        Why it is not whole, or what is wrong with it.
    hostile : bool
        It must not be read: it would fill the memory.
    format : str
        What its content shows it to be, else what its name announces; empty if neither is known.
    facts : mapping
        JSON data: the properties of :data:`FACTS` that the header has; ``size`` (rows, columns); ``instrument``;
        ``night`` (date on which it began, empty if the header has no time); ``choice`` (index of the first choice of a
        chain that holds, or None); ``unreadable`` (why, where there is no header to be read); and, if somebody asks,
        ``frame_type`` and ``why_unknown``, of which one is empty.
    """

    path: Path
    exists: bool = True
    size: int = 0
    mtime_ns: int = 0
    whole: bool | None = None
    closed: bool | None = None
    why: str = ""
    hostile: bool = False
    format: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def identity(self) -> tuple[int, int]:
        """Size [byte] and time of change [ns since 1970]."""
        return self.size, self.mtime_ns

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data; :meth:`from_json` makes the same of it."""
        return {name: getattr(self, name) for name in self.__slots__} | {"path": str(self.path)}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """What :meth:`to_json` described."""
        return cls(**{**plain, "path": Path(plain["path"])})


@dataclass(frozen=True, slots=True)
class Rules:
    """What to look for, as plain JSON data.

    Attributes
    ----------
    choose : sequence of mapping or None
        Conditions on the header, of which the first that holds counts; None always holds.
    frame_types : sequence of mapping or None
        Rules of the configuration that tell raw frames apart; they go before the built-in ones. None: nobody asks.
    noon : float
        Hour (UTC) at which a new night begins.
    keywords : mapping
        Further header cards of properties, as a chain states them.
    read : mapping
        Options of the reader, as a chain states them: they say which part of a file is the image.
    largest : int
        Bytes that a packed file may unpack to.
    """

    choose: Sequence[Mapping[str, Any] | None] = ()
    frame_types: Sequence[Mapping[str, Any]] | None = ()
    noon: float = 12.0
    keywords: Mapping[str, Any] = field(default_factory=dict)
    read: Mapping[str, Any] = field(default_factory=dict)
    largest: int = LARGEST_UNPACKED


def inspect_files(paths: Sequence[str], **rules: Any) -> list[dict[str, Any]]:
    """Look at files. Whatever is wrong with one of them is said in its answer. Pixels are not read.

    Parameters
    ----------
    paths : sequence of str
        The files.
    **rules
        What to look for: see :class:`Rules`.

    Returns
    -------
    list of dict
        For each file what :meth:`Inspected.to_json` gives.
    """
    look = _look(json.dumps(rules))
    with extra_keywords(look.rules.keywords):
        return [_inspected(Path(path), look).to_json() for path in paths]


@dataclass(frozen=True, slots=True)
class _Look:
    """Rules, ready to be used."""

    rules: Rules
    conditions: tuple[Condition | None, ...]
    frames: tuple[FrameRule, ...] | None
    extension: int | str | tuple[str, int] | None


@lru_cache(maxsize=32)
def _look(text: str) -> _Look:
    rules = Rules(**json.loads(text))
    conditions = tuple(None if choice is None else Condition.model_validate(choice) for choice in rules.choose)
    extension = None
    if parts := {name: rules.read[name] for name in ("layout", "data") if name in rules.read}:
        from ....images.io.fits.layout import fits_layout

        extension = fits_layout(**parts).data.extension
    frames = None if rules.frame_types is None else frame_rules(rules.frame_types)
    return _Look(rules, conditions, frames, extension)


def _inspected(path: Path, look: _Look) -> Inspected:
    try:
        descriptor = open_regular(path)
    except (OSError, ImageError) as error:
        return _unreadable(path, error)
    try:
        before = os.fstat(descriptor)
        closed = is_closed(descriptor)
        found = _looked_at(path, before.st_size, look)
        after = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        found = {"whole": False, "why": "it is being written"}
    return Inspected(path=path, size=after.st_size, mtime_ns=after.st_mtime_ns, closed=closed, **found)


def _unreadable(path: Path, error: Exception) -> Inspected:
    """A file that may be read later, when somebody has changed its permissions, is not whole yet."""
    if getattr(error, "errno", None) in (errno.ENOENT, errno.ENOTDIR):
        return Inspected(path=path, exists=False, why="there is no such file")
    why = _in_words(error, path)
    try:
        facts = path.stat()
    except OSError:
        return Inspected(path=path, whole=False, why=why)
    return Inspected(path=path, size=facts.st_size, mtime_ns=facts.st_mtime_ns, whole=False, why=why)


def _looked_at(path: Path, size: int, look: _Look) -> dict[str, Any]:
    if size == 0:
        return {"whole": False, "why": "the file is empty"}
    form = ""
    try:
        form = _format(path)
        header, shape, whole = Header(), None, None
        if form == FITS.name:
            header, shape, whole = _fits_header(path, look)
        else:
            whole = check_whole(path, look.rules.largest)
        return {"whole": whole, "format": form, "facts": _told_by(header, shape, look)}
    except NotWhole as error:
        return {"whole": False, "why": _in_words(error, path), "format": form}
    except Hostile as error:
        return {"whole": True, "why": _in_words(error, path), "hostile": True, "format": form}
    except (ImageError, OSError) as error:
        return _without_header(_in_words(error, path), form, look)
    except Exception as error:  # noqa: BLE001 - one file that nobody has thought of must not hide the others
        return _without_header(f"{type(error).__name__}: {error}", form, look)


def _without_header(why: str, form: str, look: _Look) -> dict[str, Any]:
    """What is said of a file whose header cannot be read: only a choice without conditions takes it."""
    choice = next((index for index, condition in enumerate(look.conditions) if condition is None), None)
    return {"why": why, "format": form, "facts": {"choice": choice, "unreadable": why}}


def _format(path: Path) -> str:
    """Name of the format that the content shows, else that which the name announces."""
    with path.open("rb", buffering=0) as stream:
        found = format_by_content(stream.read(HEAD))
    if found is None and (announced := format_by_suffix(path)) is not None:
        return announced[0].name
    return "" if found is None else found.name


def _in_words(error: Exception, path: Path) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read: {error.strerror}"
    return str(error).removeprefix(f"{path}: ")


def _fits_header(path: Path, look: _Look) -> tuple[Header, tuple[int, ...] | None, bool | None]:
    """The header of the image that the reader would take, and its shape; whole is None if there is no image (yet)."""
    with whole_fits(path, look.rules.largest) as (content, hdus):
        try:
            unit = data_unit(content, hdus, look.extension)
        except ImageError:
            return image_header(hdus[0]), None, None
        header = image_header(unit, hdus[0])
    header["NAXIS"] = len(unit.shape)
    for axis, length in enumerate(reversed(unit.shape), start=1):
        header[f"NAXIS{axis}"] = length
    return header, unit.shape, True


def _told_by(header: Header, shape: tuple[int, ...] | None, look: _Look) -> dict[str, Any]:
    values = {name: value for name in FACTS if (value := _value(header, name)) is not None}
    time = values.get("observation_time")
    return {
        **{name: _plain(value) for name, value in values.items()},
        **({} if shape is None else {"size": list(shape)}),
        "instrument": str(values.get("instrument", "")),
        **({} if look.frames is None else _frame_type(header, look.frames)),
        "night": "" if time is None else (time - timedelta(hours=look.rules.noon)).date().isoformat(),
        "choice": _choice(header, look.conditions),
    }


def _frame_type(header: Header, rules: Sequence[FrameRule]) -> dict[str, str]:
    kind = classify(header, rules)
    if kind is None:
        return {"frame_type": "", "why_unknown": why_unknown(header, rules)}
    return {"frame_type": str(kind), "why_unknown": ""}


def _value(header: Header, name: str) -> Any:
    try:
        return header_value(header, name)
    except ImageError:  # the step that needs it says what is wrong with it
        return None


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return value if isinstance(value, bool | int | float | str) else str(value)


def _choice(header: Header, conditions: Sequence[Condition | None]) -> int | None:
    image = Image(header=header)
    return next((index for index, condition in enumerate(conditions) if _holds(condition, image)), None)


def _holds(condition: Condition | None, image: Image) -> bool:
    try:
        return condition is None or not condition.why_not(image)
    except ImageError:  # the value of a card makes no sense: then it does not fulfil a test either
        return False


def spelled(name: str) -> str:
    """A file's name for people: what is not UTF-8 or cannot be printed is replaced."""
    readable = name.encode(errors="surrogateescape").decode(errors="replace")
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in readable)
