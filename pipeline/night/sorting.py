"""Sort the raw frames of a night: what each one is, and which belong together."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ...images import Header, Image, ImageError
from ...images.io.fits.reader import read_fits_header
from ...images.keywords import header_value
from ..errors import ConfigError
from ..running.discover import find_images
from .frame_types import RULES, FrameRule, FrameType, classify, why_unknown

FITS_SUFFIXES = (".fits", ".fit", ".fts", ".fits.gz", ".fit.gz", ".fits.fz", ".fz")

Setup = tuple[Any, ...]
"""What frames must share to be combined or corrected with one another: camera, size, binning, readout mode."""


@dataclass(frozen=True, slots=True)
class RawFrame:
    """A raw frame and what its header says.

    Attributes
    ----------
    path : Path
        The file.
    type : FrameType or None
        What it was taken for; None if no rule knows it, or it cannot be read.
    why : str
        Why it has no type.
    header : Header
        Its header; empty if it cannot be read.
    """

    path: Path
    type: FrameType | None
    why: str = ""
    header: Header = field(default_factory=Header, repr=False)

    def value(self, name: str) -> Any:
        """A property such as ``exposure_time``; None if the header does not say, or says what makes no sense."""
        try:
            return header_value(self.header, name, label=self.path.name)
        except ImageError:
            return None

    @property
    def is_damaged(self) -> bool:
        """Whether the file could not be read."""
        return len(self.header) == 0

    @property
    def time(self) -> datetime | None:
        """Start of the exposure."""
        return self.value("observation_time")

    @property
    def exposure_time(self) -> float | None:
        """Exposure time [s]."""
        return self.value("exposure_time")

    @property
    def filter(self) -> str:
        """Name of the filter; empty if there is none."""
        return self.value("filter") or ""

    @property
    def setup(self) -> Setup:
        """Camera, size, binning and readout mode."""
        size = tuple(self.header.get(f"NAXIS{axis}") for axis in (1, 2))
        return (self.value("instrument") or "", size, self.value("binning") or (1, 1), self.value("readout_mode") or "")


@dataclass(frozen=True, slots=True)
class SortedNight:
    """The raw frames of a night, in the order in which they were taken."""

    frames: tuple[RawFrame, ...]

    def of(self, kind: FrameType) -> list[RawFrame]:
        """All frames of a type."""
        return [frame for frame in self.frames if frame.type is kind]

    @property
    def unknown(self) -> list[RawFrame]:
        """Frames that no rule knows, or that cannot be read; they are listed and left alone."""
        return [frame for frame in self.frames if frame.type is None]

    @property
    def date(self) -> str:
        """The date (UTC) on which the night began, ``2026-03-20``; empty if no frame says when it was taken.

        Frames taken before noon of the following day belong to it; most frames decide.
        """
        from datetime import timedelta

        days = Counter((frame.time - timedelta(hours=12)).date() for frame in self.frames if frame.time is not None)
        return days.most_common(1)[0][0].isoformat() if days else ""

    def counts(self) -> dict[str, int]:
        """Number of frames by type, in the order of the types; unknown ones last."""
        found = Counter(frame.type for frame in self.frames)
        named = {str(kind): found[kind] for kind in FrameType if found[kind]}
        return named | ({"unknown": found[None]} if found[None] else {})


def sort_night(
    paths: Iterable[str | Path] | str | Path,
    rules: Sequence[FrameRule] = RULES,
    *,
    output: Path | None = None,
    apart: Iterable[Path] = (),
) -> SortedNight:
    """Find raw frames and tell what each one is. Files are only read, and only their headers.

    Parameters
    ----------
    paths : paths
        Files, and folders (searched to the bottom).
    rules : sequence of FrameRule
        What tells the type of a frame; the first rule that holds decides.
    output : Path
        Where products go: what lies there is not raw.
    apart : paths
        Folders that may lie within the night's and are not part of it, such as the library of masters.

    Raises
    ------
    ConfigError
        A path does not exist, or a folder holds no frames besides products and masters.
    """
    paths = [paths] if isinstance(paths, str | Path) else list(paths)
    elsewhere = [folder.resolve() for folder in (*apart, *([] if output is None else [output]))]
    found = [
        path
        for path in find_images(paths, output=output)
        if not any(path.resolve().is_relative_to(folder) for folder in elsewhere)
    ]
    if not found:
        places = ", ".join(str(path) for path in paths)
        raise ConfigError(f"{places}: there are no raw frames, only products and masters of an earlier run")
    frames = [raw_frame(path, rules) for path in found]
    frames.sort(key=lambda frame: (frame.time.timestamp() if frame.time else 0.0, str(frame.path)))
    return SortedNight(tuple(frames))


def raw_frame(path: Path, rules: Sequence[FrameRule] = RULES) -> RawFrame:
    """A file with its header and type. A file that cannot be read has no type, and the reason is kept."""
    try:
        header = header_of(path)
    except (ImageError, OSError) as error:
        return RawFrame(path, None, f"it cannot be read: {getattr(error, 'strerror', None) or error}")
    kind = classify(header, rules)
    return RawFrame(path, kind, "" if kind is not None else why_unknown(header, rules), header)


def header_of(path: Path) -> Header:
    """The header of an image file; of FITS files without reading their pixels.

    Raises
    ------
    ImageError
        It is no image, or damaged.
    OSError
        It cannot be read.
    """
    if path.name.lower().endswith(FITS_SUFFIXES):
        return read_fits_header(path)
    return Image.from_file(path).header
