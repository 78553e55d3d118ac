"""What must be equal for a master to belong to a frame: the defaults, and what a configuration says."""

import difflib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ....images import ImageError
from ....images.keywords import KEYWORDS
from .entry import KINDS, Kind

Keys = Mapping[Kind, Mapping[str, float | None]]
"""For each kind of master what must be equal: properties of :data:`etendue.images.keywords.KEYWORDS` or header cards,
and by how much numbers may differ (None or 0: not at all)."""

DEFAULT_KEYS: Keys = MappingProxyType(
    {
        "bias": {"instrument": None, "binning": None, "readout_mode": None, "gain": 0.01, "temperature": 5.0},
        "dark": {"instrument": None, "binning": None, "readout_mode": None, "gain": 0.01, "temperature": 2.0},
        "flat": {"instrument": None, "binning": None, "readout_mode": None, "filter": None},
        "bad_pixels": {"instrument": None, "binning": None, "readout_mode": None},
    }
)
"""What must be equal unless a library says otherwise. A dark current doubles with every 6 K or so; a flat does not
depend on gain and temperature. Temperatures in deg C, gains in electron/adu."""

OFTEN_CONFIGURED = ("gain",)
"""Properties that chains often add to headers: they are compared only where both sides tell them."""

CONFIGURATION = "library.yaml"
"""File in the first folder of a library that may hold its keys."""


class LibraryError(ImageError):
    """A library cannot be used: its folder is missing, or its configuration is wrong."""


def checked_keys(given: Any, *, where: str) -> Keys:
    """Keys from a configuration; the defaults for kinds that it does not name.

    Parameters
    ----------
    given : mapping
        ``{"flat": {"filter": None, "telescope": None}, "dark": {"temperature": 1.0}}``; instead of a mapping a list of
        keys means that all must be equal.
    where : str
        What messages call the configuration.

    Raises
    ------
    LibraryError
        A kind or key is unknown, or a tolerance is not a number; the message says what would be right.
    """
    if not isinstance(given, Mapping):
        raise LibraryError(f"{where}: keys is a mapping like {{flat: [instrument, binning, filter]}}")
    keys: dict[Kind, Mapping[str, float | None]] = dict(DEFAULT_KEYS)
    for kind, entries in given.items():
        if kind not in KINDS:
            raise LibraryError(f"{where}: keys.{kind}: there is no such kind of master; there are {', '.join(KINDS)}")
        if (
            isinstance(entries, Sequence)
            and all(isinstance(key, str) for key in entries)
            and not isinstance(entries, str)
        ):
            entries = dict.fromkeys(entries)
        if not isinstance(entries, Mapping):
            raise LibraryError(f"{where}: keys.{kind}: write a list of keys, or a mapping of keys and tolerances")
        for key, tolerance in entries.items():
            _check_key(key, tolerance, f"{where}: keys.{kind}")
        keys[kind] = MappingProxyType(dict(entries))
    return MappingProxyType(keys)


def _check_key(key: Any, tolerance: Any, where: str) -> None:
    if not isinstance(key, str) or not key or (key not in KEYWORDS and key != key.upper()):
        near = difflib.get_close_matches(str(key), KEYWORDS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "write header cards in capitals"
        raise LibraryError(f"{where}: no such property {key!r}; {hint}")
    if key in ("exposure_time", "observation_time"):
        raise LibraryError(f"{where}: {key} is always compared; exposure_tolerance, dark_scale and max_age say how")
    is_number = isinstance(tolerance, int | float) and not isinstance(tolerance, bool) and tolerance >= 0
    if tolerance is not None and not is_number:
        raise LibraryError(f"{where}: {key}: the tolerance {tolerance!r} is not a number from 0 on")


def configured_keys(folder: Path) -> Keys:
    """The keys that ``library.yaml`` in a folder gives; the defaults without that file.

    Raises
    ------
    LibraryError
        The file cannot be read, or is wrong.
    """
    path = folder / CONFIGURATION
    try:
        status = path.stat()
    except FileNotFoundError:
        return DEFAULT_KEYS
    except OSError as error:
        raise LibraryError(f"{path} cannot be read: {error.strerror}") from error
    return _read_configuration(path, (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino))


@lru_cache(maxsize=64)
def _read_configuration(path: Path, state: tuple[int, ...]) -> Keys:  # noqa: ARG001 - a changed file is another file
    import yaml

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise LibraryError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict) or set(document) - {"keys"}:
        raise LibraryError(f"{path}: only 'keys' is understood, like keys: {{flat: [instrument, binning, filter]}}")
    return checked_keys(document.get("keys", {}), where=str(path))
