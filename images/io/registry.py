"""The file formats that Etendue knows, its own and plugins'.

A plugin is a distribution with an entry point of the group ``etendue.readers`` that names a :class:`Format`::

    [project.entry-points."etendue.readers"]
    zarr = "etendue_zarr:FORMAT"
"""

import functools
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from ..planes import Planes
from .content import unpacked_head
from .fits.reader import read_fits
from .fits.writer import write_fits
from .npy import MAGIC as NPY_MAGIC
from .npy import read_npy, write_npy
from .pictures import JPEG_MAGIC, PNG_MAGIC, read_picture, write_jpeg, write_png
from .tiff import MAGICS as TIFF_MAGICS
from .tiff import read_tiff, write_tiff

GROUP = "etendue.readers"

Reader = Callable[..., Planes]
"""``read(source, *, name, **options)``: `source` is a path or the bytes of a file, `name` what messages call it."""

Writer = Callable[..., None]
"""``write(planes, stream, **options)``: `stream` is a binary file."""


@dataclass(frozen=True)
class Format:
    """A kind of files that hold images.

    Attributes
    ----------
    name : str
        What messages call it.
    suffixes : tuple of str
        Endings of file names, in small letters, with the dot: ``(".fits", ".fits.gz")``.
    sniff : callable
        Whether a file that begins with these bytes (at most 4096) is of this format.
    read : callable
        ``read(source, *, name, **options) -> Planes``; raises ImageError for what is wrong with the file.
    write : callable or None
        ``write(planes, stream, **options)``; None if the format can only be read.
    write_options : mapping
        Options of `write` that follow from the suffix: ``{".fits.gz": {"compression": "gzip"}}``.
    """

    name: str
    suffixes: tuple[str, ...]
    sniff: Callable[[bytes], bool]
    read: Reader
    write: Writer | None = None
    write_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def suffix_of(self, filename: str) -> str | None:
        """The longest suffix of this format that a name ends with."""
        lower = filename.lower()
        return max((suffix for suffix in self.suffixes if lower.endswith(suffix)), key=len, default=None)


def _begins_with(*magics: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(magics)


FITS_ENDINGS = (".fits", ".fit", ".fts")
FITS_PACKINGS = {"": {}, ".gz": {"compression": "gzip"}, ".fz": {"compression": "rice"}, ".bz2": None, ".xz": None}
"""What may follow the ending of a FITS file, and how it is written; None: it is only read."""

FITS = Format(
    "FITS",
    tuple(ending + packing for ending in FITS_ENDINGS for packing in FITS_PACKINGS),
    lambda head: unpacked_head(head).startswith(b"SIMPLE"),
    read_fits,
    write_fits,
    {e + p: options for e in FITS_ENDINGS for p, options in FITS_PACKINGS.items() if options is not None},
)

OWN_FORMATS = (
    FITS,
    Format("TIFF", (".tif", ".tiff"), _begins_with(*TIFF_MAGICS), read_tiff, write_tiff),
    Format("NPY", (".npy",), _begins_with(NPY_MAGIC), read_npy, write_npy),
    Format("PNG", (".png",), _begins_with(PNG_MAGIC), read_picture, write_png),
    Format("JPEG", (".jpg", ".jpeg"), _begins_with(JPEG_MAGIC), read_picture, write_jpeg),
)


@functools.cache
def formats() -> tuple[Format, ...]:
    """All formats, Etendue's first. Plugins are loaded at the first call; a broken one is reported and left out."""
    found = list(OWN_FORMATS)
    for entry in entry_points(group=GROUP):
        try:
            plugin = entry.load()
        except Exception as error:  # noqa: BLE001 whatever a plugin does wrong, the others must work
            _report(entry, f"{type(error).__name__}: {error}")
            continue
        if isinstance(plugin, Format):
            found.append(plugin)
        else:
            _report(entry, f"it names {plugin!r} instead of a Format")
    return tuple(found)


def _report(entry: EntryPoint, problem: str) -> None:
    distribution = entry.dist.name if entry.dist is not None else "an unknown distribution"
    warnings.warn(
        f"the reader {entry.name!r} ({entry.value}) of {distribution} cannot be used: {problem}",
        RuntimeWarning,
        stacklevel=3,
    )


def format_by_suffix(path: Path) -> tuple[Format, str] | None:
    """The format that a file name announces, and its suffix; the longest suffix wins."""
    found = [(form, suffix) for form in formats() if (suffix := form.suffix_of(path.name))]
    return max(found, key=lambda pair: len(pair[1]), default=None)


def format_by_content(head: bytes) -> Format | None:
    """The format of a file that begins with these bytes."""
    return next((form for form in formats() if form.sniff(head)), None)


def image_suffixes() -> tuple[str, ...]:
    """Endings of the names of image files, in small letters, with the dot."""
    return tuple(dict.fromkeys(suffix for form in formats() for suffix in form.suffixes))


def is_image_file(path: Path) -> bool:
    """Whether the name says that a file is an image; hidden files, such as those being written, are not."""
    name = Path(path).name
    return not name.startswith(".") and name.lower().endswith(image_suffixes())
