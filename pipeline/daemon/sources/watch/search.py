"""Search a folder for files that may be images. Nothing is opened; what must not be touched is passed over."""

import errno
import fnmatch
import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .....images.io import image_suffixes
from .....images.io.fits.layout import CompanionFile, companion_files
from ....running.journal import RUN_FOLDER
from ..inspect import spelled

UNFINISHED = (".part", ".partial", ".filepart", ".crdownload", ".tmp", "~")
"""Endings of names that programs give to files which are not complete yet."""

PAUSE_AFTER = 256
"""Entries after which others get their turn: Python runs one thread at a time."""

MOST_NOTES = 20

Identity = tuple[int, int]
"""Size [byte] and time of change [ns since 1970]."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which files of a folder count.

    Attributes
    ----------
    folder : Path
        Where to search.
    recursive : bool
        Whether folders within it are searched, too.
    patterns : tuple of str
        Names that count; all known suffixes if there are none.
    ignore : tuple of str
        Names of files and folders that do not count.
    follow_links : bool
        Whether links that lead out of the folder are followed.
    apart : tuple of Path
        Folders that are not searched.
    companions : tuple of CompanionFile
        Files that are masks or uncertainties of an image beside them.
    """

    folder: Path
    recursive: bool = True
    patterns: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    follow_links: bool = False
    apart: tuple[Path, ...] = ()
    companions: tuple[CompanionFile, ...] = ()

    def counts(self) -> Callable[[str], bool]:
        """A test for names of files."""
        wanted = _matcher(self.patterns) if self.patterns else None
        unwanted = _matcher(self.ignore)
        suffixes = tuple(image_suffixes())

        def test(name: str) -> bool:
            lower = name.lower()
            if name.startswith(".") or lower.endswith(UNFINISHED) or unwanted(lower):
                return False
            return wanted(lower) if wanted is not None else lower.endswith(suffixes)

        return test


@dataclass(slots=True)
class Seen:
    """What a search has found.

    Attributes
    ----------
    files : dict of str to Identity
        Each file with its identity. Plain text, since there may be a hundred thousand of them.
    folders : list of Path
        The folders that were searched.
    notes : dict
        What was passed over and a person may want to know; the keys in the order in which they came up.
    """

    files: dict[str, Identity] = field(default_factory=dict)
    folders: list[Path] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)


def different(files: Mapping[str, Identity], known: Mapping[str, Identity]) -> dict[str, Identity]:
    """Those files that are not known with this identity."""
    found = {}
    for count, (path, identity) in enumerate(files.items()):
        _let_others(count)
        if known.get(path) != identity:
            found[path] = identity
    return found


def common(known: Mapping[str, Identity], files: Mapping[str, Identity]) -> dict[str, Identity]:
    """What is known of those files that are there."""
    found = {}
    for count, (path, identity) in enumerate(known.items()):
        _let_others(count)
        if path in files:
            found[path] = identity
    return found


def companions_in(read: Mapping[str, Any]) -> tuple[CompanionFile, ...]:
    """The files beside an image of which the options of a reader speak."""
    return tuple(companion_files(read)) if read else ()


def search(
    selection: Selection,
    *,
    within: Path | None = None,
    on_folder: Callable[[Path], None] | None = None,
) -> Seen:
    """All files that count, from the folder downwards.

    Parameters
    ----------
    selection : Selection
        Which files count.
    within : Path
        A folder below the selection's, to which the search is confined.
    on_folder : callable
        Told each folder before its files are listed, so that no change after that is missed.

    Raises
    ------
    OSError
        The folder itself cannot be searched.
    """
    work = _Search(selection, on_folder)
    if within is not None and not work.reaches(within):
        return work.seen
    return work.run(within or selection.folder)


def look_at(selection: Selection, paths: Sequence[Path]) -> Seen:
    """Those of some files that count. Their folders are taken to be right ones."""
    found = _Search(selection, None)
    for index, path in enumerate(paths):
        _let_others(index)
        if found.counts(path.name):
            found.take(str(path), path)
    return found.seen


