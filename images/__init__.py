"""The image and what belongs to it: planes, flags, files, coordinates, catalogues, pictures."""

from .catalog import COLUMNS, make_catalog
from .errors import EtendueError, ImageError, TransientError
from .flags import PixelFlag
from .header import Header
from .image import Image
from .planes import Planes
from .provenance import Activity, InputFile
from .sections import Section

__all__ = [
    "COLUMNS",
    "Activity",
    "EtendueError",
    "Header",
    "Image",
    "ImageError",
    "InputFile",
    "PixelFlag",
    "Planes",
    "Section",
    "TransientError",
    "make_catalog",
]
