"""Tables in files: FITS, ECSV, CSV, VOTable, Parquet, by suffix.

Units and descriptions of columns survive in all of them but CSV, which has no place for them.
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from astropy.table import Table

from ..quiet import quiet


def write_table(table: Table, path: str | Path, *, overwrite: bool = True) -> None:
    """Write a table; the format follows the suffix. Complete under its final name, or not there at all.

    Parameters
    ----------
    table : astropy.table.Table
        A catalogue, or any other table of numbers and text.
    path : path
        Ends in .fits, .fit, .ecsv, .csv, .vot, .xml or .parquet. Its folder is made if need be.
    overwrite : bool
        Whether a file of that name may be replaced.

    Raises
    ------
    ValueError
        The suffix is unknown, or the table holds what the format cannot.
    FileExistsError
        The file exists and `overwrite` is False.
    """
    from ..io.atomic import atomic_write

    path = Path(path)
    write = _format_of(path)[0]
    with atomic_write(path, overwrite=overwrite) as stream:
        write(table, stream)


def read_table(path: str | Path) -> Table:
    """A table from a file that :func:`write_table` could have written; from FITS, the first table in it.

    Raises
    ------
    ValueError
        The suffix is unknown, or the file is no such table.
    FileNotFoundError
        There is no such file.
    """
    path = Path(path)
    read = _format_of(path)[1]
    with path.open("rb") as stream:
        try:
            return read(stream)
        except Exception as error:
            raise ValueError(f"{path} cannot be read as a table: {error}") from error


def table_suffixes() -> tuple[str, ...]:
    """Suffixes that :func:`write_table` and :func:`read_table` know."""
    return tuple(FORMATS)


def _format_of(path: Path) -> tuple[Callable[[Table, BinaryIO], None], Callable[[BinaryIO], Table]]:
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"{path}: no table format has the suffix {path.suffix!r}; there are {', '.join(FORMATS)}")
    return FORMATS[path.suffix.lower()]


def _write_fits(table: Table, stream: BinaryIO) -> None:
    from astropy.io import fits

    from ..io.fits.table import table_unit

    stream.write(fits.PrimaryHDU().header.tostring().encode("ascii"))
    stream.write(table_unit(table, "CAT"))


def _read_fits(stream: BinaryIO) -> Table:
    from ..io.content import opened
    from ..io.fits.header import scan
    from ..io.fits.table import read_table as read_unit

    with opened(stream.read()) as packed:
        content = packed.unpacked()
        unit = next((hdu for hdu in scan(content) if hdu.is_table and not hdu.is_compressed), None)
        if unit is None:
            raise ValueError("it holds no table")
        return read_unit(content, unit)


def _write_votable(table: Table, stream: BinaryIO) -> None:
    with quiet():  # about units, such as electron, that the standard does not list
        table.write(stream, format="votable")


def _read_votable(stream: BinaryIO) -> Table:
    from astropy import units

    with quiet():
        table = Table.read(stream, format="votable")
        for column in table.columns.values():
            if column.unit is not None:  # a unit that the standard does not list comes as a stranger of the same name
                column.unit = units.Unit(str(column.unit), parse_strict="silent")
    return table


def _text_format(name: str) -> tuple[Callable[[Table, BinaryIO], None], Callable[[BinaryIO], Table]]:
    def write(table: Table, stream: BinaryIO) -> None:
        text = io.TextIOWrapper(stream, encoding="utf-8", newline="\n")
        table.write(text, format=name)
        text.flush()
        text.detach()  # closing the text would close the file that is still to be renamed

    def read(stream: BinaryIO) -> Table:
        return Table.read(stream.read().decode("utf-8"), format=name)

    return write, read


def _write_parquet(table: Table, stream: BinaryIO) -> None:
    import pyarrow as pa
    from astropy.table.meta import get_yaml_from_table
    from pyarrow import parquet

    arrays = {name: _to_arrow(name, column) for name, column in table.columns.items()}
    described = {"table_meta_yaml": "\n".join(get_yaml_from_table(table))}
    parquet.write_table(pa.table(arrays).replace_schema_metadata(described), stream)


def _to_arrow(name: str, column: Any) -> Any:
    import pyarrow as pa
    from astropy.units import Quantity

    values = column.value if isinstance(column, Quantity) else column
    if not isinstance(values, np.ndarray) or values.ndim > 2:
        raise ValueError(
            f"column {name!r} cannot be written to Parquet: only numbers and text in one or two dimensions can"
        )
    missing = np.ma.getmaskarray(values) if isinstance(values, np.ma.MaskedArray) else None
    plain = np.ma.getdata(values).view(np.ndarray)
    if plain.dtype.kind == "S":
        plain = np.char.decode(plain, "utf-8")
    if plain.dtype.kind not in "UO":
        plain = plain.astype(plain.dtype.newbyteorder("="), copy=False)
    flat = plain.reshape(-1)
    array = pa.array(
        flat.tolist() if flat.dtype.kind in "UO" else flat, mask=None if missing is None else missing.reshape(-1)
    )
    return array if plain.ndim == 1 else pa.FixedSizeListArray.from_arrays(array, plain.shape[1])


def _read_parquet(stream: BinaryIO) -> Table:
    from astropy.table.meta import get_header_from_yaml
    from pyarrow import parquet

    arrow = parquet.read_table(stream)
    table = Table({name: _from_arrow(arrow[name].combine_chunks()) for name in arrow.column_names}, copy=False)
    described = (arrow.schema.metadata or {}).get(b"table_meta_yaml")
    if described is not None:
        header = get_header_from_yaml(described.decode("utf-8").split("\n"))
        table.meta.update(header.get("meta", {}))
        for facts in header["datatype"]:
            for attribute in ("unit", "description", "format", "meta"):
                if attribute in facts and facts["name"] in table.colnames:
                    setattr(table[facts["name"]].info, attribute, facts[attribute])
    return table


def _from_arrow(array: Any) -> np.ndarray:
    import pyarrow as pa

    if pa.types.is_fixed_size_list(array.type):
        flat = _from_arrow(array.flatten())
        return flat.reshape(len(array), array.type.list_size)
    is_text = pa.types.is_string(array.type) or pa.types.is_large_string(array.type)
    missing = array.is_null().to_numpy(zero_copy_only=False)
    if missing.any():
        array = array.fill_null("" if is_text else False if pa.types.is_boolean(array.type) else 0)
    values = np.array(array.to_pylist(), dtype=str) if is_text else array.to_numpy(zero_copy_only=False)
    return np.ma.array(values, mask=missing) if missing.any() else values


FORMATS: dict[str, tuple[Callable[[Table, BinaryIO], None], Callable[[BinaryIO], Table]]] = {
    ".fits": (_write_fits, _read_fits),
    ".fit": (_write_fits, _read_fits),
    ".ecsv": _text_format("ascii.ecsv"),
    ".csv": _text_format("ascii.csv"),
    ".vot": (_write_votable, _read_votable),
    ".xml": (_write_votable, _read_votable),
    ".parquet": (_write_parquet, _read_parquet),
}
