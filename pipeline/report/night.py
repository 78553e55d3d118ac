"""Write the report of a night: one HTML file that an observer would show to a colleague."""

import base64
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from ...images import Image, ImageError
from ...images.display import downsample, encode, picture
from ...images.io import atomic_write
from ..graph import to_text
from ..night.frame_types import FrameType
from ..running.results import cause, shown, spell
from .plots import Plot, Points, plot, styles
from .report import StepBar, _step_bars, _versions, number
from .thumbnails import thumbnails

if TYPE_CHECKING:
    from ..night.build import NightMaster
    from ..night.light_curves import LightCurve
    from ..night.quality import Quality
    from ..night.reduce import NightResults
    from ..night.sorting import SortedNight

PICTURE_SIDE = 420
"""Longest side of the picture of a master [px]."""

CURVES = (
    ("seeing", "Seeing", "arcsec", False),
    ("fwhm", "Width of the stars", "px", False),
    ("sky", "Sky level", "", False),
    ("limiting_magnitude", "Limiting magnitude", "mag", False),
    ("n_sources", "Sources", "", False),
    ("ellipticity", "Ellipticity of the stars", "", False),
    ("airmass", "Airmass", "", True),
)
"""What is drawn over the night: name, title, unit, whether larger values lie lower."""

MOST_FRAMES = 400
"""Frames in the table; more are in quality.ecsv."""

STAGES = {
    "sorting": "sorting frames",
    "masters": "building masters",
    "frames": "reducing frames",
    "light curves": "light curves",
}
STATUS = {
    "accepted": "used",
    "reused": "used, built before",
    "candidate": "waits for a person",
    "not built": "not built",
}


