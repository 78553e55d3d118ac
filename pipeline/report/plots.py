"""Plots over the time of a night, drawn as SVG that a page holds: readable on a phone, in the dark, and in print."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from markupsafe import Markup, escape

WIDTH, HEIGHT = 380.0, 210.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 10.0, 10.0, 26.0
"""Size of a drawing and the room around the data [units of the drawing]."""

COLORS = {
    "": "accent", "B": "blue", "V": "green", "R": "orange", "I": "purple", "U": "sky", "g": "green", "r": "orange",
    "i": "purple", "z": "yellow", "u": "sky",
}  # fmt: skip
"""Colours of well-known filters; they are told apart by the colour-blind, too (Okabe & Ito)."""

CYCLE = ("blue", "orange", "green", "purple", "sky", "yellow")
SHAPES = ("circle", "square", "diamond", "triangle")


@dataclass(frozen=True, slots=True)
class Points:
    """One set of points of a plot.

    Attributes
    ----------
    label : str
        In the legend.
    times : sequence of datetime
        x.
    values : sequence of float
        y; NaN is not drawn.
    names : sequence of str
        What a point is called when somebody points at it.
    errors : sequence of float
        Half the length of an error bar.
    color, shape : str
        See :data:`CYCLE` and :data:`SHAPES`; "soft" is quiet.
    """

    label: str
    times: Sequence[datetime]
    values: Sequence[float]
    names: Sequence[str] = ()
    errors: Sequence[float] = ()
    color: str = "accent"
    shape: str = "circle"


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot, ready to be shown.

    Attributes
    ----------
    title, unit : str
        What it shows.
    summary : str
        Its most important numbers, in words.
    svg : Markup
        The drawing.
    legend : list of (str, str, Markup)
        Label, colour and mark of each set of points, if there are several.
    """

    title: str
    unit: str
    summary: str
    svg: Markup
    legend: list[tuple[str, str, Markup]] = field(default_factory=list)


