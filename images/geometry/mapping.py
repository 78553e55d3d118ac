"""Where pixels go: a scale and a shift for each axis, and what they do to positions, sections and catalogues."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.table import Table

from ..catalog import column_named
from ..sections import Section


@dataclass(frozen=True, slots=True)
class PixelMap:
    """New 0-based pixel coordinates from old ones: ``x' = scale_x * x + shift_x``, and likewise for y.

    Attributes
    ----------
    scale_x, scale_y : float
        1 where pixels keep their size, 1 / b after binning by b, -1 where the axis is mirrored.
    shift_x, shift_y : float
        Where the centre of the first pixel goes [px].
    """

    scale_x: float = 1.0
    shift_x: float = 0.0
    scale_y: float = 1.0
    shift_y: float = 0.0

    @classmethod
    def binning(cls, factor: int) -> "PixelMap":
        """Blocks of `factor` pixels become one; the corner of the first pixel stays the corner of the first pixel."""
        shift = 0.5 / factor - 0.5
        return cls(1 / factor, shift, 1 / factor, shift)

    @property
    def scales(self) -> tuple[float, float]:
        """Scale of x and of y."""
        return self.scale_x, self.scale_y

    @property
    def shifts(self) -> tuple[float, float]:
        """Shift of x and of y [px]."""
        return self.shift_x, self.shift_y

    @property
    def keeps_size(self) -> bool:
        """Whether pixels keep their size."""
        return abs(self.scale_x) == abs(self.scale_y) == 1

    def section(self, section: Section, shape: tuple[int, int]) -> Section | None:
        """Where the whole pixels of a section lie in a new image of `shape` (H, W); None if nothing is left.

        After binning, a new pixel that is only partly inside does not belong to the section.
        """
        x = _interval(section.x0, section.x1, self.scale_x, self.shift_x)
        y = _interval(section.y0, section.y1, self.scale_y, self.shift_y)
        x0, x1 = max(x[0], 0), min(x[1], shape[1])
        y0, y1 = max(y[0], 0), min(y[1], shape[0])
        return Section(x0, x1, y0, y1) if x0 < x1 and y0 < y1 else None


def _interval(start: int, end: int, scale: float, shift: float) -> tuple[int, int]:
    """Whole pixels between the moved edges; the edges of pixel i are i - 1/2 and i + 1/2."""
    edges = sorted((scale * (start - 0.5) + shift, scale * (end - 0.5) + shift))
    return math.ceil(edges[0] + 0.5 - 1e-9), math.floor(edges[1] + 0.5 + 1e-9)


def move_catalog(catalog: Table, move: PixelMap, shape: tuple[int, int]) -> Table:
    """A catalogue for the moved image; sources whose centre (`x`, `y`) is outside of it are dropped.

    Positions, lengths and angles follow. Fluxes, counts of pixels and sky coordinates stay as they were measured.
    Sources without a position (NaN) stay.

    Parameters
    ----------
    catalog : Table
        Sources; not changed.
    move : PixelMap
        Where the pixels go.
    shape : (int, int)
        Rows and columns (H, W) of the new image.
    """
    moved = catalog.copy()
    for name in catalog.colnames:
        known = column_named(name)
        if known is None:
            continue
        column = catalog[name]
        if known.role in ("x", "y"):
            axis = 0 if known.role == "x" else 1
            _assign(moved, name, move.scales[axis] * np.ma.asarray(column) + move.shifts[axis])
        elif known.role == "length" and not move.keeps_size:
            _assign(moved, name, math.sqrt(abs(move.scale_x * move.scale_y)) * np.ma.asarray(column))
        elif known.role == "angle" and move.scale_x * move.scale_y < 0:
            _assign(moved, name, _mirrored(np.ma.asarray(column), str(column.unit or "deg")))
        radius = column.info.meta.get("radius") if column.info.meta else None
        if radius is not None and not move.keeps_size:
            moved[name].info.meta["radius"] = radius * math.sqrt(abs(move.scale_x * move.scale_y))
    for first, last, scale in (("xmin", "xmax", move.scale_x), ("ymin", "ymax", move.scale_y)):
        if scale < 0 and first in moved.colnames and last in moved.colnames:
            low = moved[first].copy()
            moved[first][:] = moved[last]
            moved[last][:] = low
    return moved[_inside(moved, shape)]


def _assign(table: Table, name: str, values: Any) -> None:
    """New values in a column that keeps its type and all that is said about it; integers are rounded."""
    column = table[name]
    column[:] = np.rint(values) if column.dtype.kind in "iu" else values


def _mirrored(angle: Any, unit: str) -> Any:
    """The angle seen in a mirror, in [-90, 90] degrees; an axis has no direction, so both mirrors do the same."""
    half = math.pi if unit == "rad" else 180.0
    return half / 2 - (half / 2 + angle) % half


def _inside(catalog: Table, shape: tuple[int, int]) -> np.ndarray:
    keep = np.ones(len(catalog), dtype=bool)
    for name, length in (("x", shape[1]), ("y", shape[0])):
        if name in catalog.colnames:
            position = np.ma.filled(np.ma.asarray(catalog[name], dtype=np.float64), np.nan)
            keep &= ~((position < -0.5) | (position >= length - 0.5))
    return keep