def write_night_report(results: "NightResults", path: str | Path) -> Path:
    """Write the report of a night.

    Parameters
    ----------
    results : NightResults
        The reduced night.
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


def _content(results: "NightResults") -> dict[str, Any]:
    science, night = results.science, results.night
    outcomes = [] if science is None else science.outcomes
    pictures = thumbnails(outcomes)
    filters = list(dict.fromkeys(row.filter for row in results.quality))
    return {
        "style": _style(),
        "name": results.name,
        "date": night.date,
        "subtitle": _subtitle(night),
        "when": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        "output": shown(results.output),
        "tiles": _tiles(results),
        "interrupted": science is not None and science.interrupted,
        "left": 0 if science is None else science.run.total - len(outcomes),
        "failed": [] if science is None else science.failed,
        "notes": [*results.notes, *([] if science is None else science.run.warnings)],
        "noted": [outcome for outcome in outcomes if outcome.notes and outcome.status != "failed"],
        "light_curves": light_curve_plots(results.curves),
        "curves": _curves(results.quality, filters),
        "masters": [_shown_master(master) for master in results.masters],
        "types": _types(night),
        "unknown": night.unknown,
        "thumbnails": pictures,
        "pictured": 0 if science is None else len(science.done),
        "rows": results.quality[:MOST_FRAMES],
        "more_rows": max(0, len(results.quality) - MOST_FRAMES),
        "columns": _columns(results.quality),
        "stages": _stage_bars(results),
        "steps": [] if science is None else _step_bars(science),
        "chain": "" if science is None else to_text(science.run.pipeline),
        "versions": [] if science is None else _versions(science),
        "master_status": STATUS,
        "name_of": (lambda outcome: outcome.path.name) if science is None else science.name_of,
        "cause": cause,
        "spell": spell,
        "number": number,
        "clock": _clock,
    }


def _subtitle(night: "SortedNight") -> str:
    """Telescope, camera, objects and filters."""
    science = night.of(FrameType.SCIENCE)
    parts = []
    for name in ("telescope", "instrument", "object_name", "filter"):
        found = list(dict.fromkeys(str(value) for frame in science if (value := frame.value(name))))
        if found:
            parts.append(", ".join(found[:4]) + (f" and {len(found) - 4} more" if len(found) > 4 else ""))
    return " · ".join(parts)


def _tiles(results: "NightResults") -> list[tuple[str, str, str]]:
    """Kind, number and words of the tiles at the top."""
    science = results.science
    used = sum(master.is_used for master in results.masters)
    tiles = [
        ("done", str(0 if science is None else len(science.done)), "frames reduced"),
        ("failed some" if results.failed else "failed", str(0 if science is None else len(science.failed)), "failed"),
    ]
    if results.masters:
        kind = "dropped" if used < len(results.masters) else "done"
        tiles.append((kind, f"{used}/{len(results.masters)}", "masters built and used"))
    if results.night.unknown:
        tiles.append(("dropped", str(len(results.night.unknown)), "frames of unknown type"))
    seeing = [row.values["seeing"] for row in results.quality if "seeing" in row.values]
    if seeing:
        tiles.append(("", f"{statistics.median(seeing):.2f}″", "median seeing"))
    workers = 1 if science is None else science.run.workers
    tiles.append(("", spell(results.seconds), f"for everything, {workers} worker{'' if workers == 1 else 's'}"))
    return tiles


# --- plots ----------------------------------------------------------------------------------------------------------


def light_curve_plots(curves: Sequence["LightCurve"]) -> list[Plot]:
    """One plot for each star: its filters on top of each other, and below them a constant star."""
    plots = []
    for name in dict.fromkeys(curve.name for curve in curves):
        own = [curve for curve in curves if curve.name == name]
        style = styles([curve.filter for curve in own])
        depth = max(_reach(curve) for curve in own)
        sets = [
            Points(
                label=curve.filter or "star",
                times=curve.times,
                values=[float(value) for value in curve.magnitude],
                errors=[float(error) for error in curve.error],
                color=style[curve.filter][0],
                shape=style[curve.filter][1],
            )
            for curve in own
        ]
        main = max(own, key=lambda curve: len(curve.times))
        spread = max((abs(float(value)) for value in main.check if value == value), default=0.0)
        sets.append(
            Points(
                label="constant star, shifted",
                times=main.times,
                values=[float(value) + depth + 1.3 * spread + 0.12 * depth for value in main.check],
                color="soft",
                shape="dot",
            )
        )
        kind = "target" if own[0].is_target else "variable"
        summary = f"{kind}, {_amplitude(main)} in {main.filter}" if main.filter else f"{kind}, {_amplitude(main)}"
        plots.append(plot(name, "mag", sets, downwards=True, summary=summary))
    return plots


def _reach(curve: "LightCurve") -> float:
    known = [float(value) for value in curve.magnitude if value == value]
    return max(known, default=0.0)


def _amplitude(curve: "LightCurve") -> str:
    size = curve.amplitude
    return f"{1000 * size:.0f} mmag" if size < 0.1 else f"{size:.2f} mag"


def _curves(rows: Sequence["Quality"], filters: Sequence[str]) -> list[Plot]:
    """Numbers of the frames over the night; at least three frames make a plot."""
    style = styles(filters)
    drawn = []
    for fact, title, unit, downwards in CURVES:
        known = [row for row in rows if fact in row.values and row.time is not None]
        if len(known) < 3 or (fact == "fwhm" and any("seeing" in row.values for row in known)):
            continue
        if fact == "sky":
            unit = {"electron": "e⁻"}.get(known[0].unit, known[0].unit) + "/px"
        if fact == "limiting_magnitude" and any(row.values.get("zero_point") == 25.0 for row in known):
            title = "Limiting magnitude, instrumental"
        sets = []
        for name in filters:
            own = [row for row in known if row.filter == name]
            if own:
                times = [row.time for row in own if row.time is not None]
                values, names = [row.values[fact] for row in own], [row.path.name for row in own]
                sets.append(Points(name, times, values, names, color=style[name][0], shape=style[name][1]))
        middle = statistics.median(row.values[fact] for row in known)
        low, high = min(row.values[fact] for row in known), max(row.values[fact] for row in known)
        summary = f"{low:.4g} – {high:.4g}, median {middle:.4g} {unit}".rstrip()
        drawn.append(plot(title, unit, sets, downwards=downwards, summary=summary))
    return drawn


# --- masters --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ShownMaster:
    """A master with its picture and the facts that stand beside it."""

    master: "NightMaster"
    source: str
    facts: list[tuple[str, str]]
    frames: str


def _shown_master(master: "NightMaster") -> ShownMaster:
    numbers = master.numbers
    facts: list[tuple[str, str]] = []
    unit = "" if master.kind in ("flat", "bad_pixels") else " adu"
    if master.kind != "bad_pixels":
        if "level" in numbers and master.kind != "flat":
            facts.append(("level", f"{numbers['level']:.4g}{unit}"))
        if {"low", "high"} <= numbers.keys():
            facts.append(("98 % of pixels", f"{numbers['low']:.3g} to {numbers['high']:.3g}{unit}"))
        if "uncertainty" in numbers:
            error = (
                f"{100 * numbers['uncertainty']:.2g} %"
                if master.kind == "flat"
                else f"{numbers['uncertainty']:.3g}{unit}"
            )
            facts.append(("uncertainty", error))
    if numbers.get("bad_fraction"):
        facts.append(("bad pixels", f"{100 * numbers['bad_fraction']:.2g} %"))
    if master.compared_with is not None:
        facts.append(("compared with", master.compared_with.name))
    derived = any(path.parent == master.path.parent for path in master.frames) if master.path else False
    names = f"{len(master.frames)} {'masters' if derived else 'frames'}" if master.frames else ""
    return ShownMaster(master, _master_picture(master), facts, names)


def _master_picture(master: "NightMaster") -> str:
    """A small picture; defects of a map of bad pixels are made large enough to be seen."""
    if master.path is None:
        return ""
    try:
        data = Image.from_file(master.path).data
    except (ImageError, OSError):
        return ""  # somebody has moved it since: the page without this picture is right
    if master.kind == "bad_pixels":
        factor = max(1, -(-max(data.shape) // PICTURE_SIDE))
        height, width = (-(-n // factor) for n in data.shape)
        seen = np.zeros((height * factor, width * factor), dtype=bool)
        seen[: data.shape[0], : data.shape[1]] = data != 0
        blocks = seen.reshape(height, factor, width, factor).any(axis=(1, 3))
        content = picture(np.asarray(blocks, dtype=np.float32), vmin=0.0, vmax=1.0)
    else:
        content = picture(downsample(data, PICTURE_SIDE), low=0.5, high=99.5)
    return "data:image/jpeg;base64," + base64.b64encode(encode(content, "jpeg", quality=82)).decode()


# --- tables and bars --------------------------------------------------------------------------------------------------


def _types(night: "SortedNight") -> list[tuple[str, int, str, str]]:
    """Type, number, what they are in detail, and when they were taken."""
    rows = []
    for kind in FrameType:
        frames = night.of(kind)
        if not frames:
            continue
        parts = []
        exposures = sorted({frame.exposure_time for frame in frames if frame.exposure_time is not None})
        filters = list(dict.fromkeys(frame.filter for frame in frames if frame.filter))
        if filters and kind not in (FrameType.BIAS, FrameType.DARK):
            parts.append(", ".join(f"{sum(f.filter == name for f in frames)} in {name}" for name in filters))
        if exposures and kind is not FrameType.BIAS:
            parts.append(f"{exposures[0]:g} s" if len(exposures) == 1 else f"{exposures[0]:g} – {exposures[-1]:g} s")
        rows.append((str(kind), len(frames), " · ".join(parts), _span(frame.time for frame in frames)))
    return rows


def _span(times: Iterable[datetime | None]) -> str:
    known = sorted(time for time in times if time is not None)
    if not known:
        return ""
    return _clock(known[0]) if len(known) == 1 else f"{_clock(known[0])} – {_clock(known[-1])}"


def _clock(time: datetime | None) -> str:
    return "" if time is None else f"{time.astimezone(UTC):%H:%M}"


def _columns(rows: Sequence["Quality"]) -> list[tuple[str, str, str]]:
    """Name, title and unit of the numbers in the table of frames."""
    titles = {
        "seeing": ("Seeing", "″"),
        "fwhm": ("FWHM", "px"),
        "sky": ("Sky", ""),
        "n_sources": ("Sources", ""),
        "limiting_magnitude": ("Limit", "mag"),
        "airmass": ("Airmass", ""),
    }
    return [(name, *titles[name]) for name in titles if any(name in row.values for row in rows)]


def _stage_bars(results: "NightResults") -> list[StepBar]:
    total = results.seconds or 1.0
    longest = max(results.stages.values(), default=0.0) or 1.0
    return [
        StepBar(STAGES.get(name, name), 0, 0, seconds, 0.0, 0.0, 100 * seconds / longest, 100 * seconds / total)
        for name, seconds in results.stages.items()
    ]


@cache
def _style() -> Markup:
    """The style of all reports."""
    text = files("etendue.pipeline.report").joinpath("report.html").read_text("utf-8")
    return Markup(text.partition("<style>")[2].partition("</style>")[0])


@cache
def _template() -> Any:
    text = files("etendue.pipeline.report").joinpath("night.html").read_text("utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(text)
