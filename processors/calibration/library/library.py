"""A calibration library: folders of master frames, and the question which of them belongs to a frame.

>>> library = CalibrationLibrary("masters/")
>>> match = library.find("flat", image.header, max_age=5)
>>> flat = match.image()

What must be equal for a master to belong to a frame is configuration: the argument `keys`, or a file ``library.yaml``
in the first folder::

    keys:
      flat: [instrument, binning, filter, TELESCOP]     # properties, or header cards in capitals
      dark: {instrument: 0, binning: 0, temperature: 1} # by how much numbers may differ
"""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from astropy.io import fits

from ....images import Image, ImageError
from ....images.io import atomic_write
from .entry import KINDS, STATUSES, Kind, MasterEntry, Status, entry_of, read_entry
from .index import index_of
from .keys import Keys, LibraryError, checked_keys, configured_keys
from .matching import NoMatchError, Request, Selection, When, request_for, select


@dataclass(frozen=True, slots=True)
class Match:
    """The master that belongs to a frame.

    Attributes
    ----------
    path : Path
        Its file.
    kind : {"bias", "dark", "flat", "bad_pixels"}
        What it is.
    age : float or None
        How much older than the frame it is [day]; negative if it was taken after it, None if a date is not known.
    scale : float
        Factor for a dark: 1 for the frame's own exposure time; for a dark current the exposure time [s].
    entry : MasterEntry
        What the library knows about it.
    """

    path: Path
    kind: Kind
    age: float | None
    scale: float
    entry: MasterEntry

    def image(self) -> Image:
        """Read it.

        Raises
        ------
        ImageError
            The file is damaged.
        FileNotFoundError
            It has gone meanwhile.
        """
        return Image.from_file(self.path)


@dataclass(frozen=True, slots=True)
class Explanation:
    """How the choice of one kind of master for one frame went.

    Attributes
    ----------
    kind : {"bias", "dark", "flat", "bad_pixels"}
        What was looked for.
    request : str
        For what, in words: ``flat for filter R, binning 2x2``.
    steps : tuple of (str, int)
        Each test, in order, and how many masters had passed it.
    match : Match or None
        The result.
    reason : str
        Why there is none, as a sentence; empty if there is one.
    """

    kind: Kind
    request: str
    steps: tuple[tuple[str, int], ...]
    match: Match | None
    reason: str = ""

    def __str__(self) -> str:
        lines = [self.request, *(f"{count:6d} {text}" for text, count in self.steps)]
        if self.match is None:
            return "\n".join([*lines, f"  -> {self.reason}"])
        scaled = f", scaled by {self.match.scale:.4g}" if self.match.scale != 1 else ""
        return "\n".join([*lines, f"  -> {self.match.path}{scaled}"])


