"""Build the masters of a night, compare each with the last of its kind, and put them into the library."""

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ...images import Header, Image, ImageError
from ...images.io.fits.reader import read_fits_header
from ...processors.calibration import Calibration
from ...processors.calibration.library import CalibrationLibrary, Kind, MasterEntry
from ...processors.combination.bad_pixels import bad_pixel_map, warm_pixels
from ...processors.combination.comparison import compare_masters, judged
from ...processors.combination.masters import dark_current, master_bias, master_dark, master_flat
from ...processors.combination.preparation import Preparation
from ..step import distribution_of, explain
from .frame_types import FrameType
from .groups import Group, groups_of, setup_words
from .settings import NightSettings
from .sorting import Setup, SortedNight

FINGERPRINT = "ETMADE"
"""Card of a master that holds a hash of all that it was made from, so that it is not made twice."""

FEWEST_OF_A_SERIES, MOST_OF_A_SERIES = 7, 30
"""Science frames from which a map of warm pixels is made."""

SAID = "comparison: "
"""Before each line of a master's HISTORY that tells what the comparison with the last one found."""

FLAT_DARK_SCALE = (1e-3, 10.0)
"""Flats are short and bright: any dark that is not much shorter than they are serves them."""


@dataclass(frozen=True, slots=True)
class NightMaster:
    """What became of one master of a night.

    Attributes
    ----------
    kind : {"bias", "dark", "flat", "bad_pixels"}
        What it is.
    label : str
        What it is called: ``flat R``.
    status : {"accepted", "candidate", "reused", "not built"}
        A candidate was built, and is not used before a person accepts it. A reused one was built, and accepted, by an
        earlier run from the same frames.
    path : Path or None
        The file.
    frames : tuple of Path
        Raw frames that it is made from.
    reasons : tuple of str
        Why it was not built, or what the comparison found.
    compared_with : Path or None
        The last of its kind.
    seconds : float
        How long it took [s].
    """

    kind: Kind
    label: str
    status: str
    path: Path | None = None
    frames: tuple[Path, ...] = ()
    reasons: tuple[str, ...] = ()
    compared_with: Path | None = None
    numbers: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def is_used(self) -> bool:
        """Whether frames are corrected with it."""
        return self.status in ("accepted", "reused")


Made = Callable[[], Image]


