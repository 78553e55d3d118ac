"""What the library of masters has for frames, and what their chains want of it. Runs in the clerk: it reads headers."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

from ....images import Header, ImageError
from ....images.io import file_checksum
from ....processors.calibration import BadPixels, Bias, Calibration, Dark, Flat
from ....processors.calibration.library import CalibrationLibrary, Kind, MasterEntry, read_entry
from ....processors.calibration.library.matching import request_for, select
from ...night.sorting import header_of
from ...pipeline import Pipeline, every_step
from ...running.shipping import unpack

SINGLE: dict[type, tuple[Kind, str]] = {
    Bias: ("bias", "master"),
    Dark: ("dark", "master"),
    Flat: ("flat", "master"),
    BadPixels: ("bad_pixels", "map"),
}
"""Steps that apply one master: its kind, and the parameter that may name it."""

WISHES = {"max_age": "max_age", "side": "when", "exposure_tolerance": "exposure_tolerance", "dark_scale": "dark_scale"}
"""Parameters of steps, and what the library calls them."""


def chain_needs(pipeline: str, library: str) -> dict[str, Any]:
    """What a chain wants of a library.

    Parameters
    ----------
    pipeline : str
        The chain as JSON.
    library : str
        The folder of masters.

    Returns
    -------
    dict
        ``kinds``: those that it looks for there; ``calibrates``: whether it has a step Calibration, which tells how
        raw calibration frames are prepared.
    """
    chain = _chain(pipeline)
    kinds = list(dict.fromkeys(kind for kind, _ in wanted(chain, Path(library))))
    return {"kinds": kinds, "calibrates": any(isinstance(one.processor, Calibration) for one in every_step(chain))}


def masters_at_hand(pipeline: str, library: str, noon: float, frames: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    """What a library has for each frame.

    Parameters
    ----------
    pipeline : str
        The chain as JSON.
    library : str
        The folder of masters.
    noon : float
        Hour (UTC) at which a new night begins.
    frames : sequence of (str, str)
        File of each frame, and its night.

    Returns
    -------
    list of dict
        For each frame ``{"error": why}`` if its header cannot be read, else a mapping of kinds to ``of_night``
        (whether there is an accepted master of this night) and ``used`` (checksum of the master that would be taken
        now, whatever its night; empty if there is none).
    """
    chain = _chain(pipeline)
    folder = Path(library)
    wishes = list(wanted(chain, folder))
    shelf = CalibrationLibrary([folder]) if folder.is_dir() else None
    with chain.keywords_known():
        return [_at_hand(shelf, wishes, Path(path), night, noon) for path, night in frames]


def statuses(library: str, names: Sequence[str]) -> dict[str, str]:
    """Status of some masters: ``accepted``, ``candidate``, ``rejected``; ``gone`` if there is no such file.

    Parameters
    ----------
    library : str
        The folder of masters.
    names : sequence of str
        Files in it.
    """
    found = {}
    for name in names:
        try:
            found[name] = str(read_entry(Path(library) / name).status)
        except FileNotFoundError:
            found[name] = "gone"
    return found


def wanted(chain: Pipeline, library: Path) -> Iterator[tuple[Kind, dict[str, Any]]]:
    """The kinds of masters that a chain looks for in a library, and how it wishes them to be."""
    for step in every_step(chain):
        processor = step.processor
        folder = getattr(processor, "library", None)
        if folder is None or folder.absolute() != library.absolute():
            continue
        wishes = {wish: getattr(processor, name) for name, wish in WISHES.items() if hasattr(processor, name)}
        if isinstance(processor, Calibration):
            yield from ((kind, wishes) for kind in get_args(Kind) if getattr(processor, kind) is None)
        elif type(processor) in SINGLE:
            kind, parameter = SINGLE[type(processor)]
            if getattr(processor, parameter) is None:
                yield kind, wishes


def night_of(time: datetime, noon: float) -> str:
    """Date on which the night of a time began."""
    return (time - timedelta(hours=noon)).date().isoformat()


def _at_hand(
    shelf: CalibrationLibrary | None, wishes: Iterable[tuple[Kind, dict[str, Any]]], path: Path, night: str, noon: float
) -> dict[str, Any]:
    try:
        header = header_of(path)
        return {kind: _of_kind(shelf, kind, wish, header, night, noon) for kind, wish in wishes}
    except (ImageError, OSError) as error:
        return {"error": f"{path.name}: {getattr(error, 'strerror', None) or error}"}


def _of_kind(
    shelf: CalibrationLibrary | None, kind: Kind, wish: dict[str, Any], header: Header, night: str, noon: float
) -> dict[str, Any]:
    if shelf is None:
        return {"of_night": False, "used": ""}
    request = request_for(kind, header, shelf.keys[kind], **wish)
    entries = shelf.files()
    own = [entry for entry in entries if entry.time is not None and night_of(entry.time, noon) == night]
    nearest = select(request, entries).chosen
    return {
        "of_night": select(request, own).chosen is not None,
        "used": "" if nearest is None else _checksum(nearest.entry),
    }


def _checksum(entry: MasterEntry) -> str:
    try:
        facts = entry.path.stat()
        return _checksum_of((entry.path, facts.st_size, facts.st_mtime_ns))
    except OSError:  # it has gone this moment: then it is not used
        return ""


@lru_cache(maxsize=256)
def _checksum_of(identity: tuple[Path, int, int]) -> str:
    return file_checksum(identity[0]).sha256


@lru_cache(maxsize=16)
def _chain(text: str) -> Pipeline:
    return unpack(text)
