"""Catalogues of sources: what their columns are called, how images share them, and their files."""

from .columns import COLUMNS, FAMILIES, Column, aperture_column, column_named, make_catalog
from .files import read_table, write_table
from .shared import SharedTable

__all__ = [
    "COLUMNS",
    "FAMILIES",
    "Column",
    "SharedTable",
    "aperture_column",
    "column_named",
    "make_catalog",
    "read_table",
    "write_table",
]
