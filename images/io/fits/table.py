"""Tables in FITS: every column comes back with its type, unit, description, format, mask and meta.

FITS has no place for some of these. They stand as JSON in one card for each column (ETCOLn) and one for the table
(ETMETA), which other programs ignore: for them it is an ordinary binary table.

References
----------
FITS Standard 4.0, section 7.3.
"""

import io
import json
import re
from math import prod
from typing import Any

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.table import Column, MaskedColumn, Table

from ...errors import ImageError
from ..content import Content
from .header import BLOCK, Hdu, card_text, cards, finished
from .pixels import open_alone

FORMS = {"b1": "L", "u1": "B", "i2": "I", "i4": "J", "i8": "K", "f4": "E", "f8": "D", "c8": "C", "c16": "M"}
"""TFORM letter by kind and size of the stored numbers."""

STORED_AS = {form: (">" + code if code[1:] != "1" else {"b1": "u1"}.get(code, code)) for code, form in FORMS.items()}

MOST_COLUMNS = 999
LONGEST_TEXT = 60
"""Characters of a name or description that stand in a card of their own; quotes count twice there."""


def table_unit(table: Table, name: str) -> bytes:
    """A table as the bytes of one HDU of a FITS file.

    Parameters
    ----------
    table : astropy.table.Table
        Columns of numbers, bools or text, of any dimension, masked or not.
    name : str
        EXTNAME of the HDU.

    Raises
    ------
    ImageError
        A column or an entry of `meta` cannot be written; the message names it.
    """
    if any(not isinstance(table[c], Column | u.Quantity) for c in table.colnames):
        return _unit_of_mixins(table, name)
    fields: list[tuple[np.ndarray, list[tuple[str, Any]]]] = []
    for column in table.itercols():
        fields.extend(_encoded(column))
    if len(fields) > MOST_COLUMNS:
        raise ImageError(f"the table {name} has {len(fields)} columns; FITS allows {MOST_COLUMNS}")

    rows = np.zeros(len(table), [(f"f{i}", array.dtype, array.shape[1:]) for i, (array, _) in enumerate(fields)])
    described = [
        ("XTENSION", "BINTABLE"),
        ("BITPIX", 8),
        ("NAXIS", 2),
        ("NAXIS1", rows.dtype.itemsize),
        ("NAXIS2", len(table)),
        ("PCOUNT", 0),
        ("GCOUNT", 1),
        ("TFIELDS", len(fields)),
        ("EXTNAME", name),
        ("ETTABLE", 1),
    ]
    for i, (array, cards_of_field) in enumerate(fields):
        rows[f"f{i}"] = array
        described += [(f"{keyword}{i + 1}", value) for keyword, value in cards_of_field]
    if table.meta:
        described.append(("ETMETA", _json(dict(table.meta), f"the meta of the table {name}")))
    header = finished("".join(card_text(keyword, value) for keyword, value in described))
    return header + rows.tobytes().ljust(-(-rows.nbytes // BLOCK) * BLOCK, b"\0")


def read_table(content: Content, hdu: Hdu) -> Table:
    """The table in an HDU, Etendue's own or anybody's.

    Raises
    ------
    ImageError
        The table cannot be decoded.
    """
    if "ETTABLE" not in hdu.values:
        return _read_foreign(content, hdu)
    try:
        return _read_own(content, hdu)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, fits.VerifyError) as error:
        raise ImageError(f"{content.name}: the table in {hdu.label} is damaged: {error}") from error


# --- writing ----------------------------------------------------------------------------------------------------


def _encoded(column: Any) -> list[tuple[np.ndarray, list[tuple[str, Any]]]]:
    """Stored values and cards of a column, and those of its mask where a mask needs a column of its own."""
    name = column.info.name
    values = np.asarray(column.value if isinstance(column, u.Quantity) else getattr(column, "data", column))
    kind = values.dtype.kind
    if kind not in "biufcSU" or (kind in "fc" and values.dtype.itemsize > (16 if kind == "c" else 8)):
        raise ImageError(f"column {name!r} holds {values.dtype}; a table can hold numbers, bools and text")
    extra: dict[str, Any] = {}
    mask = np.ma.getmaskarray(column) if isinstance(column, MaskedColumn) else None
    null: Any = None
    if mask is not None:
        extra["masked"] = True
        null = _null(values, mask)
        if null is None:
            extra["masked"] = "column"
        elif kind != "b":
            values = np.where(mask, null, values).astype(values.dtype)

    stored, form, zero = _stored(values)
    if kind == "b" and mask is not None:
        stored = np.where(mask, 0, stored).astype(np.uint8)
    if values.dtype.name not in ("bool", "float32", "float64") and not (kind in "iu" and zero is None):
        extra["dtype"] = values.dtype.str.lstrip("<>|=")
    shape = stored.shape[1:]
    text_width = [stored.dtype.itemsize] if kind in "SU" else []
    described: list[tuple[str, Any]] = [("TTYPE", _ascii(name, "name", extra)), ("TFORM", form)]
    if shape:
        described.append(("TDIM", "({})".format(",".join(map(str, [*text_width, *reversed(shape)])))))
    if zero is not None:
        described.append(("TZERO", zero))
    if kind in "iu" and null is not None:
        described.append(("TNULL", int(null) - (zero or 0)))
    if column.unit is not None:
        described.append(("TUNIT", _unit_text(column.unit, extra)))
    if column.info.description:
        described.append(("TCOMM", _ascii(column.info.description, "description", extra)))
    if column.info.format:
        extra["format"] = column.info.format
    if column.info.meta:
        extra["meta"] = dict(column.info.meta)
    described.append(("ETCOL", _json(extra, f"the meta of column {name!r}")))

    fields = [(stored, described)]
    if extra.get("masked") == "column":
        assert mask is not None
        flags, form, _ = _stored(mask)
        of_flags: list[tuple[str, Any]] = [("TTYPE", f"{described[0][1]}.mask"), ("TFORM", form)]
        if shape:
            of_flags.append(("TDIM", "({})".format(",".join(map(str, reversed(shape))))))
        fields.append((flags, [*of_flags, ("ETCOL", json.dumps({"mask_of_previous": True}))]))
    return fields


def _null(values: np.ndarray, mask: np.ndarray) -> Any:
    """A value that no valid entry has, to stand for masked ones; None if there is none."""
    valid = values[~mask]
    match values.dtype.kind:
        case "b":
            return 0
        case "f" | "c":
            return None if np.isnan(valid).any() else np.nan
        case "S" | "U":
            return None if (valid == valid.dtype.type()).any() else valid.dtype.type()
        case _:
            limits = np.iinfo(values.dtype)
            candidates = [limits.min, limits.max, limits.max - 1, *range(min(256, limits.max))]
            return next((c for c in candidates if not (valid == c).any()), None)


def _stored(values: np.ndarray) -> tuple[np.ndarray, str, int | None]:
    """Values as they are stored, their TFORM, and TZERO for the integers that FITS does not know."""
    kind, size, count = values.dtype.kind, values.dtype.itemsize, prod(values.shape[1:])
    zero: int | None = None
    if kind in "SU":
        stored = np.char.encode(values, "utf-8") if kind == "U" else values
        if stored.dtype.itemsize == 0:
            stored = stored.astype("S1")
        return stored, f"{stored.dtype.itemsize * count}A", None
    if kind == "b":
        stored = np.where(values, np.uint8(ord("T")), np.uint8(ord("F")))
        return stored, f"{count}L", None
    if kind == "u" and size > 1:
        zero = 2 ** (8 * size - 1)
        stored = (values.astype(f"u{size}") ^ np.array(zero, f"u{size}")).view(f"i{size}")
        code = f"i{size}"
    elif kind == "i" and size == 1:
        zero = -128
        stored, code = values.view(np.uint8) ^ np.uint8(0x80), "u1"
    else:
        code = {"f2": "f4"}.get(f"{kind}{size}", f"{kind}{size}")
        stored = values
    return stored.astype(f">{code}"), f"{count}{FORMS[code]}", zero


def _unit_text(unit: Any, extra: dict[str, Any]) -> str:
    try:
        text = u.Unit(unit).to_string("fits")
        if u.Unit(text, format="fits") == unit:
            return text
    except (ValueError, TypeError):
        text = str(unit)
    extra["unit"] = unit.to_string() if isinstance(unit, u.UnitBase) else str(unit)
    return text.encode("ascii", "replace").decode()[:LONGEST_TEXT]


def _ascii(text: str, key: str, extra: dict[str, Any]) -> str:
    """Text for a card; what does not fit into one card exactly is kept in full as JSON."""
    plain = "".join(c if " " <= c <= "~" else "?" for c in text)[:LONGEST_TEXT].strip()
    if plain != text or not plain:
        extra[key] = text
    return plain


def _json(value: Any, what: str) -> str:
    def plain(item: Any) -> Any:
        if isinstance(item, np.generic | np.ndarray):
            return item.tolist()
        raise TypeError(f"{type(item).__name__} {item!r} is not text, a number or a list")

    try:
        return json.dumps(value, default=plain)
    except (TypeError, ValueError) as error:
        raise ImageError(f"{what} cannot be written: {error}; convert or remove it") from error


def _unit_of_mixins(table: Table, name: str) -> bytes:
    """Times and sky coordinates: astropy knows how to take them apart and put them together again."""
    stream = io.BytesIO()
    try:
        table.write(stream, format="fits")
    except (TypeError, ValueError, AttributeError, u.UnitsError) as error:
        raise ImageError(f"the table {name} cannot be written: {error}") from error
    with fits.open(io.BytesIO(stream.getvalue())) as hdus:
        hdus[1].name = name  # type: ignore[union-attr]
        named = io.BytesIO()
        hdus.writeto(named)
    return named.getvalue()[BLOCK:]


# --- reading ----------------------------------------------------------------------------------------------------


def _read_own(content: Content, hdu: Hdu) -> Table:
    header = {}
    for keyword, card in cards(hdu.text):
        header[keyword] = fits.Card.fromstring(card).value
    count, length = header["NAXIS2"], header["NAXIS1"]
    numbers = range(1, header["TFIELDS"] + 1)
    dtype = np.dtype([(f"f{n}", *_field_type(header[f"TFORM{n}"], header.get(f"TDIM{n}"))) for n in numbers])
    if dtype.itemsize != length:
        raise ValueError(f"its rows have {length} bytes, its columns {dtype.itemsize}")
    rows = np.frombuffer(content.read(hdu.start, count * length), dtype, count)
    columns: list[Column] = []
    for n in numbers:
        extra = json.loads(header[f"ETCOL{n}"]) | {"form": header[f"TFORM{n}"].strip()[-1]}
        stored = rows[f"f{n}"]
        if extra.get("mask_of_previous"):
            columns[-1].mask = stored == ord("T")  # type: ignore[attr-defined]
            continue
        values, mask = _decoded(stored, header.get(f"TZERO{n}"), header.get(f"TNULL{n}"), extra)
        description = extra.get("description", header.get(f"TCOMM{n}"))
        unit = extra.get("unit", header.get(f"TUNIT{n}"))
        described = {
            "name": extra.get("name", header[f"TTYPE{n}"]),
            "description": description,
            "unit": None
            if unit is None
            else u.Unit(unit, format=None if "unit" in extra else "fits", parse_strict="silent"),
            "format": extra.get("format"),
            "meta": extra.get("meta"),
        }
        columns.append(Column(values, **described) if mask is None else MaskedColumn(values, mask=mask, **described))
    table = Table(columns, copy=False)
    if "ETMETA" in header:
        table.meta.update(json.loads(header["ETMETA"]))
    return table


def _field_type(form: str, dim: str | None) -> tuple[str, tuple[int, ...]]:
    match = re.fullmatch(r"(\d+)([A-Z])", form.strip())
    if match is None or match[2] not in {**STORED_AS, "A": ""}:
        raise ValueError(f"unknown TFORM {form!r}")
    count, letter = int(match[1]), match[2]
    shape = tuple(int(size) for size in dim.strip("() ").split(","))[::-1] if dim else None
    if letter == "A":
        return (f"S{count}", ()) if shape is None else (f"S{shape[-1]}", shape[:-1])
    return STORED_AS[letter], shape if shape is not None else (() if count == 1 else (count,))


def _decoded(
    stored: np.ndarray, zero: int | None, null: int | None, extra: dict[str, Any]
) -> tuple[np.ndarray, np.ndarray | None]:
    """Values in their own type, and the mask if the column is a masked one."""
    dtype = extra.get("dtype")
    kind = stored.dtype.kind
    if kind == "S":
        is_null = stored == b""
        wanted = np.dtype(dtype)
        values = np.char.decode(stored, "utf-8").astype(wanted) if wanted.kind == "U" else stored.astype(wanted)
    elif dtype is None and stored.dtype == np.uint8 and extra.get("form") == "L":
        values, is_null = stored == ord("T"), stored == 0
    elif zero is not None:
        size = stored.dtype.itemsize
        sign = np.array(1 << (8 * size - 1), f"u{size}")
        values = (stored.astype(stored.dtype.newbyteorder("=")).view(f"u{size}") ^ sign).view(np.dtype(dtype))
        is_null = stored == null
    else:
        values = stored.astype(dtype or stored.dtype.newbyteorder("="))
        is_null = np.isnan(values) if kind in "fc" else stored == null
    masked = extra.get("masked")
    return values, (np.zeros(values.shape, bool) if masked == "column" else is_null) if masked else None


def _read_foreign(content: Content, hdu: Hdu) -> Table:
    try:
        with open_alone(content, hdu) as alone:
            table = Table.read(alone, hdu=1)
            for name in table.colnames:  # not convert_bytestring_to_unicode, which fails on sky coordinates
                if isinstance(table[name], Column) and table[name].dtype.kind == "S":
                    table[name] = table[name].astype(str)
    except Exception as error:  # astropy's table code raises everything from KeyError to UnicodeDecodeError
        raise ImageError(f"{content.name}: cannot read the table in {hdu.label}: {error}") from error
    return table