class MasterBuilder:
    """Builds the masters of a night into a library.

    Parameters
    ----------
    library : Path
        Folder of masters; new ones are written there, older ones compared with.
    calibration : Calibration
        How science frames will be calibrated: raw calibration frames are prepared alike.
    settings : NightSettings
        Fewest frames, memory.
    workers : int
        Masters that are built at the same time, each in a thread: the kernels leave the interpreter to the others.
    again : bool
        Build also what an earlier run has built from the same frames.
    tell : callable
        Told each master when it is there.
    """

    def __init__(
        self,
        library: Path,
        calibration: Calibration,
        settings: NightSettings,
        *,
        workers: int = 1,
        again: bool = True,
        tell: Callable[[NightMaster], None] | None = None,
    ) -> None:
        self.folder = library
        self.library = CalibrationLibrary([library])
        self.calibration = calibration
        self.settings = settings
        self.workers = workers
        self.again = again
        self.preparation = preparation_for(calibration)
        self._tell = tell or (lambda _: None)

    def build(
        self, night: SortedNight, *, date: str | None = None, words: Mapping[Setup, str] | None = None
    ) -> list[NightMaster]:
        """Everything that the night's calibration frames make: biases, with them darks, with both flats and maps.

        A master that cannot be built, because there are too few frames or one of them is damaged, says why; the
        library is asked for another one.

        Parameters
        ----------
        night : SortedNight
            The frames.
        date : str
            What file names call the night; by default its date in UTC.
        words : mapping
            What tells each setup from others in file names; by default only as much as this night needs.
        """
        groups = groups_of(night)
        date = night.date if date is None else date
        if words is None:
            words = setup_words(frame.setup for frame in night.frames if frame.type is not None)
        built: list[NightMaster] = []
        for kind in ("bias", "dark", "flat"):
            wanted = getattr(self.calibration, kind)
            stage = [group for group in groups if group.kind == kind and wanted is None]
            with ThreadPoolExecutor(max(1, min(self.workers, len(stage))), "etendue-masters") as threads:
                # A thread knows the chain's keywords only if it gets them with its work.
                tasks = [threads.submit(copy_context().run, self._one, group, date, words) for group in stage]
                done = [task.result() for task in tasks]
            built += done
        built += self._derived(date, groups, built, words)
        if self.settings.bad_pixels and self.calibration.bad_pixels is None:
            built += self._warm_pixels(night, date, built, words)
        return built

    # --- one master ---------------------------------------------------------------------------------------------

    def _one(self, group: Group, date: str, words: Mapping[Setup, str]) -> NightMaster:
        fewest = self.settings.fewest_of(group.kind)
        memory = self.settings.memory / self.workers
        options: dict[str, Any] = {"preparation": self.preparation, "minimum": fewest, "memory": memory}
        frames = tuple(group.paths)
        if len(frames) < fewest:
            what = f"{len(frames)} frame{'' if len(frames) == 1 else 's'}, and it takes {fewest}"
            return self._done(NightMaster(group.kind, group.label, "not built", None, frames, (what,)))
        header = group.frames[len(group.frames) // 2].header
        try:
            used: dict[str, Path | None] = {}
            match group.kind:
                case "bias":

                    def make() -> Image:
                        return master_bias(frames, **options)

                case "dark":
                    bias = self._given("bias", header)
                    used = {"bias": bias}

                    def make() -> Image:
                        return master_dark(frames, bias=bias, **options)

                case "flat":
                    bias = self._given("bias", header)
                    dark = self._given("dark", header, dark_scale=FLAT_DARK_SCALE, optional=True)
                    used = {"bias": bias, "dark": dark}

                    def make() -> Image:
                        return master_flat(frames, bias=bias, dark=dark, normalise=self.settings.normalise, **options)

            name = _file_name(group.kind, group.label, date, words.get(group.setup, ""))
            return self._made(group.kind, group.label, name, frames, used, make)
        except (ImageError, OSError) as error:
            reason = _reason(error, frames)
            return self._done(NightMaster(group.kind, group.label, "not built", None, frames, (reason,)))

    def _made(
        self,
        kind: Kind,
        label: str,
        name: str,
        frames: tuple[Path, ...],
        used: dict[str, Path | None],
        make: Made,
    ) -> NightMaster:
        """Make a master unless it is there already, compare it, and write it."""
        begin = time.perf_counter()
        path = self.folder / name
        how = [repr(self.preparation), *([self.settings.normalise] if kind == "flat" else [])]
        fingerprint = _fingerprint([*frames, *(p for p in used.values() if p is not None)], how)
        if not self.again and (found := _made_before(path, fingerprint)):
            status, reasons, numbers = found
            return self._done(NightMaster(kind, label, status, path, frames, reasons, None, numbers))
        master = make()
        last = self._last(kind, master.header, path)
        comparison = compare_masters(master, None if last is None else Image.from_file(last))
        master = judged(master, comparison)
        reasons = comparison.reasons or (comparison.summary(),)
        master.header[FINGERPRINT] = (fingerprint, "hash of what it was made from")
        _remember(master.header, reasons)
        master.writeto(path)
        numbers = {**_numbers(master), **comparison.figures}
        seconds = time.perf_counter() - begin
        return self._done(NightMaster(kind, label, comparison.status, path, frames, reasons, last, numbers, seconds))

    def _derived(
        self, date: str, groups: Sequence[Group], built: Sequence[NightMaster], words: Mapping[Setup, str]
    ) -> list[NightMaster]:
        """What follows from new masters, for each setup: a dark current from darks, a map of bad pixels."""
        derived = []
        for setup in dict.fromkeys(group.setup for group in groups):
            frames = {group.label: set(group.paths) for group in groups if group.setup == setup}
            own = [m for m in built if m.is_used and frames.get(m.label) == set(m.frames)]
            darks = [m.path for m in own if m.kind == "dark" and m.path is not None]
            flats = [m.path for m in own if m.kind == "flat" and m.path is not None]
            word = words.get(setup, "")
            if len(darks) > 1:
                name = _file_name("dark", "current", date, word)
                derived.append(self._from_masters("dark", "dark current", name, darks, partial(dark_current, darks)))
            given = isinstance(self.calibration.bad_pixels, Path | Image)
            if self.settings.bad_pixels and not given and (darks or flats):
                # Darks are in the order of their exposure time, and defects show best in the longest one.
                dark, flat = darks[-1] if darks else None, flats[-1] if flats else None
                name = _file_name("bad_pixels", "", date, word)
                sources = [path for path in (dark, flat) if path is not None]
                make = partial(bad_pixel_map, dark=dark, flat=flat)
                derived.append(self._from_masters("bad_pixels", "bad pixels", name, sources, make))
        return derived

    def _warm_pixels(
        self, night: SortedNight, date: str, built: Sequence[NightMaster], words: Mapping[Setup, str]
    ) -> list[NightMaster]:
        """Where neither the night nor the library has a map of bad pixels: one from science frames that drift."""
        made = []
        known = {frame for master in built if master.kind == "bad_pixels" for frame in master.frames}
        science = night.of(FrameType.SCIENCE)
        for setup in dict.fromkeys(frame.setup for frame in science):
            frames = [frame for frame in science if frame.setup == setup]
            if known or len(frames) < FEWEST_OF_A_SERIES or self._has_map(frames[0].header):
                continue
            step = max(1, len(frames) // MOST_OF_A_SERIES)
            paths = tuple(frame.path for frame in frames[::step])
            name = _file_name("bad_pixels", "series", date, words.get(setup, ""))
            make = partial(warm_pixels, paths, preparation=self.preparation, memory=self.settings.memory)
            made.append(self._from_masters("bad_pixels", "bad pixels", name, paths, make))
        return made

    def _has_map(self, header: Header) -> bool:
        try:
            self.library.find("bad_pixels", header, max_age=self.calibration.max_age)
        except ImageError:
            return False
        return True

    def _from_masters(self, kind: Kind, label: str, name: str, sources: Sequence[Path], make: Made) -> NightMaster:
        frames = tuple(sources)
        try:
            return self._made(kind, label, name, frames, {}, make)
        except (ImageError, OSError) as error:
            reason = _reason(error, frames)
            return self._done(NightMaster(kind, label, "not built", None, frames, (reason,)))

    # --- what it needs ------------------------------------------------------------------------------------------

    def _given(self, kind: Kind, header: Header, *, optional: bool = False, **wishes: Any) -> Path | None:
        """The master that raw calibration frames are corrected with; None if the chain wants none of its kind.

        Raises
        ------
        ImageError
            There is none.
        """
        given = getattr(self.calibration, kind)
        if given is False:
            return None
        if isinstance(given, Path):
            return given
        if isinstance(given, Image):
            raise ImageError(f"the master {kind} of the chain is an image in memory; give its file")
        try:
            return self.library.find(kind, header, max_age=self.calibration.max_age, **wishes).path
        except ImageError:
            if optional:
                return None
            raise

    def _last(self, kind: Kind, header: Header, path: Path) -> Path | None:
        """The accepted master of this kind that is nearest in time, among those for the same frames."""
        own = [entry for entry in self.library.entries() if entry.kind == kind and entry.status == "accepted"]
        others = [entry for entry in own if entry.path.resolve() != path.resolve() and _is_like(entry, header)]
        when = Image(header=header).observation_time
        if when is None:
            return others[-1].path if others else None
        dated = [entry for entry in others if entry.time is not None]
        return min(dated, key=lambda e: abs((e.time - when).total_seconds())).path if dated else None  # type: ignore[operator]

    def _done(self, master: NightMaster) -> NightMaster:
        self._tell(master)
        return master


def preparation_for(calibration: Calibration) -> Preparation:
    """How raw calibration frames are prepared, so that they are treated like the science frames."""
    section = calibration.trim if not isinstance(calibration.trim, bool) else None
    return Preparation(
        amplifiers=calibration.amplifiers,
        overscan=None if calibration.overscan is not None else False,
        trim=calibration.trim is not False,
        section=section,
    )


def _is_like(entry: MasterEntry, header: Header) -> bool:
    """Whether a master of the library is for the same frames as a new one of its kind."""
    image = Image(header=header)
    same = ["instrument", "binning", "readout_mode", *(["filter"] if entry.kind == "flat" else [])]
    if any(entry.properties.get(name) != getattr(image, name) for name in same):
        return False
    if entry.kind != "dark":
        return True
    if entry.is_rate != str(header.get("BUNIT", "adu")).replace(" ", "").lower().endswith("/s"):
        return False
    own, other = image.exposure_time or 0.0, entry.exposure_time or 0.0
    return abs(own - other) <= 0.01 * max(own, other)


def _remember(header: Header, reasons: Iterable[str]) -> None:
    """Write into the HISTORY what a comparison found; what comes from masters that it is made of is dropped."""
    kept = [str(line) for line in header.get("HISTORY", []) if not str(line).startswith(SAID)]
    header.remove("HISTORY", ignore_missing=True, remove_all=True)
    for line in (*kept, *(f"{SAID}{reason}" for reason in reasons)):
        header.add_history(line)


def _numbers(master: Image) -> dict[str, float]:
    """What the report says of a master."""
    import numpy as np

    data = master.data
    numbers = {"combined": float(master.header.get("NCOMBINE", 0))}
    finite = data[np.isfinite(data)]
    if finite.size:
        low, middle, high = np.percentile(finite[:: max(1, finite.size // 200_000)], (1, 50, 99))
        numbers |= {"level": float(middle), "low": float(low), "high": float(high)}
    if master.safe_uncertainty is not None:
        numbers["uncertainty"] = float(np.nanmedian(master.uncertainty[::4, ::4]))
    bad = data != 0 if master.header.get("IMAGETYP") == "bad pixels" else ~np.isfinite(data)
    if master.safe_mask is not None:
        bad |= master.mask != 0
    numbers["bad_fraction"] = float(np.count_nonzero(bad)) / bad.size
    return numbers


def _fingerprint(files: Iterable[Path], how: Iterable[str]) -> str:
    """A hash of what a master is made from: files by place, size and time; how; and by which version."""
    facts: list[Any] = [distribution_of(__name__), *how]
    for path in files:
        status = path.stat()
        facts.append([str(path.resolve()), status.st_size, status.st_mtime_ns])
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def _made_before(path: Path, fingerprint: str) -> tuple[str, tuple[str, ...], dict[str, float]] | None:
    """Status, reasons and numbers of a master that was made from the same frames; None if there is none."""
    try:
        header = read_fits_header(path)
    except (OSError, ImageError):
        return None
    if header.get(FINGERPRINT) != fingerprint:
        return None
    image = Image.from_file(path)
    status = str(header.get("MSTATUS", "candidate"))
    history = [str(line) for line in header.get("HISTORY", [])]
    reasons = tuple(line.removeprefix(SAID) for line in history if line.startswith(SAID))
    return ("reused" if status == "accepted" else "candidate"), reasons, _numbers(image)


def _file_name(kind: str, label: str, date: str, words: str) -> str:
    """``flat_R_2026-03-20.fits``."""
    text = "_".join(part for part in (kind, label.removeprefix(kind), words, date) if part)
    text = text.replace("'", "p")  # the filters g and g' have flats of their own
    return re.sub(r"_+", "_", re.sub(r"[^A-Za-z0-9.+-]+", "_", text)) + ".fits"


def _reason(error: Exception, frames: Iterable[Path]) -> str:
    """Why a master could not be made, with files by their names."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{Path(error.filename).name}: {error.strerror}"
    text = explain(error)
    for path in frames:
        text = text.replace(str(path), path.name)
    return text
