"""`demo`: a simulated night, from its raw frames to catalogues, light curves and a report, compared with the truth."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .reduce import CHAIN, tell_master, tell_sorted
from .run import REPORT, prepare_output
from .terminal import console, plural, print_table, progress_console

if TYPE_CHECKING:
    from rich.table import Table as TextTable

    from ..night import NightResults
    from ..night.truth import NightTruth

FRAMES, SIZE, SEED = 40, 1024, 1
COMPARED = 5
"""Frames whose fluxes are compared with the truth."""

COLUMNS = """\
Masters: difference from the true map in units of the stated error; 0 ± 1 is the noise limit.
Fluxes: measured / true of isolated stars of signal-to-noise > 100. Light curves: measured / true variation.
"""


def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where frames and products go.")
    ] = Path("demo"),
    workers: Annotated[int, typer.Option("--workers", "-w", min=1, help="Worker processes.")] = 2,
    frames: Annotated[int, typer.Option("--frames", "-n", min=1, help="Science frames of the night.")] = FRAMES,
    size: Annotated[int, typer.Option("--size", min=128, max=16384, help="Side of a frame [px].")] = SIZE,
) -> None:
    """Watch a simulated night go from raw frames to light curves and a report, in about a minute."""
    from ...processors.simulation import simulate_night
    from ..config import builtin_chains, load_pipeline
    from ..night import reduce_night
    from ..night.truth import NightTruth
    from ..running.progress import progress_reporter

    out = console()
    night, reduced = output / "night", output / "reduced"
    for folder in (night, reduced):
        prepare_output(folder)
    out.print(
        f"Simulating a night: biases, darks, flats, {frames} frames of {size} × {size} px -> {night}", soft_wrap=True
    )
    with progress_console(out).status("simulating …") as status:
        simulate_night(night, SEED, frames, size, on_frame=lambda path: status.update(f"simulating … {path.name}"))

    chain_file = output / f"{CHAIN}.yaml"
    shutil.copyfile(builtin_chains()[CHAIN], chain_file)
    out.print(f"etendue reduce {night} -p {chain_file} -o {reduced} --workers {workers}", soft_wrap=True)
    report = reduced / REPORT
    results = reduce_night(
        night,
        load_pipeline(chain_file),
        output=reduced,
        workers=workers,
        on_sorted=lambda found: tell_sorted(out, found),
        on_master=lambda master: tell_master(out, master),
        on_event=progress_reporter(progress_console(out)),
        report=report,
    )
    out.print(results.summary(), soft_wrap=True)
    if results.interrupted:
        raise typer.Exit(130)
    print_table(out, compared(results, NightTruth(night / "truth")))
    out.print(COLUMNS)
    out.print(_what_lies_where(night, reduced, chain_file, report), soft_wrap=True)
    if results.failed:
        raise typer.Exit(1)


def compared(results: "NightResults", truth: "NightTruth") -> "TextTable":
    """What was measured against what was simulated: one row for each master, the fluxes, and both stars."""
    import numpy as np
    from rich.table import Table as TextTable

    table = TextTable(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("against the truth", style="cyan", no_wrap=True)
    table.add_column("measured", justify="right")
    table.add_column("expected", justify="right")
    for master in results.masters:
        if (pulls := truth.master_pulls(master)) is not None:
            table.add_row(f"master {master.label}", f"{pulls.mean:+.3f} ± {pulls.width:.3f}", "0 ± 1")
    done = results.science.done if results.science is not None else []
    chosen = done[:: max(1, len(done) // COMPARED)][:COMPARED]
    ratios = np.concatenate([np.asarray(truth.fluxes(outcome)["ratio"]) for outcome in chosen] or [np.zeros(0)])
    if ratios.size:
        error = 1.2533 * float(np.std(ratios)) / ratios.size**0.5
        table.add_row(f"fluxes of {plural(ratios.size, 'star')}", f"{np.median(ratios):.4f} ± {error:.4f}", "1")
    for role, what in (("variable", "pulsating star"), ("transit", "transit of a planet")):
        curve = truth.curve_of(role, results.curves)
        if curve is None:
            table.add_row(what, "not found", "1")
        else:
            strength, error = truth.strength(role, curve)
            table.add_row(f"{what} ({curve.name})", f"{strength:.3f} ± {error:.3f}", "1")
    return table


def _what_lies_where(night: Path, reduced: Path, chain: Path, report: Path) -> str:
    def first(title: str, products: Iterable[Path]) -> str:
        found = sorted(products)
        return f"  {title:<14}{found[0]} … ({len(found)})\n" if found else ""

    return (
        "What lies where:\n"
        f"  {'raw frames':<14}{night}, with the truth in {night / 'truth'}\n"
        f"  {'chain':<14}{chain}\n"
        + first("masters", (reduced / "masters").glob("*.fits"))
        + first("images", (reduced / "reduced").glob("*_reduced.fits"))
        + first("catalogues", (reduced / "reduced").glob("*_cat.fits"))
        + first("pictures", (reduced / "reduced").glob("*.jpg"))
        + first("light curves", (reduced / "light_curves").glob("*.ecsv"))
        + f"  {'report':<14}{report}\n"
        f"Next, a night of yours:\n  etendue reduce NIGHT/ -o reduced/ --workers 2"
    )
