"""What the library knows about one file: what kind of master it is, and what its header says."""

import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args

from astropy.io import fits

from ....images import Header, ImageError
from ....images.header import card_value
from ....images.io import read_fits_header
from ....images.keywords import KEYWORDS, header_value, keyword_named, normal_image_type

Kind = Literal["bias", "dark", "flat", "bad_pixels"]
Status = Literal["accepted", "candidate", "rejected"]

KINDS: tuple[Kind, ...] = get_args(Kind)
STATUSES: tuple[Status, ...] = get_args(Status)

COMBINED = re.compile(r"(?:master|combined|super)[\s_-]*|[\s_-]*master\Z")
"""What makes the type of a raw frame that of a master."""

WORDS: Mapping[str, Kind] = {
    "bias": "bias",
    "dark": "dark",
    "dark current": "dark",
    "flat": "flat",
    "skyflat": "flat",
    "bad pixels": "bad_pixels",
    "bad pixel map": "bad_pixels",
    "bad pixel mask": "bad_pixels",
    "badpixels": "bad_pixels",
    "bpm": "bad_pixels",
}


@dataclass(frozen=True, slots=True)
class MasterEntry:
    """One file of a library.

    Attributes
    ----------
    path : Path
        The file.
    kind : {"bias", "dark", "flat", "bad_pixels"} or None
        What it is; None: no master.
    status : {"accepted", "candidate", "rejected"}
        Whether it may be used: card MSTATUS. A master without that card was put there by somebody who trusts it.
    shape : (int, int)
        Rows and columns (H, W) [px].
    unit : str
        Unit of its pixels, in small letters.
    combined : int or None
        Number of raw frames that it is made from: card NCOMBINE.
    properties : mapping
        What its header says, by the names of :data:`etendue.images.keywords.KEYWORDS`.
    problems : mapping
        Properties whose cards make no sense, and why. The empty name stands for the whole file.
    """

    path: Path
    kind: Kind | None = None
    status: Status = "accepted"
    shape: tuple[int, ...] = ()
    unit: str = "adu"
    combined: int | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    packed_header: bytes = field(default=b"", repr=False)

    @property
    def time(self) -> datetime | None:
        """When it was taken, in UTC: the mean of its raw frames."""
        return self.properties.get("observation_time")

    @property
    def exposure_time(self) -> float | None:
        """Exposure time of its raw frames [s]."""
        return self.properties.get("exposure_time")

    @property
    def filter(self) -> str | None:
        """Name of the filter."""
        return self.properties.get("filter")

    @property
    def is_rate(self) -> bool:
        """Whether its pixels are per second: a dark current."""
        return self.unit.replace(" ", "").endswith("/s")

    @property
    def header(self) -> Header:
        """Its header."""
        return Header.fromstring(zlib.decompress(self.packed_header).decode())  # type: ignore[return-value]

    def value(self, key: str) -> Any:
        """A property, or the value of a header card; None if the header does not say.

        Raises
        ------
        ImageError
            The card's value makes no sense.
        """
        if key not in KEYWORDS:
            return plain(card_value(self.header, key))
        if keyword_named(key).cards != KEYWORDS[key].cards:  # this context understands more cards
            return header_value(self.header, key, label=str(self.path))
        if key in self.problems:
            raise ImageError(f"{self.path}: {self.problems[key]}")
        return self.properties.get(key)


def plain(value: Any) -> Any:
    """A card's value; text without blanks around it, None if nothing remains."""
    return (value.strip() or None) if isinstance(value, str) else value


def read_entry(path: Path) -> MasterEntry:
    """What a file is. A file that cannot be read is an entry with a problem.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    """
    try:
        header = read_fits_header(path)
    except FileNotFoundError:
        raise
    except (ImageError, OSError) as error:
        return MasterEntry(path, problems={"": str(error)})
    return entry_of(path, header)


def entry_of(path: Path, header: fits.Header) -> MasterEntry:
    """The entry of a file with this header."""
    properties: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for name in KEYWORDS:
        try:
            value = header_value(header, name, label="the master")
        except ImageError as error:
            problems[name] = str(error)
        else:
            if value is not None:
                properties[name] = value
    try:
        kind = kind_of(header)
        status = status_of(header)
    except ImageError as error:
        kind, status = None, "rejected"
        problems[""] = str(error)
    combined = header.get("NCOMBINE")
    return MasterEntry(
        path,
        kind,
        status,
        (header.get("NAXIS2", 0), header.get("NAXIS1", 0)),
        str(header.get("BUNIT") or "adu").strip().lower(),
        combined if isinstance(combined, int) else None,
        properties,
        problems,
        zlib.compress(header.tostring(sep="", endcard=False, padding=False).encode("ascii", "replace"), 1),
    )


def kind_of(header: fits.Header) -> Kind | None:
    """What kind of master a header describes; None for a raw frame and everything else.

    IMAGETYP is ``master bias``, ``master dark``, ``master flat`` or ``bad pixels``; ``combined`` or ``super`` will do
    for ``master``, and NCOMBINE > 1, which IRAF's imcombine writes, makes a master of a plain ``bias``, ``dark`` or
    ``flat``.

    Raises
    ------
    ImageError
        The card is damaged.
    """
    written = header_value(header, "image_type", label="the master")
    if written is None:
        return None
    word = normal_image_type(COMBINED.sub("", written))
    kind = WORDS.get(word)
    combined = header.get("NCOMBINE")
    several = isinstance(combined, int | float) and combined > 1
    return kind if kind == "bad_pixels" or several or COMBINED.search(written) else None


def status_of(header: fits.Header) -> Status:
    """Whether a master may be used.

    Raises
    ------
    ImageError
        MSTATUS is none of the three words.
    """
    written = card_value(header, "MSTATUS")
    word = str(written).strip().lower() if written is not None else "accepted"
    if word not in STATUSES:
        raise ImageError(f"header card MSTATUS = {written!r} is none of {', '.join(STATUSES)}")
    return word


# --- as text, for the index ------------------------------------------------------------------------------------


def to_json(entry: MasterEntry) -> str:
    """Everything but path and header, as JSON."""
    properties = {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in entry.properties.items()
    }
    return json.dumps(
        [entry.kind, entry.status, entry.shape, entry.unit, entry.combined, properties, dict(entry.problems)]
    )


def from_json(path: Path, text: str, packed_header: bytes) -> MasterEntry:
    """The entry that :func:`to_json` wrote.

    Raises
    ------
    ValueError
        The text is damaged.
    """
    kind, status, shape, unit, combined, properties, problems = json.loads(text)
    if (kind is not None and kind not in KINDS) or status not in STATUSES or not isinstance(properties, dict):
        raise ValueError("not an entry")
    if "observation_time" in properties:
        properties["observation_time"] = datetime.fromisoformat(properties["observation_time"])
    if "binning" in properties:
        properties["binning"] = tuple(properties["binning"])
    return MasterEntry(path, kind, status, tuple(shape), unit, combined, properties, problems, packed_header)
