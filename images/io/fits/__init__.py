"""FITS: images, tables and headers, our own and what the world has."""

from .reader import read_fits, read_fits_header
from .writer import write_fits

__all__ = ["read_fits", "read_fits_header", "write_fits"]
