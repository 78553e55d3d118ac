"""A table that images share until somebody changes it."""

import copy as copying
from collections.abc import Mapping
from typing import Any

import numpy as np
from astropy.table import Column, Table


class SharedTable:
    """A table that images share: each owner has a table of its own over the same, read-only values.

    Parameters
    ----------
    table : astropy.table.Table
        It is taken over, not copied: its values become read-only.
    """

    __slots__ = ("_meta", "_origin", "_own", "_seen")

    def __init__(self, table: Table) -> None:
        self._own: Table | None = None
        self._take(table)

    @property
    def table(self) -> Table:
        """This owner's table. Columns may be added, removed and renamed; values are read-only."""
        if self._own is None:
            self._own = _shell(self._origin, self._meta)
            self._seen = _facts(self._own)
        return self._own

    def __len__(self) -> int:
        return len(self._origin if self._own is None else self._own)

    def share(self) -> "SharedTable":
        """Another owner of what the table is now; costs microseconds unless the table was changed."""
        if self._own is not None and self._changed(self._own):
            self._take(_shell(self._own, self._own.meta))
        twin = object.__new__(SharedTable)
        twin._origin, twin._meta, twin._own, twin._seen = self._origin, self._meta, None, None
        return twin

    def _take(self, table: Table) -> None:
        """Let this table, which nobody else has, be what all owners see."""
        for column in table.columns.values():
            _freeze(column)
        self._origin: Table = table
        self._meta: dict[str, Any] = copying.deepcopy(dict(table.meta))
        self._seen: Any = None if self._own is None else _facts(self._own)

    def _changed(self, table: Table) -> bool:
        if _facts(table) != self._seen:
            return True
        return bool(table.meta or self._meta) and not _same(dict(table.meta), self._meta)


def _facts(table: Table) -> tuple[Any, ...]:
    """What differs after a change of structure: the columns themselves, and what is said about them."""
    facts = []
    for name, column in table.columns.items():
        about = column if isinstance(column, Column) else column.info
        facts.append((name, id(column), about.unit, about.format, about.description, str(about.meta or "")))
    return tuple(facts)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if type(one) is not type(other):
        return False
    return np.array_equal(one, other) if isinstance(one, np.ndarray) else bool(one == other)


def _shell(table: Table, meta: Mapping[str, Any]) -> Table:
    """A table with the same read-only values and columns of its own; values that could be changed are copied."""
    shell = type(table)(table, copy=False)  # columns of its own, each with a deep copy of its meta
    shell.meta = copying.deepcopy(dict(meta))
    for name, column in table.columns.items():
        if not _is_frozen(column):
            shell.replace_column(name, column.copy())
    return shell


def _is_frozen(column: Any) -> bool:
    return isinstance(column, Column) and not column.flags.writeable


def _freeze(column: Any) -> None:
    if isinstance(column, np.ndarray):
        column.flags.writeable = False
        mask = getattr(column, "_mask", None)
        if isinstance(mask, np.ndarray) and mask.shape:
            mask.flags.writeable = False
