"""How images come from files and go into them."""

from .atomic import atomic_write
from .checksum import file_checksum
from .files import check_read_options, load_planes, read_bytes, read_file, save_planes, write_file, write_stream
from .fits.reader import read_fits, read_fits_header
from .fits.writer import write_fits
from .registry import Format, formats, image_suffixes, is_image_file

__all__ = [
    "Format",
    "atomic_write",
    "check_read_options",
    "file_checksum",
    "formats",
    "image_suffixes",
    "is_image_file",
    "load_planes",
    "read_bytes",
    "read_file",
    "read_fits",
    "read_fits_header",
    "save_planes",
    "write_file",
    "write_fits",
    "write_stream",
]
