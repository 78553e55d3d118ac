"""What a product says besides its pixels: size and levels, header, provenance, catalogue.

Each returns the answer as the bytes of a JSON text: it goes to the page as it is, and the daemon need not look at it.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Table

from ....images import Image, ImageError
from ....images.catalog.files import read_table, table_suffixes
from ....images.io import read_file
from ....images.io.content import opened
from ....images.io.fits.reader import read_fits_header
from ....images.provenance import Activity
from ..shapes import Card, Header, ImageInfo, Levels, Provenance, ProvenanceStep, Shape, Sources, TableColumn, UsedFile
from .opened import PLANES, STRETCHES, open_image

BRIGHTNESS = ("flux", "flux_aper_1", "flux_auto", "peak", "snr")
"""Columns by which sources are ordered: the first that there is."""

MOST_ELEMENTS = 64
"""Of an entry that is an array."""

LONGEST_CELL = 400


def image_info(*, path: str, id: int, name: str = "") -> dict[str, bytes]:
    """Size, planes and levels of an image: :class:`ImageInfo`."""
    opened_image = open_image(path)
    planes = opened_image.planes
    image = Image.from_planes(planes)
    shown = opened_image.shown()
    lowest, highest, median = opened_image.extremes
    catalog = planes.catalog
    levels = {stretch: opened_image.cut("data", stretch) for stretch in STRETCHES}
    is_movie = image.axes == "TYX"
    answer = ImageInfo(
        id=id,
        name=name or Path(path).name,
        width=shown.shape[-1],
        height=shown.shape[-2],
        channels=3 if shown.ndim == 3 else 1,
        frames=image.data.shape[0] if is_movie else 1,
        planes=[name for name in (*PLANES, "catalog") if getattr(planes, name) is not None],
        unit=image.unit,
        object=_text(planes.header, "OBJECT"),
        filter=_text(planes.header, "FILTER"),
        levels={stretch: Levels(low=low, high=high) for stretch, (low, high) in levels.items()},
        lowest=lowest,
        highest=highest,
        median=median,
        masked=0 if planes.mask is None else int(np.count_nonzero(planes.mask)),
        sources=0 if catalog is None else len(catalog),
        pixel_scale=_pixel_scale(image),
    )
    return _json(answer)


def image_header(*, path: str, name: str = "") -> dict[str, bytes]:
    """The header of an image, card by card: :class:`Header`."""
    file = Path(path)
    with file.open("rb") as stream:
        is_fits = _is_fits(stream.read(4096))
    header = read_fits_header(file) if is_fits else read_file(file).header
    return _json(Header(name=name or file.name, cards=list(_cards(header))))


def image_provenance(*, path: str, id: int) -> dict[str, bytes]:
    """What was done to an image: :class:`Provenance`."""
    steps = [_step(activity) for activity in open_image(path).planes.provenance]
    return _json(Provenance(id=id, steps=steps))


def image_sources(*, path: str, id: int, limit: int = 2000) -> dict[str, bytes]:
    """The brightest sources of a catalogue, and their outlines: :class:`Sources`.

    `limit` says how many; the catalogue is that of an image, or a file of its own.
    """
    table = _catalog(Path(path))
    order = _brightest(table)[:limit]
    chosen = table[order] if len(table) else table
    outlined = _outlines(chosen)
    columns = [_column_info(chosen[name]) for name in chosen.colnames]
    values = [_plain_column(chosen[name]) for name in chosen.colnames]
    flags = np.nan_to_num(_numbers(chosen, "flags", 0.0)) != 0
    answer = Sources(
        id=id,
        columns=columns,
        rows=[list(row) for row in zip(*values, strict=True)] if values else [],
        total=len(table),
        **{name: _or_none(outlined[:, index]) for index, name in enumerate(("x", "y", "a", "b", "theta"))},
        flagged=flags.tolist(),
        row=[int(number) for number in order],
    )
    return _json(answer)


def _json(answer: Shape) -> dict[str, bytes]:
    return {"json": answer.model_dump_json().encode()}


# --- header ---------------------------------------------------------------------------------------------------


def _is_fits(head: bytes) -> bool:
    from ....images.io.registry import FITS

    return FITS.sniff(head)


def _cards(header: fits.Header | None) -> Iterable[Card]:
    for card in () if header is None else fits.Header(header, copy=True).cards:
        try:
            key, value, comment = card.keyword, card.value, card.comment
        except (fits.VerifyError, ValueError):
            key, value, comment = card.keyword, "(damaged)", ""
        yield Card(key=key, value=_card_value(value), comment=str(comment))


def _card_value(value: Any) -> Any:
    match value:
        case bool() | np.bool_():
            return bool(value)
        case int() | np.integer():
            return int(value)
        case float() | np.floating():
            return float(value)
        case None | fits.card.Undefined():
            return None
    return str(value)


def _text(header: fits.Header | None, key: str) -> str:
    try:
        value = None if header is None else header.get(key)
    except fits.VerifyError:
        return ""
    return value.strip() if isinstance(value, str) else ""


def _pixel_scale(image: Image) -> float | None:
    try:
        return image.pixel_scale
    except (ImageError, fits.VerifyError, ValueError):
        return None  # coordinates that nobody understands: the picture is shown without them


# --- provenance -----------------------------------------------------------------------------------------------


def _step(activity: Activity) -> ProvenanceStep:
    return ProvenanceStep(
        step=activity.step,
        processor=activity.processor,
        version=activity.version,
        parameters=json.loads(json.dumps(dict(activity.parameters), default=str)),
        inputs=[UsedFile(path=f.path, size=f.size, sha256=f.sha256, role=f.role) for f in activity.inputs],
        started=activity.started,
        seconds=activity.seconds,
        outcome=activity.outcome,
        message=activity.message,
    )


# --- catalogue ------------------------------------------------------------------------------------------------


def _catalog(path: Path) -> Table:
    """The catalogue of an image, or a table in a file of its own.

    Raises
    ------
    ImageError
        There is neither.
    """
    lower = path.name.lower()
    is_text = lower.endswith(tuple(suffix for suffix in table_suffixes() if "fit" not in suffix))
    if not is_text and not _only_a_table(path):
        catalog = open_image(str(path)).planes.catalog
        if catalog is None:
            raise ImageError(f"{path.name} has no catalogue")
        return catalog
    try:
        return read_table(path)
    except ValueError as error:
        raise ImageError(str(error)) from error


def _only_a_table(path: Path) -> bool:
    """Whether it is a FITS file without pixels."""
    from ....images.io.fits.header import scan

    with path.open("rb") as stream:
        if not _is_fits(stream.read(4096)):
            return False
    with opened(path) as content:
        return not any(hdu.has_pixels for hdu in scan(content))


def _brightest(table: Table) -> np.ndarray:
    for name in BRIGHTNESS:
        if name in table.colnames:
            return np.argsort(-np.nan_to_num(_numbers(table, name, 0.0), nan=-np.inf), kind="stable")
    return np.arange(len(table))


def _outlines(table: Table) -> np.ndarray:
    """x, y, a, b [px], theta [deg] of each row; NaN where it has no position."""
    from ....processors.output.overlay import outlines

    made = np.full((len(table), 5), np.nan)
    if not len(table) or not {"x", "y"} <= set(table.colnames):
        return made
    found = outlines(table)
    made[found[:, 5].astype(int)] = found[:, :5]
    made[:, 4] = np.degrees(made[:, 4])
    return made


def _numbers(table: Table, name: str, default: float) -> np.ndarray:
    if name not in table.colnames:
        return np.full(len(table), default)
    try:
        return np.ma.filled(np.ma.asarray(table[name], dtype=float), np.nan).reshape(len(table), -1)[:, 0]
    except (TypeError, ValueError):
        return np.full(len(table), default)


def _column_info(column: Any) -> TableColumn:
    kinds: dict[str, Any] = {"b": "boolean", "i": "integer", "u": "integer", "f": "number"}
    kind = kinds.get(column.dtype.kind, "text") if column.ndim == 1 else "text"
    unit = "" if column.unit is None else str(column.unit)
    return TableColumn(name=column.name, unit=unit, description=column.description or "", type=kind)


def _plain_column(column: Any) -> list[Any]:
    """The values of a column as JSON has them; an entry that is an array becomes text."""
    masked = np.ma.getmaskarray(column) if hasattr(column, "mask") else None
    values = np.ma.getdata(column)
    if values.ndim > 1:
        return [_array_text(entry) for entry in values]
    plain = [_cell(value) for value in np.asarray(values).tolist()]
    return plain if masked is None else [None if hidden else cell for cell, hidden in zip(plain, masked, strict=True)]


def _cell(value: Any) -> Any:
    match value:
        case None | bool() | int() | float():
            return value
        case bytes():
            return value.decode("utf-8", "replace")[:LONGEST_CELL]
    return str(value)[:LONGEST_CELL]


def _array_text(entry: Any) -> str:
    flat = np.asarray(entry).ravel()
    shown = ", ".join(
        f"{value:g}" if isinstance(value, float) else str(value) for value in flat[:MOST_ELEMENTS].tolist()
    )
    return shown + (", …" if flat.size > MOST_ELEMENTS else "")


def _or_none(values: np.ndarray) -> list[float | None]:
    return [round(value, 4) if np.isfinite(value) else None for value in values.tolist()]
