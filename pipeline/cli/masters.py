"""`masters`: build master frames, see which ones there are, and learn which one belongs to a frame and why."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .arguments import JsonOption, SetOption, VarOption, load_chain
from .run import prepare_output, require_file
from .terminal import console, number, plural, print_json, print_table

if TYPE_CHECKING:
    from rich.console import Console

    from ...processors.calibration import Calibration
    from ...processors.calibration.library import CalibrationLibrary, Explanation, MasterEntry, Status
    from ..night.build import NightMaster
    from ..night.sorting import SortedNight

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")

LibraryArgument = Annotated[Path, typer.Argument(metavar="LIBRARY", help="Folder of master frames.")]
ChainOption = Annotated[
    str | None,
    typer.Option("--pipeline", "-p", metavar="PIPELINE", help="A chain whose Calibration says what is good enough."),
]
FilesArgument = Annotated[list[Path], typer.Argument(metavar="FILES", help="Master frames.")]
ReasonOption = Annotated[str, typer.Option("--because", metavar="TEXT", help="Why; it is written into the header.")]


class Side(StrEnum):
    """On which side of the frame in time."""

    NEAREST = "nearest"
    BEFORE = "before"
    AFTER = "after"


@app.callback()
def masters() -> None:
    """Master frames: build them, list them, compare them, and learn which one belongs to a frame."""


# --- build -------------------------------------------------------------------------------------------------------


@app.command()
def build(
    frames: Annotated[list[Path], typer.Argument(metavar="FILES|FOLDERS", help="Raw frames of all types.")],
    library: Annotated[
        Path, typer.Option("--masters", "-m", metavar="LIBRARY", help="Where masters go; made if it is not there.")
    ],
    pipeline: ChainOption = None,
    workers: Annotated[int, typer.Option("--workers", "-w", min=1, help="Masters built at the same time.")] = 1,
    again: Annotated[bool, typer.Option("--again", help="Also what was built before from the same frames.")] = False,
    settings: SetOption = [],  # noqa: B006 - typer copies defaults
    variables: VarOption = [],  # noqa: B006
    as_json: JsonOption = False,
) -> None:
    """Build masters from the raw biases, darks and flats among the frames.

    Each new master is compared with the last of its kind. One that differs too much is a candidate: it is not used
    before `etendue masters accept`. With a chain, its Calibration tells how raw frames are prepared (overscan, trim).
    """
    from ...processors.calibration import Calibration
    from ..night.build import MasterBuilder
    from ..night.chain import calibration_of
    from ..night.frame_types import frame_rules
    from ..night.settings import NightSettings
    from ..night.sorting import sort_night

    chain = None if pipeline is None else load_chain(pipeline, settings, variables)
    wishes = (chain.night if chain is not None else None) or NightSettings()
    night = sort_night(frames, frame_rules(wishes.frame_types), apart=[library])
    prepare_output(library)
    out = console(stderr=as_json)
    counts = ", ".join(f"{count} {kind}" for kind, count in night.counts().items())
    out.print(f"{plural(len(night.frames), 'frame')}: {counts}", soft_wrap=True)
    calibration = (calibration_of(chain) if chain is not None else None) or Calibration()
    builder = MasterBuilder(
        library,
        calibration,
        wishes,
        workers=workers,
        again=again,
        tell=lambda master: _tell_built(out, master),
    )
    built = builder.build(night)
    used = sum(master.is_used for master in built)
    _say_built(out, night, built, library, used)
    if as_json:
        print_json({"frames": night.counts(), "masters": [_built_as_json(master) for master in built]})
    if used < len(built):
        raise typer.Exit(1)


def _tell_built(out: "Console", master: "NightMaster") -> None:
    """One line for each master, when it is there."""
    source = f" from {plural(len(master.frames), 'frame')}" if master.frames else ""
    out.print(f"  {master.label}: {master.status}{source}: {'; '.join(master.reasons)}", soft_wrap=True)


def _say_built(out: "Console", night: "SortedNight", built: "list[NightMaster]", library: Path, used: int) -> None:
    for frame in night.unknown:
        out.print(f"  {frame.path.name} left alone: {frame.why}", soft_wrap=True)
    if not built:
        out.print("There are no raw biases, darks or flats among these frames: nothing was built", soft_wrap=True)
        return
    out.print(f"{used} of {plural(len(built), 'master')} ready for use -> {library}", soft_wrap=True)
    waiting = [master.path for master in built if master.status == "candidate" and master.path is not None]
    if waiting:
        out.print(f"Next: look at {waiting[0]}, then etendue masters accept {waiting[0]}", soft_wrap=True)


def _built_as_json(master: "NightMaster") -> dict[str, Any]:
    return {
        "kind": master.kind,
        "label": master.label,
        "status": master.status,
        "path": None if master.path is None else str(master.path.absolute()),
        "frames": [str(frame) for frame in master.frames],
        "reasons": list(master.reasons),
        "compared_with": None if master.compared_with is None else str(master.compared_with),
        "numbers": dict(master.numbers),
        "seconds": master.seconds,
    }


# --- list --------------------------------------------------------------------------------------------------------


@app.command("list")
def list_(library: LibraryArgument, as_json: JsonOption = False) -> None:
    """List the masters of a library, and the files in it that cannot be read."""
    from ...processors.calibration.library import CalibrationLibrary

    files = CalibrationLibrary(library).files()
    entries = [entry for entry in files if entry.kind is not None]
    damaged = [entry for entry in files if entry.kind is None and entry.problems.get("")]
    others = len(files) - len(entries) - len(damaged)
    if as_json:
        print_json(
            {
                "masters": [_entry_as_json(entry) for entry in entries],
                "damaged": {str(entry.path): entry.problems[""] for entry in damaged},
                "others": others,
            }
        )
        return
    out = console()
    if entries:
        _print_entries(out, entries, library)
    for entry in damaged:
        out.print(f"{entry.path.name} cannot be used: {_short(entry)}", soft_wrap=True)
    more = f", {plural(others, 'other file')}" if others else ""
    out.print(f"{plural(len(entries), 'master')} in {library}{more}", soft_wrap=True)


def _print_entries(out: "Console", entries: "list[MasterEntry]", library: Path) -> None:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("kind", "of", "binning", "instrument", "taken", "frames", "status", "file"):
        table.add_column(title, style="cyan" if title == "kind" else None, justify="left", overflow="fold")
    order = {"bias": 0, "dark": 1, "flat": 2, "bad_pixels": 3}
    for entry in sorted(entries, key=lambda e: (order[str(e.kind)], _of(e), str(e.time or ""), str(e.path))):
        binning = entry.properties.get("binning")
        table.add_row(
            str(entry.kind).replace("_", " "),
            _of(entry),
            "–" if binning is None else "×".join(map(str, binning)),
            str(entry.properties.get("instrument") or "–"),
            "–" if entry.time is None else f"{entry.time:%Y-%m-%d %H:%M}",
            number(entry.combined),
            entry.status,
            _below(entry.path, library),
        )
    print_table(out, table)


def _of(entry: "MasterEntry") -> str:
    """What tells masters of one kind apart: exposure time or filter."""
    if entry.kind == "dark":
        return "current" if entry.is_rate else f"{number(entry.exposure_time, 6)} s"
    return (entry.filter or "–") if entry.kind == "flat" else ""


def _below(path: Path, folder: Path) -> str:
    """A path as seen from the library."""
    whole = folder.absolute()
    return str(path.relative_to(whole)) if path.is_relative_to(whole) else str(path)


def _short(entry: "MasterEntry") -> str:
    return entry.problems[""].removeprefix(f"{entry.path}: ")


def _entry_as_json(entry: "MasterEntry") -> dict[str, Any]:
    return {
        "path": str(entry.path),
        "kind": entry.kind,
        "status": entry.status,
        "shape": list(entry.shape),
        "unit": entry.unit,
        "combined": entry.combined,
        **{
            name: value.isoformat() if hasattr(value, "isoformat") else value
            for name, value in entry.properties.items()
        },
        "problems": dict(entry.problems),
    }


# --- check, accept, reject --------------------------------------------------------------------------------------


@app.command()
def check(
    library: LibraryArgument,
    files: Annotated[
        list[Path], typer.Argument(metavar="[FILES]", help="Masters to look at; by default all candidates.")
    ] = [],  # noqa: B006 - typer copies defaults
    as_json: JsonOption = False,
) -> None:
    """Compare masters with the last accepted ones of their kind: level, structure, noise, bad pixels.

    Files of the library that cannot be read are named too. The exit code is 1 if something is wrong.
    """
    from ...processors.calibration.library import CalibrationLibrary
    from ..night.checking import checked_master

    for path in files:
        require_file(path)
    shelf = CalibrationLibrary(library)
    damaged = [entry for entry in shelf.files() if entry.kind is None and entry.problems.get("")]
    checked = [checked_master(shelf, entry) for entry in _to_check(shelf, files)]
    if as_json:
        print_json({"masters": checked, "damaged": {str(entry.path): entry.problems[""] for entry in damaged}})
    else:
        out = console()
        for one in checked:
            last = f" against {_below(Path(one['compared_with']), library)}" if one["compared_with"] else ""
            verdict = "passes" if one["passed"] else "differs"
            out.print(
                f"{_below(Path(one['path']), library)} ({one['status']}) {verdict}{last}: {'; '.join(one['reasons'])}",
                soft_wrap=True,
            )
        for entry in damaged:
            out.print(f"{_below(entry.path, library)} cannot be used: {_short(entry)}", soft_wrap=True)
        passed = sum(one["passed"] for one in checked)
        out.print(f"{passed} of {plural(len(checked), 'master')} pass, {plural(len(damaged), 'file')} damaged")
    if damaged or not all(one["passed"] for one in checked):
        raise typer.Exit(1)


def _to_check(shelf: "CalibrationLibrary", files: list[Path]) -> "list[MasterEntry]":
    """The entries of these files, which may lie elsewhere; without files all candidates."""
    from ...images import ImageError
    from ...processors.calibration.library import read_entry

    if not files:
        return [entry for entry in shelf.entries() if entry.status == "candidate"]
    entries = [read_entry(path.absolute()) for path in files]
    for entry in entries:
        if entry.kind is None:
            raise ImageError(f"{entry.path}: {_short(entry) if entry.problems.get('') else 'this is no master'}")
    return entries


@app.command()
def accept(files: FilesArgument, because: ReasonOption = "") -> None:
    """Allow masters to be used: what a person says who has looked at them."""
    _judge(files, "accepted", because)


@app.command()
def reject(files: FilesArgument, because: ReasonOption = "") -> None:
    """Forbid masters to be used. The files remain."""
    _judge(files, "rejected", because)


def _judge(files: list[Path], status: "Status", because: str) -> None:
    from ...processors.calibration.library import set_status

    for path in files:
        require_file(path)
    for path in files:
        set_status(path, status, because or "by a person")
        typer.echo(f"{path}: {status}")


# --- why ---------------------------------------------------------------------------------------------------------


@app.command()
def why(
    frame: Annotated[Path, typer.Argument(metavar="FRAME", help="A raw frame.")],
    library: Annotated[
        Path | None, typer.Option("--masters", "-m", metavar="LIBRARY", help="Folder of masters.")
    ] = None,
    pipeline: ChainOption = None,
    max_age: Annotated[
        float | None, typer.Option("--max-age", metavar="DAYS", min=0, help="As in Calibration.")
    ] = None,
    side: Annotated[Side | None, typer.Option("--side", help="On which side of the frame in time.")] = None,
    exposure_tolerance: Annotated[
        float | None, typer.Option("--exposure-tolerance", metavar="FRACTION", min=0, help="As in Calibration.")
    ] = None,
    dark_scale: Annotated[
        tuple[float, float] | None, typer.Option("--dark-scale", metavar="LOW HIGH", help="As in Calibration.")
    ] = None,
    settings: SetOption = [],  # noqa: B006 - typer copies defaults
    variables: VarOption = [],  # noqa: B006
    as_json: JsonOption = False,
) -> None:
    """Say which masters belong to a frame, and of those that do not, why.

    With a chain, library and limits are those of its Calibration; options go before them.
    """
    from ...processors.calibration import Calibration
    from ...processors.calibration.library import CalibrationLibrary
    from ..errors import ConfigError
    from ..night.chain import calibration_of
    from ..night.sorting import header_of

    require_file(frame)
    calibration = None if pipeline is None else calibration_of(load_chain(pipeline, settings, variables))
    if pipeline is not None and calibration is None:
        raise ConfigError(f"-p {pipeline}: this chain has no step Calibration")
    calibration = calibration or Calibration()
    folder = library or calibration.library
    if folder is None:
        raise ConfigError("--masters: say which library to ask, or give a chain whose Calibration names one")
    wishes = _limits(calibration, max_age, side, exposure_tolerance, dark_scale)
    explanations = CalibrationLibrary(folder).why(header_of(frame), **wishes)
    if as_json:
        print_json({"frame": str(frame), "library": str(folder), "masters": [_why_as_json(e) for e in explanations]})
        return
    out = console()
    for explanation in explanations:
        _print_why(out, explanation, folder)


def _limits(
    calibration: "Calibration",
    max_age: float | None,
    side: Side | None,
    exposure_tolerance: float | None,
    dark_scale: tuple[float, float] | None,
) -> dict[str, Any]:
    """What is good enough: the options, and where there is none what the chain says."""
    return {
        "max_age": calibration.max_age if max_age is None else max_age,
        "when": calibration.side if side is None else str(side),
        "exposure_tolerance": calibration.exposure_tolerance if exposure_tolerance is None else exposure_tolerance,
        "dark_scale": calibration.dark_scale if dark_scale is None else dark_scale,
    }


def _print_why(out: "Console", explanation: "Explanation", library: Path) -> None:
    from rich.text import Text

    from ...processors.calibration.library import days

    out.print(Text(explanation.request, style="bold"), soft_wrap=True)
    for text, count in explanation.steps:
        out.print(f"{count:6d} {text}", soft_wrap=True)
    match = explanation.match
    if match is None:
        out.print(f"  none: {explanation.reason}", soft_wrap=True)
        return
    age = ""
    if match.age is not None:
        age = f", taken {days(match.age)} {'before' if match.age >= 0 else 'after'} the frame"
    scale = f", times {match.scale:.6g}{' s' if match.entry.is_rate else ''}" if match.scale != 1 else ""
    out.print(f"  {_below(match.path, library)}{age}{scale}", soft_wrap=True)


def _why_as_json(explanation: "Explanation") -> dict[str, Any]:
    match = explanation.match
    return {
        "kind": explanation.kind,
        "request": explanation.request,
        "steps": [{"test": text, "left": count} for text, count in explanation.steps],
        "path": None if match is None else str(match.path),
        "age_days": None if match is None else match.age,
        "scale": None if match is None else match.scale,
        "reason": explanation.reason,
    }
