"""The journal of a run: one line for each image that came to an end, so that a later run can resume.

It lies in the output folder as ``.etendue/journal.jsonl``. Each line is on the disk before the next image
counts; a line that was torn by a power failure or a full disk is passed over when reading.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from ...processors.context import OWN_FOLDER
from ..errors import ConfigError
from .outcome import Outcome

RUN_FOLDER = OWN_FOLDER
"""Folder for a run's own notes, inside the output folder."""

FINAL = ("done", "dropped")
"""What is not done again when a run is resumed."""


def identity(path: Path) -> dict[str, Any]:
    """What tells a file from its earlier self: its place, size [byte] and time of change [ns].

    Raises
    ------
    OSError
        The file cannot be reached.
    """
    facts = path.stat()
    return {"path": str(path.resolve()), "size": facts.st_size, "mtime_ns": facts.st_mtime_ns}


class Journal:
    """Appends outcomes to a folder's journal. Use it in a ``with`` statement.

    Parameters
    ----------
    output : Path
        The folder.
    fingerprint : str
        Identifies the chain, and how files are read.
    depends : mapping of path to str
        What else the products of an image depend on.

    Raises
    ------
    ConfigError
        The folder cannot be made or written to.
    """

    def __init__(self, output: Path, fingerprint: str, depends: Mapping[Path, str] | None = None) -> None:
        self.path = output / RUN_FOLDER / "journal.jsonl"
        self._fingerprint = fingerprint
        self._depends = {str(path.resolve()): text for path, text in (depends or {}).items()}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise ConfigError(
                f"{output}: products cannot be written there: {error.strerror or error}; choose another output folder"
            ) from error
        self._torn = not _ends_with_newline(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        os.close(self._file)

    def append(self, outcome: Outcome, source: Mapping[str, Any]) -> None:
        """Note what became of an image; it is on the disk when this returns.

        Parameters
        ----------
        outcome : Outcome
            What became of it.
        source : mapping
            The input's :func:`identity` before it was read.

        Raises
        ------
        OSError
            The disk is full or gone.
        """
        fingerprint = self._fingerprint_of(str(source["path"]))
        entry = {"input": dict(source), "fingerprint": fingerprint, "outcome": outcome.to_json()}
        line = ("\n" if self._torn else "") + json.dumps(entry) + "\n"
        self._torn = True
        pending = line.encode()
        while pending:
            pending = pending[os.write(self._file, pending) :]
        self._torn = False
        os.fsync(self._file)

    def finished(self) -> dict[str, Outcome]:
        """What earlier runs of this same chain finished, by the input's resolved path.

        Only inputs that have not changed since, and whose products all still exist.
        """
        latest: dict[str, Outcome] = {}
        for entry in entries(self.path):
            latest.pop(entry.path, None)
            same = entry.fingerprint == self._fingerprint_of(entry.path)
            if same and entry.outcome.status in FINAL and _is_current(entry):
                latest[entry.path] = entry.outcome
        return latest

    def _fingerprint_of(self, path: str) -> str:
        text = self._depends.get(path)
        return self._fingerprint if text is None else sha256((self._fingerprint + text).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a journal: which file, in what state, through which chain, and what became of it."""

    source: Mapping[str, Any]
    path: str
    fingerprint: str
    outcome: Outcome


def entries(journal: Path) -> Iterator[Entry]:
    """The lines of a journal that are whole, oldest first."""
    if not journal.exists():
        return
    with journal.open("rb") as file:
        for line in file:
            try:
                entry = json.loads(line)
                outcome = Outcome.from_json(entry["outcome"])
                yield Entry(entry["input"], str(entry["input"]["path"]), entry["fingerprint"], outcome)
            except (ValueError, KeyError, TypeError):
                continue  # torn: the image it was about is simply done again


def earlier_products(output: Path) -> frozenset[Path]:
    """Everything that earlier runs wrote to an output folder."""
    journal = output / RUN_FOLDER / "journal.jsonl"
    return frozenset(product for entry in entries(journal) for product in entry.outcome.products)


def _is_current(entry: Entry) -> bool:
    try:
        unchanged = identity(Path(entry.path)) == entry.source
    except OSError:
        return False
    return unchanged and all(product.exists() for product in entry.outcome.products)


def _ends_with_newline(file: int) -> bool:
    size = os.fstat(file).st_size
    return size == 0 or os.pread(file, 1, size - 1) == b"\n"