class CalibrationLibrary:
    """Folders of master frames.

    It holds nothing but the folders: each question looks at the files as they are. What was read from their headers
    is kept in a SQLite file in the folder, in which a file whose size, time or inode has changed is read again; where
    that file cannot be written, or is damaged, answers are the same.

    Parameters
    ----------
    folders : path or sequence of paths
        Where masters are, searched to the bottom. New ones go to the first.
    keys : mapping
        For each kind of master what must be equal, see :data:`~etendue.processors.calibration.library.DEFAULT_KEYS`;
        None takes them from ``library.yaml`` in the first folder, or the defaults.

    Raises
    ------
    LibraryError
        There is no folder, or the configuration is wrong.
    """

    def __init__(self, folders: str | Path | Iterable[str | Path], keys: Mapping[str, Any] | None = None) -> None:
        given = [folders] if isinstance(folders, str | Path) else list(folders)
        self.folders = tuple(Path(folder) for folder in given)
        if not self.folders:
            raise LibraryError("a calibration library needs at least one folder of masters")
        for folder in self.folders:
            if not folder.is_dir():
                what = "is a file, not a folder" if folder.exists() else "does not exist"
                raise LibraryError(f"the calibration library {folder} {what}; give a folder of master frames")
        self.keys: Keys = configured_keys(self.folders[0]) if keys is None else checked_keys(keys, where="library")

    @property
    def label(self) -> str:
        """What messages call it."""
        return ", ".join(f"{folder}/" for folder in self.folders)

    # --- what there is -------------------------------------------------------------------------------------------

    def entries(self) -> list[MasterEntry]:
        """All masters, whatever their status, sorted by path.

        Raises
        ------
        LibraryError
            A folder cannot be listed.
        """
        return [entry for entry in self.files() if entry.kind is not None]

    def files(self) -> list[MasterEntry]:
        """All FITS files in the folders: masters, other ones (kind None), and damaged ones (with a problem).

        Raises
        ------
        LibraryError
            A folder cannot be listed.
        """
        found: dict[str, MasterEntry] = {}
        for folder in self.folders:
            try:
                found.update((str(entry.path), entry) for entry in index_of(folder).entries())
            except OSError as error:
                raise LibraryError(f"the calibration library {folder} cannot be listed: {error.strerror}") from error
        return [found[path] for path in sorted(found)]

    # --- which one ----------------------------------------------------------------------------------------------

    def find(
        self,
        kind: Kind,
        frame_header: fits.Header,
        *,
        max_age: float | None = None,
        exposure_tolerance: float = 0.01,
        when: When = "nearest",
        dark_scale: tuple[float, float] | None = None,
        shape: tuple[int, int] | None = None,
    ) -> Match:
        """The master that belongs to a frame.

        Only accepted masters whose keys equal those of the frame count. Among these, the nearest in time is taken. Of
        darks, one of the frame's own exposure time goes before a dark current (unit ``adu/s``), and that before one
        that must be scaled, of which the one with the factor nearest to 1 is taken.

        Parameters
        ----------
        kind : {"bias", "dark", "flat", "bad_pixels"}
            What is looked for.
        frame_header : astropy.io.fits.Header
            Header of the frame.
        max_age : float
            How far from the frame the master may be in time [day]; None: any.
        exposure_tolerance : float
            Fraction by which exposure times may differ and still be the same.
        when : {"nearest", "before", "after"}
            On which side of the frame.
        dark_scale : (float, float)
            Least and largest factor by which a dark may be scaled; None never scales one.
        shape : (int, int)
            Rows and columns (H, W) that it must have.

        Raises
        ------
        NoMatchError
            None belongs to the frame; the message says why.
        ImageError
            A card of the frame that must be known makes no sense.
        LibraryError
            A folder cannot be listed.
        """
        request, selection = self._select(
            kind,
            frame_header,
            max_age=max_age,
            exposure_tolerance=exposure_tolerance,
            when=when,
            dark_scale=dark_scale,
            shape=shape,
        )
        match = _match(request, selection)
        if match is None:
            raise NoMatchError(selection.reason)
        return match

    def why(self, frame_header: fits.Header, *, kinds: Iterable[Kind] = KINDS, **wishes: Any) -> list[Explanation]:
        """How the choice of each kind of master goes for a frame.

        Parameters
        ----------
        frame_header : astropy.io.fits.Header
            Header of the frame.
        kinds : iterable of str
            Kinds of masters.
        **wishes
            As for :meth:`find`.

        Raises
        ------
        ImageError
            A card of the frame that must be known makes no sense.
        LibraryError
            A folder cannot be listed.
        """
        explanations = []
        for kind in kinds:
            request, selection = self._select(kind, frame_header, **wishes)
            match = _match(request, selection)
            explanations.append(Explanation(kind, request.words, selection.steps, match, selection.reason))
        return explanations

    def _select(self, kind: Kind, header: fits.Header, **wishes: Any) -> tuple[Request, Selection]:
        if kind not in KINDS:
            raise LibraryError(f"there is no kind of master {kind!r}; there are {', '.join(KINDS)}")
        request = request_for(kind, header, self.keys[kind], **wishes)
        return request, select(request, self.files(), where=self.label)

    def last_like(self, master: MasterEntry) -> MasterEntry | None:
        """The accepted master for the same frames that is nearest in time: what a new one is compared with.

        Darks are alike if their exposure times are, and dark currents among each other.

        Parameters
        ----------
        master : MasterEntry
            The new one; itself it does not count.

        Raises
        ------
        ImageError
            A card of the master that must be known makes no sense.
        LibraryError
            A folder cannot be listed.
        """
        if master.kind is None:
            return None
        own = master.path.absolute()
        others = [entry for entry in self.files() if entry.path != own and entry.is_rate == master.is_rate]
        request = request_for(master.kind, master.header, self.keys[master.kind], label=master.path.name)
        chosen = select(request, others).chosen
        return None if chosen is None else chosen.entry

    # --- what goes in -------------------------------------------------------------------------------------------

    def add(self, master: str | Path | Image, *, name: str | None = None) -> Path:
        """Put a master into the first folder.

        Parameters
        ----------
        master : path or Image
            The master. A file that lies in one of the folders already stays where it is.
        name : str
            File name; by default that of the file, or one made from the header:
            ``master_flat_R_2x2_20260101T120000.fits``.

        Returns
        -------
        Path
            Where it is.

        Raises
        ------
        ImageError
            It is no master.
        FileExistsError
            The library has a file of that name.
        """
        if isinstance(master, Image):
            entry = _require_master(entry_of(Path(master.label), master.header))
            path = self.folders[0] / (name or master_name(entry))
            master.writeto(path, overwrite=False)
            return path
        source = Path(master)
        _require_master(read_entry(source))
        if name is None and any(source.resolve().is_relative_to(folder.resolve()) for folder in self.folders):
            return source
        path = self.folders[0] / (name or source.name)
        with source.open("rb") as content, atomic_write(path, overwrite=False) as stream:
            shutil.copyfileobj(content, stream)
        return path


