"""`demo`: simulated frames of the sky through a chain, from nothing to pictures, catalogues and a report."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .run import REPORT, prepare_output
from .terminal import console, number, plural, print_table, progress_console

if TYPE_CHECKING:
    from astropy.table import Table
    from rich.table import Table as TextTable

    from ..running import Results

CHAIN = "photometry"
FRAMES, SIZE, SEED = 6, 1024, 1
APERTURES, ANNULUS = (3, 5, 8), (12, 18)
"""Radii of the photometry [px]; how much of a star's light they hold is known."""

BRIGHT = 50
"""Signal-to-noise ratio of the stars that are compared with the truth."""

COLUMNS = f"""\
bright: isolated stars of signal-to-noise > {BRIGHT} that were found, of those simulated
flux/truth: their median flux, relative to the flux they were simulated with
"""
KINDS = {"images": "_reduced.fits", "catalogues": "_cat.fits", "pictures": ".png"}
"""Products of the chain, and how their names end."""


def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where frames and products go.")
    ] = Path("demo"),
    workers: Annotated[int, typer.Option("--workers", "-w", min=1, help="Worker processes.")] = 2,
) -> None:
    """Watch simulated frames go through a chain: pictures, catalogues and a report in less than a minute."""
    from ...processors.simulation import write_fields
    from ..config import builtin_chains, load_pipeline
    from ..running import run_pipeline
    from ..running.progress import progress_reporter

    out = console()
    frames, reduced = output / "frames", output / "reduced"
    for folder in (frames, reduced):
        prepare_output(folder)
    out.print(f"Simulating {FRAMES} frames of {SIZE} × {SIZE} px -> {frames}", soft_wrap=True)
    images = write_fields(frames, FRAMES, shape=(SIZE, SIZE), seed=SEED)

    chain_file = output / f"{CHAIN}.yaml"
    shutil.copyfile(builtin_chains()[CHAIN], chain_file)
    chain = load_pipeline(chain_file, variables={"apertures": list(APERTURES), "annulus": list(ANNULUS)})
    out.print(f"{chain_file}: {' | '.join(step.label for step in chain.steps)}", soft_wrap=True)
    results = run_pipeline(
        chain, images, output=reduced, workers=workers, on_event=progress_reporter(progress_console(out))
    )
    print_table(out, _table(results, frames))
    out.print(COLUMNS)
    out.print(results.summary(), soft_wrap=True)
    report = reduced / REPORT
    results.write_report(report)
    out.print(_what_lies_where(frames, reduced, chain_file, report), soft_wrap=True)
    if results.interrupted:
        raise typer.Exit(130)
    if results.failed:
        raise typer.Exit(1)


def _table(results: "Results", frames: Path) -> "TextTable":
    """One row for each frame: what was found on it, and how it compares with what was simulated."""
    from astropy.table import Table
    from rich.table import Table as TextTable

    table = TextTable(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("frame", style="cyan", no_wrap=True)
    for title in ("sources", "FWHM [px]", "sky [adu]", "bright", "flux/truth", "time [s]"):
        table.add_column(title, justify="right")
    for outcome, image in zip(results.done, results, strict=True):
        truth = Table.read(frames / "truth" / f"{outcome.path.stem}_truth.ecsv", format="ascii.ecsv")
        found, known, ratio = compare_with_truth(image.catalog, truth)
        facts = [number(outcome.facts.get(name)) for name in ("n_sources", "fwhm", "background")]
        table.add_row(outcome.path.name, *facts, f"{found} of {known}", f"{ratio:.3f}", f"{outcome.seconds:.2f}")
    return table


def compare_with_truth(catalog: "Table", truth: "Table") -> tuple[int, int, float]:
    """How many of the bright, isolated stars were found, and how right their flux is.

    Parameters
    ----------
    catalog : Table
        What the chain measured; ``flux_aper_3`` in the largest of :data:`APERTURES`.
    truth : Table
        What was simulated.

    Returns
    -------
    found, known : int
        Stars that were found within 1 px, and all of them.
    ratio : float
        Median of the flux, corrected for the light outside the aperture, relative to the truth.
    """
    import numpy as np
    from scipy.spatial import KDTree

    from ...processors.simulation import Exposure
    from ...processors.simulation.moffat import enclosed_fraction

    margin = 2 * ANNULUS[1]
    everything = np.column_stack([truth["x"], truth["y"]])
    inside = np.all((everything > margin) & (everything < SIZE - margin), axis=1)
    bright = inside & (truth["type"] == "star") & (truth["snr"] > BRIGHT) & ~truth["saturated"]
    flux = np.asarray(truth["flux_adu"])
    near = KDTree(everything).query_ball_point(everything[bright], ANNULUS[1])
    isolated = [
        sum(flux[others]) < 1.02 * flux[star] for star, others in zip(np.flatnonzero(bright), near, strict=True)
    ]
    stars = truth[np.flatnonzero(bright)[isolated]]

    distance, index = KDTree(np.column_stack([catalog["x"], catalog["y"]])).query(
        np.column_stack([stars["x"], stars["y"]])
    )
    found = distance < 1
    width, slope = float(np.median(stars["fwhm"])), Exposure().beta
    radius, (inner, outer) = APERTURES[-1], ANNULUS
    in_ring = enclosed_fraction(outer, width, slope) - enclosed_fraction(inner, width, slope)
    held = enclosed_fraction(radius, width, slope) - in_ring * radius**2 / (outer**2 - inner**2)
    measured = np.asarray(catalog["flux_aper_3"][index[found]])
    return int(found.sum()), len(stars), float(np.median(measured / held / stars["flux_adu"][found]))


def _what_lies_where(frames: Path, reduced: Path, chain: Path, report: Path) -> str:
    def first(title: str, products: Iterable[Path]) -> str:
        found = sorted(products)
        return f"  {title:<11}{found[0]} … ({len(found)})\n" if found else ""

    return (
        "What lies where:\n"
        f"  {'frames':<11}{frames}, with the truth in {frames / 'truth'}\n"
        f"  {'chain':<11}{chain}\n"
        + "".join(first(title, reduced.glob(f"*{ending}")) for title, ending in KINDS.items())
        + f"  {'report':<11}{report}\n"
        f"{plural(FRAMES, 'frame')} from the sky to the catalogue. Next, one of yours:\n"
        f"  etendue run {CHAIN} FRAME.fits -o reduced/ --report"
    )