class _Search:
    def __init__(self, selection: Selection, on_folder: Callable[[Path], None] | None) -> None:
        self.selection = selection
        self.seen = Seen()
        self.counts = selection.counts()
        self._ignored = _matcher(selection.ignore)
        self._on_folder = on_folder
        self._apart = {str(folder) for path in selection.apart for folder in (path.absolute(), path.resolve())}
        self._inside = str(selection.folder.resolve())
        self._visited: set[tuple[int, int]] = set()

    def run(self, start: Path) -> Seen:
        waiting = [start]
        count = 0
        while waiting:
            here = waiting.pop()
            try:
                if here != self.selection.folder and self._holds_products(here):
                    continue
                for entry in self._entries(here):
                    count += 1
                    _let_others(count)
                    folder = self._folder(entry)
                    if folder is None:
                        if self.counts(entry.name):
                            self.take(entry.path, entry)
                    elif folder and self.selection.recursive and not self._is_apart(entry.path, entry.name):
                        waiting.append(Path(entry.path))
            except OSError as error:
                if here == self.selection.folder:
                    raise
                if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                    self._note(f"{spelled(str(here))} cannot be searched: {error.strerror}")
        return self.seen

    def reaches(self, folder: Path) -> bool:
        """Whether a search from the top would come to a folder."""
        here = self.selection.folder
        try:
            for name in folder.relative_to(here).parts:
                here = here / name
                if here.is_symlink() or self._is_apart(str(here), name) or self._holds_products(here):
                    return False
        except OSError:  # it has gone again, or is closed to us; the next search says so
            return False
        return True

    def _entries(self, here: Path) -> Iterator[os.DirEntry[str]]:
        facts = here.stat()
        if (facts.st_dev, facts.st_ino) in self._visited:  # a link to a folder above leads here again
            return
        self._visited.add((facts.st_dev, facts.st_ino))
        if self._on_folder is not None:
            self._on_folder(here)
        with os.scandir(here) as entries:
            self.seen.folders.append(here)
            yield from entries

    def _folder(self, entry: os.DirEntry[str]) -> bool | None:
        """Whether an entry is a folder to be searched; None if it is no folder."""
        if entry.is_symlink():
            try:
                if not entry.is_dir():
                    return None
            except OSError:
                return None
            return self._leads_on(Path(entry.path))
        return True if entry.is_dir(follow_symlinks=False) else None

    def _is_apart(self, path: str, name: str) -> bool:
        if name.startswith(".") or self._ignored(name.lower()) or path in self._apart:
            return True
        return bool(self._apart) and os.path.realpath(path) in self._apart

    def _holds_products(self, folder: Path) -> bool:
        if not (folder / RUN_FOLDER).exists():
            return False
        self._note(f"{spelled(str(folder))} holds products of a run and is passed over")
        return True

    def take(self, path: str, file: "os.DirEntry[str] | Path") -> None:
        """Note a file with its identity, if it is one and not somebody's companion."""
        try:
            facts = file.stat(follow_symlinks=False)
            if stat.S_ISLNK(facts.st_mode):
                facts = file.stat()
                if not stat.S_ISREG(facts.st_mode) or not self._leads_on(Path(path)):
                    return
        except OSError:  # gone meanwhile, or a link to nothing
            return
        if stat.S_ISREG(facts.st_mode) and not self._is_companion(path):
            self.seen.files[path] = (facts.st_size, facts.st_mtime_ns)

    def _is_companion(self, path: str) -> bool:
        return any(one.belongs_to_an_image(Path(path)) for one in self.selection.companions)

    def _leads_on(self, link: Path) -> bool:
        """Whether to follow a link. What it points to within the folder is found by its own name."""
        try:
            target = str(link.resolve())
        except (OSError, RuntimeError):  # it leads in a circle
            return False
        if target == self._inside or target.startswith(self._inside + os.sep):
            return False
        if not self.selection.follow_links:
            self._note(
                f"{spelled(str(link))} is a link out of the folder and is not followed; follow_links: true allows it"
            )
        return self.selection.follow_links

    def _note(self, text: str) -> None:
        if len(self.seen.notes) < MOST_NOTES:
            self.seen.notes[text] = None


def _matcher(patterns: Sequence[str]) -> Callable[[str], bool]:
    """A test whether a name in small letters fits one of the patterns, whatever their case."""
    if not patterns:
        return lambda _: False
    joined = re.compile("|".join(fnmatch.translate(pattern.lower()) for pattern in patterns))
    return lambda name: joined.match(name) is not None


def _let_others(count: int) -> None:
    if count % PAUSE_AFTER == 0:
        time.sleep(0.0005)
