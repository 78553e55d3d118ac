"""Reduce a night: sort its raw frames, build masters, run the science chain, measure, draw light curves."""

import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...images.catalog.files import write_table
from ...processors.calibration import Calibration
from ..errors import ConfigError
from ..pipeline import Pipeline
from ..running import Results, run_pipeline
from ..running.results import shown, spell
from .build import MasterBuilder, NightMaster
from .chain import calibration_of, library_of, masters_for, with_library
from .frame_types import FrameType, frame_rules
from .light_curves import LightCurve, light_curves, write_light_curves
from .quality import Quality, quality_of, quality_table, series_frames
from .settings import NightSettings
from .sorting import SortedNight, sort_night

MASTERS, REDUCED, CURVES = "masters", "reduced", "light_curves"
"""Folders within the output: masters (unless a library is given), products, light curves."""

FRAME_LIST, QUALITY_LIST = "frames.ecsv", "quality.ecsv"
"""Tables in the output: all raw frames with their types, and the numbers of the reduced ones."""


UNFINISHED = re.compile(r"\..+\.[0-9a-f]{8}\.part")
"""Name of a file that is not complete yet."""


@dataclass(slots=True)
class NightResults:
    """What a night's reduction leaves behind.

    Attributes
    ----------
    name : str
        Of the night: the folder's.
    output : Path
        Where everything is.
    library : Path
        Folder of masters.
    night : SortedNight
        All raw frames with their types.
    masters : list of NightMaster
        What became of each master.
    science : Results or None
        The run of the science chain; None if the night has no science frames.
    quality : list of Quality
        Of each frame that came out of the chain.
    curves : list of LightCurve
        Of targets and variable stars.
    notes : list of str
        What a person should know besides.
    unwritten : list of str
        Tables and reports that could not be written, and why.
    stages : dict of str to float
        How long sorting, masters, frames and light curves took [s].
    """

    name: str
    output: Path
    library: Path
    night: SortedNight
    masters: list[NightMaster] = field(default_factory=list)
    science: Results | None = None
    quality: list[Quality] = field(default_factory=list)
    curves: list[LightCurve] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unwritten: list[str] = field(default_factory=list)
    stages: dict[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """How long everything took [s]."""
        return sum(self.stages.values())

    @property
    def interrupted(self) -> bool:
        """Whether it was stopped before all frames had been taken through the chain."""
        return self.science is not None and self.science.interrupted

    @property
    def failed(self) -> bool:
        """Whether a science frame failed, a table was not written, or a raw file not read: it may be of any type."""
        damaged = any(frame.is_damaged for frame in self.night.unknown)
        return damaged or bool(self.unwritten) or (self.science is not None and bool(self.science.failed))

    def summary(self) -> str:
        """What a person needs to know in the morning."""
        lines = []
        used = sum(master.is_used for master in self.masters)
        if self.masters:
            lines.append(f"{used} of {len(self.masters)} masters built and used -> {shown(self.library)}/")
        lines += [
            f"  {master.label} {'waits for a person' if master.status == 'candidate' else 'not built'}: "
            f"{'; '.join(master.reasons)}"
            for master in self.masters
            if not master.is_used
        ]
        if self.science is not None:
            lines.append(self.science.summary())
        lines += [f"  {frame.path.name} left alone: {frame.why}" for frame in self.night.unknown]
        lines += [f"  {note}" for note in (*self.notes, *self.unwritten)]
        if self.curves:
            lines.append(f"{len(self.curves)} light curves -> {shown(self.output / CURVES)}/")
        lines.append(f"Everything in {spell(self.seconds)}")
        return "\n".join(lines)

    def write_report(self, path: str | Path) -> Path:
        """Write the report: one HTML file, see :func:`etendue.pipeline.report.night.write_night_report`."""
        from ..report.night import write_night_report

        return write_night_report(self, path)


def reduce_night(
    night: str | Path | Iterable[str | Path],
    pipeline: Pipeline,
    *,
    output: str | Path,
    masters: str | Path | None = None,
    workers: int = 1,
    resume: bool = False,
    on_sorted: Callable[[SortedNight], None] | None = None,
    on_master: Callable[[NightMaster], None] | None = None,
    report: str | Path | None = None,
    **run: Any,
) -> NightResults:
    """Reduce a night from the raw frames to the report. Raw frames are only read.

    Parameters
    ----------
    night : path, or several
        Folder (searched to the bottom) of raw frames of all types.
    pipeline : Pipeline
        The science chain. Its Calibration tells how raw calibration frames are prepared; where it names no library,
        it is given that of the night. Its section ``night`` holds :class:`~etendue.pipeline.night.NightSettings`.
    output : path
        Folder for everything; made if need be.
    masters : path
        Library of masters: new ones are put there after a comparison with the last of their kind, and what the night
        lacks is looked for there. By default the library that the chain names, else ``masters`` in the output.
    workers : int
        Worker processes for science frames, and masters that are built at the same time.
    resume : bool
        Leave out what an earlier run has done: masters that were made from the same frames, and frames.
    on_sorted, on_master : callable
        Told what was found, and each master when it is there.
    report : path
        Where to write the report.
    **run
        Further options of :func:`etendue.pipeline.running.run_pipeline`: on_event, memory, timeout …

    Returns
    -------
    NightResults

    Raises
    ------
    ConfigError
        The arguments are wrong: there is no such folder, it holds no frames, or products would go among them.
    """
    paths = [Path(night)] if isinstance(night, str | Path) else [Path(path) for path in night]
    out = Path(output)
    library = Path(masters) if masters is not None else (library_of(pipeline) or out / MASTERS)
    _check_apart(paths, out, "the output")
    _check_apart(paths, library, "the library of masters")
    with pipeline.keywords_known():
        settings = pipeline.night or NightSettings()
        stages: dict[str, float] = {}

        if resume:
            _remove_unfinished(out)
        begin = time.perf_counter()
        sorted_ = sort_night(paths, frame_rules(settings.frame_types), output=out, apart=[library])
        for folder in (out, library):
            _make_folder(folder)
        results = NightResults(_name_of(paths), out, library, sorted_, stages=stages)
        _write_frame_list(sorted_, out / FRAME_LIST)
        if on_sorted is not None:
            on_sorted(sorted_)
        stages["sorting"] = time.perf_counter() - begin

        begin = time.perf_counter()
        calibration = calibration_of(pipeline)
        builder = MasterBuilder(
            library, calibration or Calibration(), settings, workers=workers, again=not resume, tell=on_master
        )
        results.masters = builder.build(sorted_)
        stages["masters"] = time.perf_counter() - begin
        if calibration is None:
            results.notes.append("the chain has no step Calibration: its frames are not calibrated with these masters")

        begin = time.perf_counter()
        science = sorted_.of(FrameType.SCIENCE)
        if science:
            chain = with_library(pipeline, library.resolve())
            raw = [frame.path for frame in science]
            # A frame that was calibrated with other masters than it would be now is not done.
            depends = dict(zip(raw, masters_for(chain, [frame.header for frame in science]), strict=True))
            results.science = run_pipeline(
                chain, raw, output=out / REDUCED, workers=workers, resume=resume, depends=depends, **run
            )
        else:
            results.notes.append("the night has no science frames: there is nothing to run the chain on")
        stages["frames"] = time.perf_counter() - begin

        begin = time.perf_counter()
        _look_at(results, settings)
        stages["light curves"] = time.perf_counter() - begin
        if report is not None:
            with _unless_full(results):
                results.write_report(report)
        return results


@contextmanager
def _unless_full(results: NightResults) -> Iterator[None]:
    """A disk that is full at the end of the night costs what does not fit, not the account of all the rest."""
    try:
        yield
    except OSError as error:
        results.unwritten.append(f"not written: {error.filename}: {error.strerror}" if error.filename else str(error))


def _remove_unfinished(output: Path) -> None:
    """Remove what a run that was killed was writing at that moment."""
    for path in output.rglob(".*.part"):
        if UNFINISHED.fullmatch(path.name):
            path.unlink(missing_ok=True)


def _look_at(results: NightResults, settings: NightSettings) -> None:
    """Quality and light curves of what came out of the chain, written as tables."""
    if results.science is None:
        return
    frames = {frame.path: frame for frame in results.night.frames}
    results.quality = [quality_of(o, frames[o.path]) for o in results.science.done if o.path in frames]
    if results.quality:
        with _unless_full(results):
            write_table(quality_table(results.quality), results.output / QUALITY_LIST)
    lacking: dict[str, int] = {}
    for row in results.quality:
        if row.not_applied:
            lacking[row.not_applied] = lacking.get(row.not_applied, 0) + 1
    for what, count in lacking.items():
        results.notes.append(f"{count} frame{'' if count == 1 else 's'} without these corrections: {what}")
    series = series_frames(results.science.done, frames)
    curves, notes = light_curves(series, settings.targets, variables=settings.variables)
    results.curves = curves
    results.notes += notes
    with _unless_full(results):
        write_light_curves(curves, results.output / CURVES)


def _write_frame_list(night: SortedNight, path: Path) -> None:
    from astropy.table import Table

    frames = night.frames
    table = Table(
        {
            "file": [str(frame.path) for frame in frames],
            "type": [str(frame.type or "unknown") for frame in frames],
            "time": ["" if frame.time is None else frame.time.replace(tzinfo=None).isoformat() for frame in frames],
            "exposure_time": [float("nan") if frame.exposure_time is None else frame.exposure_time for frame in frames],
            "filter": [frame.filter for frame in frames],
            "object": [frame.value("object_name") or "" for frame in frames],
            "why": [frame.why for frame in frames],
        }
    )
    table["exposure_time"].unit = "s"
    write_table(table, path)


def _check_apart(night: list[Path], folder: Path, what: str) -> None:
    """What lies in the output and in the library is not raw: raw frames must not lie there.

    Raises
    ------
    ConfigError
        They do.
    """
    place = folder.resolve()
    for path in night:
        if path.resolve().is_relative_to(place):
            raise ConfigError(f"{folder}: the raw frames of {path} lie in this folder; choose another for {what}")


def _make_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: this is a file; give the name of a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder}: the folder cannot be made: {error.strerror or error}") from error


def _name_of(paths: list[Path]) -> str:
    return paths[0].resolve().name if len(paths) == 1 else f"{paths[0].resolve().name} …"
