"""Is a file complete? What its own format says, without reading the pixels."""

import errno
import io
import lzma
import os
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path

import numpy as np

from ....images import ImageError
from ....images.io.content import UNPACKERS, Content
from ....images.io.fits.header import BLOCK, Hdu, scan
from ....images.io.registry import format_by_content, format_by_suffix

CHUNK = 1 << 20
LARGEST_PICTURE = 178_956_970
"""Pixels beyond which Pillow refuses a picture."""


class Hostile(ImageError):
    """The file is made to do harm: it unpacks to far more than anybody has memory for."""


class NotWhole(ImageError):
    """The file is not complete, or not yet."""


def open_regular(path: Path) -> int:
    """A descriptor of a regular file; never waits, as for the other end of a pipe.

    Raises
    ------
    ImageError
        It is no regular file.
    OSError
        It cannot be opened.
    """
    if "\0" in str(path):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    if not stat.S_ISREG(path.stat().st_mode):  # a device may do something when it is opened
        raise ImageError(f"{path}: is no regular file")
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ImageError(f"{path}: is no regular file")
    return descriptor


class PackedContent(Content):
    """The bytes inside a packed file, read from the front to the back without keeping them.

    Raises
    ------
    NotWhole
        The packed data end in the middle.
    ImageError
        They are damaged.
    Hostile
        They unpack to more than `largest` bytes.
    """

    def __init__(self, path: Path, magic: bytes, largest: int) -> None:
        super().__init__(path)
        self._stream.close()
        unpacker = UNPACKERS[magic]
        self.size = 0
        try:
            with unpacker(path, "rb") as stream:
                while piece := stream.read(CHUNK):
                    self.size += len(piece)
                    if self.size > largest:
                        raise Hostile(f"{path}: refused: it unpacks to more than {largest} bytes")
        except EOFError:
            raise NotWhole(f"{path}: truncated: the packed data end in the middle") from None
        except (OSError, zlib.error, lzma.LZMAError) as error:
            raise ImageError(f"{path}: the packed data are damaged: {error}") from error
        self._stream = unpacker(path, "rb")  # type: ignore[assignment]


@contextmanager
def whole_fits(path: Path, largest: int) -> Iterator[tuple[Content, list[Hdu]]]:
    """The parts of a FITS file that is complete.

    Raises
    ------
    NotWhole
        It ends before the data that its headers announce, or nothing was written to its beginning yet.
    Hostile
        Its pixels would take more than `largest` bytes, far more than the file has.
    ImageError
        It is no FITS file, or damaged.
    """
    with _unpacked(path, largest) as content:
        head = content.read(0, 8)
        if not head.strip(b"\0"):
            raise NotWhole(f"{path}: nothing was written to its beginning yet")
        if content.size < BLOCK and b"SIMPLE  ".startswith(head):
            raise NotWhole(f"{path}: truncated: it ends after {content.size} bytes, within the first header")
        try:
            hdus = scan(content)
        except ImageError as error:
            if "truncated" in str(error):
                raise NotWhole(str(error)) from error
            raise
        end = hdus[-1].start + -(-hdus[-1].length // BLOCK) * BLOCK
        if (rest := content.read(end, 8)) and len(rest) < 8 and b"XTENSION".startswith(rest):
            raise NotWhole(f"{path}: truncated: it ends within the first card of an extension")
        for hdu in hdus:
            if hdu.is_compressed and prod(hdu.shape) * abs(hdu.values["ZBITPIX"]) // 8 > largest:
                raise Hostile(f"{path}: refused: the pixels of {hdu.label} unpack to more than {largest} bytes")
        yield content, hdus


def _unpacked(path: Path, largest: int) -> Content:
    """The content of a file without gzip, bzip2 or xz around it."""
    with path.open("rb", buffering=0) as stream:
        head = stream.read(8)
    magic = next((magic for magic in UNPACKERS if head.startswith(magic)), None)
    return Content(path) if magic is None else PackedContent(path, magic, largest)


def check_whole(path: Path, largest: int) -> bool | None:
    """Whether a file of another format than FITS is complete; None if its format does not say.

    Raises
    ------
    NotWhole
        It is not.
    Hostile
        It holds far more pixels than its size suggests.
    ImageError
        It is damaged, or no image.
    """
    with Content(path) as content:
        head = content.head()
        found = format_by_content(head)
        if found is None:
            if not head.strip(b"\0"):
                raise NotWhole(f"{path}: nothing was written to its beginning yet")
            announced = format_by_suffix(path)
            what = announced[0].name if announced else "an image"
            raise ImageError(f"{path}: is not {what}: it begins with {head[:16]!r}")
        check = CHECKS.get(found.name)
        return None if check is None else check(content, largest)


def _whole_npy(content: Content, _: int) -> bool:
    head = content.head()
    stream = io.BytesIO(head)
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
    except ValueError as error:
        if len(head) < 128:
            raise NotWhole(f"{content.name}: truncated: it ends within its header") from error
        raise ImageError(f"{content.name}: not an .npy file: {error}") from error
    needed = stream.tell() + prod(shape) * dtype.itemsize
    if content.size < needed:
        raise NotWhole(f"{content.name}: truncated: it ends after {content.size} of {needed} bytes")
    return True


def _whole_png(content: Content, largest: int) -> bool:
    head = content.head()
    width, height = int.from_bytes(head[16:20]), int.from_bytes(head[20:24])
    if width * height > min(LARGEST_PICTURE, largest):
        raise Hostile(f"{content.name}: refused: a picture of {width} × {height} pixels would fill the memory")
    if b"IEND" not in content.read(max(0, content.size - 64), 64):
        raise NotWhole(f"{content.name}: truncated: the end mark of PNG is missing")
    return True


def _whole_jpeg(content: Content, largest: int) -> bool:
    if b"\xff\xd9" not in content.read(max(0, content.size - 4096), 4096):
        raise NotWhole(f"{content.name}: truncated: the end mark of JPEG is missing")
    from PIL import Image as Pillow

    try:
        with Pillow.open(content.name, formats=("JPEG",)) as picture:
            width, height = picture.size
    except Pillow.DecompressionBombError as error:
        raise Hostile(f"{content.name}: refused: it would fill the memory: {error}") from error
    except (OSError, ValueError, SyntaxError) as error:
        raise ImageError(f"{content.name}: not a JPEG picture: {error}") from error
    if width * height > min(LARGEST_PICTURE, largest):
        raise Hostile(f"{content.name}: refused: a picture of {width} × {height} pixels would fill the memory")
    return True


def _whole_tiff(content: Content, largest: int) -> bool | None:
    import tifffile

    try:
        with tifffile.TiffFile(content.name) as file:
            end, pixels = 0, 0
            for page in file.pages:
                frame = page.aspage()
                starts, lengths = frame.dataoffsets, frame.databytecounts
                end = max([end, *(start + length for start, length in zip(starts, lengths, strict=False))])
                pixels += prod(frame.shape) * (frame.bitspersample // 8 or 1)
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError):
        return None  # a writer that is not ready yet has not written the directory
    if pixels > largest:
        raise Hostile(f"{content.name}: refused: its pixels unpack to {pixels} bytes, more than {largest}")
    if end > content.size:
        raise NotWhole(f"{content.name}: truncated: it ends after {content.size} of {end} bytes")
    return True if end else None


CHECKS: dict[str, Callable[[Content, int], bool | None]] = {
    "NPY": _whole_npy,
    "PNG": _whole_png,
    "JPEG": _whole_jpeg,
    "TIFF": _whole_tiff,
}
"""How completeness is told for each format; what is not here is complete when it does not change any more."""
