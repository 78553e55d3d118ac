"""Write the report of a run: one HTML file that needs nothing else, for a desk and for a phone."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from ...images.io import atomic_write
from ..graph import to_text
from ..pipeline import every_step
from ..running.outcome import Outcome
from ..running.results import Results, cause, shown, spell
from .curves import Curve, curve
from .thumbnails import Thumbnail, thumbnails

LIBRARIES = ("etendue", "numpy", "astropy", "sep", "photutils", "numba")
"""Whose versions a report tells."""

CURVES = (("n_sources", "Sources", ""), ("fwhm", "FWHM", "px"), ("background", "Background", ""))
"""Facts that are drawn over the images of a run: name, title, unit."""

COLUMNS = (
    ("object_name", "Object", ""),
    ("filter", "Filter", ""),
    ("exposure_time", "Exposure", "s"),
    ("n_sources", "Sources", ""),
    ("fwhm", "FWHM", "px"),
    ("background", "Background", ""),
)
"""Facts in the table of images, where any image has them."""

STATUS = {"done": "done", "resumed": "done before", "dropped": "ended", "failed": "failed"}


def write_report(results: Results, path: str | Path) -> Path:
    """Write the report of a run.

    It holds the summary, failures with their reason, the images with what was found on them, pictures (a bounded
    number of small ones), the time of each step, the chain, and the versions that made it.

    Parameters
    ----------
    results : Results
        The run.
    path : path
        The HTML file; complete under its name, or not there.

    Returns
    -------
    Path
        Where it is.

    Raises
    ------
    OSError
        It cannot be written.
    """
    path = Path(path)
    page = _template().render(**_content(results))
    with atomic_write(path) as file:
        file.write(page.encode("utf-8", "replace"))
    return path


def _content(results: Results) -> dict[str, Any]:
    """Everything that the template shows."""
    run, outcomes = results.run, results.outcomes
    pictures: list[Thumbnail] = thumbnails(outcomes)
    return {
        "name": run.pipeline.name or "pipeline",
        "description": run.pipeline.description,
        "when": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        "output": shown(run.output),
        "seconds": spell(run.seconds),
        "rate": _rate(len(outcomes) - len(results.resumed), run.seconds),
        "workers": run.workers,
        "counts": _counts(results),
        "warnings": run.warnings,
        "left": run.total - len(outcomes) if run.interrupted else 0,
        "failed": results.failed,
        "noted": [outcome for outcome in outcomes if outcome.notes and outcome.status != "failed"],
        "curves": _curves(outcomes),
        "columns": [column for column in COLUMNS if any(column[0] in outcome.facts for outcome in outcomes)],
        "outcomes": outcomes,
        "status": STATUS,
        "thumbnails": pictures,
        "pictured": len(results.done),
        "steps": _step_bars(results),
        "chain": to_text(run.pipeline),
        "versions": _versions(results),
        "name_of": results.name_of,
        "cause": cause,
        "spell": spell,
        "number": number,
    }


@dataclass(frozen=True, slots=True)
class StepBar:
    """A step's time, as a bar."""

    name: str
    depth: int
    images: int
    seconds: float
    median: float
    slowest: float
    width: float
    share: float


def _step_bars(results: Results) -> list[StepBar]:
    table = results.step_times()
    total = sum(float(row["seconds"]) for row in table if "/" not in row["step"])
    longest = max((float(row["seconds"]) for row in table), default=0.0)
    return [
        StepBar(
            name=str(row["step"]).rpartition("/")[2],
            depth=str(row["step"]).count("/"),
            images=int(row["images"]),
            seconds=float(row["seconds"]),
            median=float(row["median"]),
            slowest=float(row["slowest"]),
            width=100 * float(row["seconds"]) / longest if longest else 0.0,
            share=100 * float(row["seconds"]) / total if total else 0.0,
        )
        for row in table
    ]


def _counts(results: Results) -> list[tuple[str, int, str]]:
    """Kind, number and word of each tile at the top; done and failed always, the others if there are any."""
    before = len(results.resumed)
    tiles = [("done", len(results.done) - before, "done"), ("failed", len(results.failed), "failed")]
    tiles += [("dropped", len(results.dropped), "ended on the way")] if results.dropped else []
    tiles += [("resumed", before, "done before")] if before else []
    return tiles


def _curves(outcomes: Sequence[Outcome]) -> list[Curve]:
    """Facts over the images, in the order of the input; at least three images make a curve."""
    drawn = []
    for fact, title, unit in CURVES:
        values = [outcome.facts.get(fact) for outcome in outcomes]
        if sum(value is not None for value in values) >= 3:
            drawn.append(curve(title, unit, values))
    return drawn


def _versions(results: Results) -> list[str]:
    """Python, the libraries, and every distribution that a step of the chain comes from."""
    known = [f"{library} {version(library)}" for library in LIBRARIES]
    steps = [step.version for step in every_step(results.run.pipeline)]
    return list(dict.fromkeys([*known, *steps, f"Python {platform.python_version()}"]))


def _rate(images: int, seconds: float) -> str:
    if not images or seconds <= 0:
        return ""
    rate = images / seconds
    return f"{rate:.1f} images/s" if rate >= 1 else f"{60 * rate:.1f} images/min"


def number(value: Any) -> str:
    """A value in a table: four digits of a number, a dash for nothing."""
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@cache
def _template() -> Any:
    text = files("etendue.pipeline.report").joinpath("report.html").read_text("utf-8")
    return Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True).from_string(
        text
    )