def styles(labels: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Colour and shape of the points of each filter."""
    found: dict[str, tuple[str, str]] = {}
    for number, label in enumerate(labels):
        color = COLORS.get(label, CYCLE[number % len(CYCLE)])
        if color in {known for known, _ in found.values()}:
            color = next((c for c in CYCLE if c not in {known for known, _ in found.values()}), color)
        found[label] = color, SHAPES[number % len(SHAPES)]
    return found


def plot(
    title: str, unit: str, sets: Sequence[Points], *, downwards: bool = False, summary: str = "", zero: bool = False
) -> Plot:
    """Draw values over time.

    Parameters
    ----------
    title, unit : str
        What is shown.
    sets : sequence of Points
        At least one of them has a finite value.
    downwards : bool
        Larger values lie lower, as magnitudes do.
    summary : str
        What stands beside the title; by default the range.
    zero : bool
        The axis begins at zero.
    """
    known = [(t, v, e) for s in sets for t, v, e in zip(s.times, s.values, _errors(s), strict=True) if math.isfinite(v)]
    begin, end = min(t for t, _, _ in known), max(t for t, _, _ in known)
    low, high = min(v - e for _, v, e in known), max(v + e for _, v, e in known)
    if zero:
        low = min(low, 0.0)
    ticks = _ticks(low, high)
    room = 0.06 * ((high - low) or abs(high) or 1.0)
    low, high = (0.0 if zero and low >= 0 else low - room), high + room
    hours = max((end - begin).total_seconds(), 60.0)
    first, last = begin - timedelta(seconds=0.03 * hours), end + timedelta(seconds=0.03 * hours)

    def across(time: datetime) -> float:
        return LEFT + (time - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def down(value: float) -> float:
        part = (value - low) / (high - low)
        return TOP + (part if downwards else 1 - part) * (HEIGHT - TOP - BOTTOM)

    parts = [_grid(down(tick), _number(tick, ticks)) for tick in ticks if low <= tick <= high]
    parts += [_moment(across(time), text) for time, text in _moments(first, last)]
    for s in sets:
        marks = []
        for k, (time, value, error) in enumerate(zip(s.times, s.values, _errors(s), strict=True)):
            if not math.isfinite(value):
                continue
            x, y = across(time), down(value)
            if error > 0:
                y0, y1 = down(value - error), down(value + error)
                marks.append(f'<path d="M{x:.1f} {y0:.1f}V{y1:.1f}" class="bar"/>')
            name = f"{s.names[k]}: " if s.names else ""
            hint = f"{name}{value:.4g} {unit} at {time.astimezone(UTC):%H:%M} UTC"
            marks.append(f"<g><title>{escape(hint)}</title>{mark(s.shape, x, y)}</g>")
        parts.append(f'<g class="set {escape(s.color)}">{"".join(marks)}</g>')
    label = escape(f"{title} over the night")
    svg = f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" aria-label="{label}">{"".join(parts)}</svg>'
    values = [v for s in sets if s.color != "soft" for v in s.values if math.isfinite(v)]
    summary = summary or f"{min(values):.4g} – {max(values):.4g}{f' {unit}' if unit else ''}"
    legend = [(s.label, s.color, _swatch(s)) for s in sets if s.label] if len(sets) > 1 else []
    return Plot(title, unit, summary, Markup(svg), legend)


def mark(shape: str, x: float, y: float, size: float = 3.0) -> str:
    """One point."""
    match shape:
        case "square":
            side = 1.8 * size
            return f'<rect x="{x - side / 2:.1f}" y="{y - side / 2:.1f}" width="{side:.1f}" height="{side:.1f}"/>'
        case "diamond":
            d = 1.3 * size
            return f'<path d="M{x:.1f} {y - d:.1f}l{d:.1f} {d:.1f}l{-d:.1f} {d:.1f}l{-d:.1f} {-d:.1f}z"/>'
        case "triangle":
            d = 1.3 * size
            return f'<path d="M{x:.1f} {y - d:.1f}l{d:.1f} {1.8 * d:.1f}h{-2 * d:.1f}z"/>'
        case "dot":
            return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{0.6 * size:.1f}"/>'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size:.1f}"/>'


def _swatch(s: Points) -> Markup:
    drawn = (
        f'<svg class="swatch" viewBox="0 0 10 10"><g class="set {escape(s.color)}">{mark(s.shape, 5, 5, 3.4)}</g></svg>'
    )
    return Markup(drawn)


def _errors(s: Points) -> list[float]:
    return [e if math.isfinite(e) else 0.0 for e in s.errors] if s.errors else [0.0] * len(s.values)


def _grid(y: float, text: str) -> str:
    return (
        f'<path d="M{LEFT:g} {y:.1f}H{WIDTH - RIGHT:g}" class="grid"/>'
        f'<text x="{LEFT - 6:g}" y="{y:.1f}" dy=".35em" text-anchor="end">{escape(text)}</text>'
    )


def _moment(x: float, text: str) -> str:
    floor = HEIGHT - BOTTOM
    return (
        f'<path d="M{x:.1f} {floor:g}v4" class="tick"/>'
        f'<text x="{x:.1f}" y="{floor + 17:g}" text-anchor="middle">{escape(text)}</text>'
    )


def _ticks(low: float, high: float) -> list[float]:
    """Some round numbers between two values."""
    if not high > low:
        return [low]
    rough = (high - low) / 6
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    first = math.ceil(low / step)
    return [k * step for k in range(first, math.floor(high / step) + 1)]


def _number(value: float, ticks: Sequence[float]) -> str:
    """A tick as short as its neighbours allow."""
    step = min((abs(b - a) for a, b in pairwise(ticks)), default=abs(value) or 1.0)
    digits = max(0, min(6, -math.floor(math.log10(step) + 1e-9)))
    text = f"{value:.{digits}f}"
    return text.replace("-", "−") if float(text) else text.removeprefix("-")


def _moments(begin: datetime, end: datetime) -> list[tuple[datetime, str]]:
    """Times of day for the axis: between three and seven of them."""
    span = (end - begin).total_seconds()
    step = next((s for s in (60, 300, 600, 1800, 3600, 7200, 14400, 43200) if span / s <= 7), 86400)
    start = begin.astimezone(UTC)
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    first = math.ceil((start - midnight).total_seconds() / step)
    times = [midnight + timedelta(seconds=k * step) for k in range(first, first + 9)]
    return [(time, f"{time:%H:%M}") for time in times if time <= end]
