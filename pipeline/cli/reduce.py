"""`reduce`: a whole night, from the raw frames to the report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .arguments import JsonOption, SetOption, VarOption, byte_size, duration, load_chain
from .run import REPORT, OutputOption, results_as_json
from .terminal import console, plural, print_json, progress_console

if TYPE_CHECKING:
    from rich.console import Console

    from ..night.build import NightMaster
    from ..night.reduce import NightResults
    from ..night.sorting import SortedNight

CHAIN = "night"
"""The built-in chain for a night."""

MARKS = {"accepted": "built", "reused": "built before", "candidate": "WAITS FOR A PERSON", "not built": "NOT BUILT"}


def reduce(
    night: Annotated[
        list[Path], typer.Argument(metavar="NIGHT", help="Folder of raw frames of all types, or several.")
    ],
    output: OutputOption,
    pipeline: Annotated[
        str, typer.Option("--pipeline", "-p", metavar="PIPELINE", help="The science chain: a YAML file, or a name.")
    ] = CHAIN,
    masters: Annotated[
        Path | None,
        typer.Option(
            "--masters",
            "-m",
            metavar="LIBRARY",
            help="Library of masters: new ones go there, and what the night lacks is taken from it. "
            "By default FOLDER/masters.",
        ),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", "-w", min=1, help="Worker processes.")] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Leave out what an earlier run has done.")] = False,
    settings: SetOption = [],  # noqa: B006 - typer copies defaults
    variables: VarOption = [],  # noqa: B006
    memory: Annotated[
        str | None, typer.Option("--memory", metavar="SIZE", help="What all workers may use together: 4GB.")
    ] = None,
    timeout: Annotated[
        str | None, typer.Option("--timeout", metavar="TIME", help="Longest time for one frame: 90 s, 5 min.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Reduce a night: sort the raw frames, build masters, run the chain, draw light curves, write a report.

    Raw frames are only read. A frame whose type its header does not tell is listed and left alone. A new master that
    differs too much from the last of its kind waits for a person (`etendue masters list`, `accept`), and the last
    one is used. Ctrl-C stops cleanly, and --resume goes on later.
    """
    from ..night import reduce_night
    from ..running.progress import progress_reporter

    chain = load_chain(pipeline, settings, variables)
    options: dict[str, Any] = {
        "memory": None if memory is None else byte_size(memory),
        "timeout": None if timeout is None else duration(timeout, "--timeout"),
    }
    out = console(stderr=as_json)
    report = output / REPORT
    try:
        results = reduce_night(
            night,
            chain,
            output=output,
            masters=masters,
            workers=workers,
            resume=resume,
            on_sorted=lambda found: tell_sorted(out, found),
            on_master=lambda master: tell_master(out, master),
            on_event=progress_reporter(progress_console(out)),
            report=report,
            **options,
        )
    except KeyboardInterrupt:
        out.print("Interrupted: run again with --resume to go on from here")
        raise typer.Exit(130) from None
    finish_night(results, report, out, as_json=as_json)


def tell_sorted(out: "Console", night: "SortedNight") -> None:
    """How many frames of which type there are, and the unknown ones."""
    counts = ", ".join(f"{count} {kind}" for kind, count in night.counts().items())
    out.print(f"{plural(len(night.frames), 'frame')}: {counts}", soft_wrap=True)


def tell_master(out: "Console", master: "NightMaster") -> None:
    """One line for each master when it is there."""
    count = plural(len(master.frames), "frame")
    time = f" in {master.seconds:.1f} s" if master.seconds else ""
    out.print(
        f"  {master.label:<14}{MARKS[master.status]} from {count}{time}: {'; '.join(master.reasons)}", soft_wrap=True
    )


def finish_night(results: "NightResults", report: Path, out: "Console", *, as_json: bool = False) -> None:
    """Say how it went, and end with the exit code that tells it."""
    if as_json:
        print_json(night_as_json(results, report))
    else:
        out.print(results.summary(), soft_wrap=True)
        if report.exists():
            out.print(f"Report: {report}", soft_wrap=True)
    if results.interrupted:
        raise typer.Exit(130)
    if results.failed:
        raise typer.Exit(1)


def night_as_json(results: "NightResults", report: Path) -> dict[str, Any]:
    """A reduced night as plain data."""
    science = results.science
    return {
        "frames": results.night.counts(),
        "unknown": [{"path": str(frame.path), "why": frame.why} for frame in results.night.unknown],
        "masters": [
            {
                "kind": master.kind,
                "label": master.label,
                "status": master.status,
                "path": None if master.path is None else str(master.path),
                "frames": [str(path) for path in master.frames],
                "reasons": list(master.reasons),
            }
            for master in results.masters
        ],
        "science": None if science is None else results_as_json(science, results.output, None),
        "light_curves": [
            {
                "star": curve.name,
                "filter": curve.filter,
                "target": curve.is_target,
                "ra": curve.ra,
                "dec": curve.dec,
                "frames": len(curve.times),
                "amplitude": curve.amplitude,
                "reduced_chi2": curve.chi2,
            }
            for curve in results.curves
        ],
        "notes": results.notes,
        "seconds": results.seconds,
        "stages": results.stages,
        "interrupted": results.interrupted,
        "report": str(report),
    }
