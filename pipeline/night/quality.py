"""How good each reduced frame of a night is, in one table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from astropy.table import Table

from ...images import Header, ImageError
from ...images.catalog.files import read_table
from ...images.io.fits.reader import read_fits_header
from ..running.measured import MEASURED
from ..running.one_image import holds_pixels
from ..running.outcome import Outcome
from .light_curves import Frame
from .sorting import RawFrame

CATALOGS = (".fits", ".ecsv", ".csv", ".vot", ".xml", ".parquet")


@dataclass(frozen=True, slots=True)
class Quality:
    """A reduced frame.

    Attributes
    ----------
    path : Path
        The raw frame.
    time : datetime or None
        Middle of the exposure.
    filter, object_name : str
        From its header.
    exposure_time : float or None
        [s]
    values : mapping
        The numbers of :data:`MEASURED`, as far as they are known.
    unit : str
        Unit of the sky level.
    not_applied : str
        Corrections that the frame lacks: card CALNOT.
    """

    path: Path
    time: datetime | None
    filter: str
    object_name: str
    exposure_time: float | None
    values: Mapping[str, float]
    unit: str = ""
    not_applied: str = ""


def middle_of(frame: RawFrame) -> datetime | None:
    """The middle of the exposure."""
    start = frame.time
    return None if start is None else start + timedelta(seconds=(frame.exposure_time or 0.0) / 2)


def quality_of(outcome: Outcome, frame: RawFrame) -> Quality:
    """What the product's header says about a frame; where it says nothing, the facts that the run noted.

    The background among those facts is no level of the sky: it is of the raw frame, with its bias.
    """
    header = _header_of(outcome)
    values: dict[str, float] = {}
    for name, (card, _) in MEASURED.items():
        value = header.get(card)
        if value is None:
            value = outcome.facts.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            values[name] = float(value)
    return Quality(
        path=frame.path,
        time=middle_of(frame),
        filter=frame.filter,
        object_name=frame.value("object_name") or "",
        exposure_time=frame.exposure_time,
        values=values,
        unit=str(header.get("BUNIT") or "adu").lower(),
        not_applied="" if (missing := str(header.get("CALNOT", "") or "")) == "none" else missing,
    )


def _header_of(outcome: Outcome) -> Header:
    for product in reversed(outcome.products):
        try:
            if product.name.lower().endswith((".fits", ".fit", ".fits.fz", ".fits.gz")) and holds_pixels(product):
                return read_fits_header(product)
        except (OSError, ImageError):
            continue  # somebody removed or damaged it: the page says less about this frame
    return Header()


def catalog_of(outcome: Outcome) -> Table | None:
    """The catalogue among the products of a frame; None if there is none with positions."""
    for product in reversed(outcome.products):
        if not product.name.lower().endswith(CATALOGS):
            continue
        try:
            table = read_table(product)
        except (OSError, ValueError, ImageError):
            continue  # an image without a table, or a file that is gone
        if {"x", "y"} <= set(table.colnames):
            return table
    return None


def series_frames(outcomes: Sequence[Outcome], frames: Mapping[Path, RawFrame]) -> list[Frame]:
    """The catalogues of a night, with the times of their frames, for light curves."""
    found = []
    for outcome in outcomes:
        frame = frames.get(outcome.path)
        if frame is None or not outcome.succeeded or (time := middle_of(frame)) is None:
            continue
        catalog = catalog_of(outcome)
        if catalog is not None:
            found.append(Frame(frame.path.name, time, frame.filter, frame.value("object_name") or "", catalog))
    return found


def quality_table(rows: Sequence[Quality]) -> Table:
    """One row a frame: file, time, filter, object, exposure time and what was measured."""
    import numpy as np

    columns: dict[str, list[Any]] = {
        "file": [row.path.name for row in rows],
        "time": [
            "" if row.time is None else row.time.replace(tzinfo=None).isoformat(timespec="milliseconds") for row in rows
        ],
        "object": [row.object_name for row in rows],
        "filter": [row.filter for row in rows],
        "exposure_time": [np.nan if row.exposure_time is None else row.exposure_time for row in rows],
    }
    for name in MEASURED:
        if any(name in row.values for row in rows):
            columns[name] = [row.values.get(name, np.nan) for row in rows]
    columns["not_applied"] = [row.not_applied for row in rows]
    table = Table(columns)
    table["time"].description = "middle of the exposure (UTC)"
    table["exposure_time"].unit = "s"
    for name, (_, unit) in MEASURED.items():
        if name in table.colnames and unit:
            table[name].unit = unit
    return table
