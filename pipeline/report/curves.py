"""Small curves of a number over the images of a run."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, MARGIN = 300.0, 64.0, 6.0
"""Size of a drawing, and the room around the curve [units of the drawing]."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A number over the images, ready to be drawn.

    Attributes
    ----------
    title, unit : str
        What it is.
    points : list of (float, float)
        Position of each image in the drawing; the y axis points down.
    middle, low, high : float
        Median and extremes of the values.
    """

    title: str
    unit: str
    points: list[tuple[float, float]]
    middle: float
    low: float
    high: float


def curve(title: str, unit: str, values: Sequence[float | None]) -> Curve:
    """Place the values of the images in a drawing; images without a value leave a gap in x."""
    known = [float(value) for value in values if value is not None]
    low, high = min(known), max(known)
    across = (WIDTH - 2 * MARGIN) / max(len(values) - 1, 1)
    up = (HEIGHT - 2 * MARGIN) / (high - low) if high > low else 0.0
    points = [
        (
            round(MARGIN + index * across, 1),
            round(HEIGHT - MARGIN - (float(value) - low) * up if up else HEIGHT / 2, 1),
        )
        for index, value in enumerate(values)
        if value is not None
    ]
    return Curve(title, unit, points, statistics.median(known), low, high)