def _match(request: Request, selection: Selection) -> Match | None:
    chosen = selection.chosen
    return None if chosen is None else Match(chosen.entry.path, request.kind, chosen.age, chosen.scale, chosen.entry)


def _require_master(entry: MasterEntry) -> MasterEntry:
    if entry.kind is None:
        why = entry.problems.get("") or (
            "it is no master: its header has no IMAGETYP = 'master bias', 'master dark', 'master flat' or 'bad pixels'"
        )
        raise ImageError(f"{entry.path.name}: {why.removeprefix(f'{entry.path}: ')}")
    return entry


def master_name(entry: MasterEntry) -> str:
    """A file name that tells what a master is: ``master_dark_300s_2x2_20260101T120000.fits``."""
    parts = ["bad_pixels" if entry.kind == "bad_pixels" else f"master_{entry.kind}"]
    if entry.kind == "dark":
        parts.append("current" if entry.is_rate else f"{entry.exposure_time or 0:g}s")
    if entry.kind == "flat" and entry.filter:
        parts.append("".join(letter if letter.isalnum() or letter in "+-." else "-" for letter in entry.filter))
    if entry.properties.get("binning"):
        parts.append("x".join(map(str, entry.properties["binning"])))
    if entry.time is not None:
        parts.append(f"{entry.time:%Y%m%dT%H%M%S}")
    return "_".join(parts) + ".fits"


def set_status(path: Path, status: Status, reason: str = "") -> None:
    """Say whether a master may be used: the card MSTATUS of its file is written anew, atomically.

    Parameters
    ----------
    path : Path
        The master.
    status : {"accepted", "candidate", "rejected"}
        What it shall be.
    reason : str
        Who or what says so, for the card's comment and the HISTORY.

    Raises
    ------
    ImageError
        The file is no master.
    FileNotFoundError
        There is no such file.
    """
    if status not in STATUSES:
        raise ImageError(f"{status!r} is no status of a master; there are {', '.join(STATUSES)}")
    _require_master(read_entry(path))
    words = _printable(reason)
    image = Image.from_file(path)
    image.header["MSTATUS"] = (status, words[:LONGEST_COMMENT] or "whether this master may be used")
    image.header.add_history(f"etendue: master {status}{f': {words}' if words else ''}")
    image.writeto(path)


LONGEST_COMMENT = 46
"""Of the card MSTATUS; the HISTORY has all of it."""


def _printable(text: str) -> str:
    """Text as a header can hold it: one line of ASCII."""
    return "".join(letter if " " <= letter <= "~" else "?" for letter in " ".join(text.split()))
