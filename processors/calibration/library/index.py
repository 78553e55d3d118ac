"""The index of a folder of masters: kept in memory and in a SQLite file beside them, never trusted blindly.

At each question the folder is listed, and whatever is new or has another size, time or inode than in the index
is read again: an answer is never out of date. The SQLite file only spares the reading of headers to the next
process. Without it, where the folder may not be written to, or when it is damaged, answers are the same.
"""

import os
import sqlite3
import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ....images.io.registry import FITS
from ....images.keywords import KEYWORDS
from .entry import MasterEntry, from_json, read_entry, to_json

INDEX_NAME = ".etendue-masters.sqlite"

FORMAT = zlib.crc32(f"1 {dict(KEYWORDS)!r}".encode()) & 0x7FFFFFFF
"""Number of the way entries are written; it changes with the table of keywords, of which entries hold the values."""

TICK = 0.1
COARSE_TICK = 2.0
"""A file that was changed within this time before it was read may have been changed again unnoticed [s]: times of
files go in ticks, which are whole seconds on some file systems."""

BUSY = 5.0
"""How long another process that writes the index is waited for [s]."""

REMEMBERED = 64
"""Folders whose index is kept in memory."""


@dataclass(frozen=True, slots=True)
class Known:
    """An entry, the state of its file when it was read, and whether that state tells every later change."""

    entry: MasterEntry
    state: str
    is_certain: bool


class FolderIndex:
    """The masters in a folder and the folders below it.

    Parameters
    ----------
    folder : Path
        Where they are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / INDEX_NAME
        self._known: dict[str, Known] = {}
        self._is_damaged = False
        self._lock = threading.Lock()

    def entries(self) -> list[MasterEntry]:
        """What is in the folder now, sorted by path; files that are no masters too.

        Raises
        ------
        OSError
            The folder cannot be listed.
        """
        with self._lock:
            states = dict(_states(self.folder))
            if self._changed(states):
                self._known |= self._load()
            changed = self._changed(states)
            read = {name: known for name in changed if (known := _read(self.folder, name)) is not None}
            gone = [name for name in self._known if name not in states]
            for name in (*changed, *gone):
                self._known.pop(name, None)
            self._known |= read
            certain = {name: known for name, known in read.items() if known.is_certain}
            if certain or gone:
                self._store(certain, gone)
            return [self._known[name].entry for name in sorted(self._known)]

    def _changed(self, states: Mapping[str, str]) -> list[str]:
        known = self._known
        return [
            n for n, state in states.items() if n not in known or known[n].state != state or not known[n].is_certain
        ]

    # --- the SQLite file -----------------------------------------------------------------------------------------

    def _load(self) -> dict[str, Known]:
        """What the SQLite file knows; nothing if it is absent, damaged, locked, or of another version."""
        if not self.file.exists():
            return {}
        try:
            with closing(sqlite3.connect(f"{self.file.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY)) as base:
                if base.execute("PRAGMA user_version").fetchone()[0] != FORMAT:
                    return {}
                if base.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                    self._is_damaged = True
                    return {}
                rows = base.execute("SELECT path, state, entry, header FROM files").fetchall()
        except sqlite3.OperationalError:  # locked, not readable, half made: headers are read instead
            return {}
        except sqlite3.DatabaseError:
            self._is_damaged = True
            return {}
        return {name: known for name, *row in rows if (known := _from_row(self.folder / name, *row)) is not None}

    def _store(self, read: Mapping[str, Known], gone: Iterable[str]) -> None:
        """Write to the SQLite file, if possible: answers do not depend on it."""
        try:
            if self._is_damaged:
                for leftover in (self.file, self.file.with_name(f"{INDEX_NAME}-journal")):
                    leftover.unlink(missing_ok=True)
                self._is_damaged = False
                read = {name: known for name, known in self._known.items() if known.is_certain}
            with closing(sqlite3.connect(self.file, timeout=BUSY, isolation_level=None)) as base:
                _write(base, read, gone)
        except sqlite3.OperationalError:  # a read-only or full disk, or somebody else writes for long
            return
        except sqlite3.DatabaseError:
            self._is_damaged = True  # the next question makes it anew
        except OSError:
            return


def _write(base: sqlite3.Connection, read: Mapping[str, Known], gone: Iterable[str]) -> None:
    base.execute("BEGIN IMMEDIATE")
    if base.execute("PRAGMA user_version").fetchone()[0] != FORMAT:
        base.execute("DROP TABLE IF EXISTS files")
        base.execute(f"PRAGMA user_version = {FORMAT}")
    base.execute(
        "CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, state TEXT NOT NULL, entry TEXT NOT NULL, "
        "header BLOB NOT NULL)"
    )
    base.executemany("DELETE FROM files WHERE path = ?", [(name,) for name in gone if _is_text(name)])
    base.executemany(
        "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)",
        [
            (name, known.state, to_json(known.entry), known.entry.packed_header)
            for name, known in read.items()
            if _is_text(name)
        ],
    )
    base.execute("COMMIT")


def _is_text(name: str) -> bool:
    """Whether a file name is proper UTF-8, which SQLite needs; others are read again by each process."""
    return name.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in name)


def _from_row(path: Path, state: str, text: str, packed_header: bytes) -> Known | None:
    try:
        return Known(from_json(path, text, packed_header), state, is_certain=True)
    except (ValueError, TypeError):
        return None


# --- the files ---------------------------------------------------------------------------------------------------


def _states(folder: Path) -> Iterator[tuple[str, str]]:
    """Name below the folder, and state, of each FITS file; hidden ones and those being written are passed over."""
    visited: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True, onerror=_only_at(folder)):
        real = os.path.realpath(place)
        if real in visited:  # a link to a folder above would lead here again and again
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        below = os.path.relpath(place, folder)
        for name in names:
            if name.startswith(".") or not name.lower().endswith(FITS.suffixes):
                continue
            state = _state(os.path.join(place, name))  # noqa: PTH118 - a Path costs more than the question to the system
            if state is not None:
                yield (name if below == "." else f"{below}/{name}"), state


def _only_at(folder: Path) -> Callable[[OSError], None]:
    """Raise what is wrong with the folder itself; a folder below that cannot be listed holds nothing for us."""

    def complain(error: OSError) -> None:
        if error.filename is None or Path(error.filename) == folder:
            raise error

    return complain


def _state(path: str | Path) -> str | None:
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:  # it has just gone, or is a link to nowhere
        return None
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"


def _read(folder: Path, name: str) -> Known | None:
    """A file's entry; None if it has gone. The state is taken before: a change while reading is seen next time."""
    path = folder / name
    began = time.time_ns()
    state = _state(path)
    if state is None:
        return None
    try:
        entry = read_entry(path)
    except FileNotFoundError:
        return None
    changed = int(state.split()[2])
    tick = COARSE_TICK if changed % 1_000_000_000 == 0 else TICK
    return Known(entry, state, is_certain=began - changed > tick * 1e9)


_indices: OrderedDict[str, FolderIndex] = OrderedDict()
_indices_lock = threading.Lock()


def index_of(folder: Path) -> FolderIndex:
    """The index of a folder in this process."""
    key = str(folder.absolute())
    with _indices_lock:
        index = _indices.setdefault(key, FolderIndex(Path(key)))
        _indices.move_to_end(key)
        while len(_indices) > REMEMBERED:
            _indices.popitem(last=False)
        return index
