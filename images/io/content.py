"""The bytes of a file that is being read, wherever they are: on the disk, in memory, or packed by gzip."""

import bz2
import gzip
import io
import lzma
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from ..errors import ImageError

LARGEST_UNPACKED = 8 * 2**30
"""Bytes that a packed file may unpack to; a few kilobytes can be made to unpack to terabytes."""

HEAD = 4096
"""Bytes at the beginning of a file from which its format is told."""

UNPACKERS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
UNSUPPORTED_PACKING = {b"\x1f\x9d": "compress (.Z)", b"PK\x03\x04": "zip"}


class Content:
    """The bytes of one file, read at any position.

    Parameters
    ----------
    source : path or bytes
        The file, or what is in it.
    name : str
        What error messages call it; by default the path.
    """

    def __init__(self, source: Path | bytes, name: str | None = None) -> None:
        self.path = None if isinstance(source, bytes | bytearray | memoryview) else Path(source)
        self.name = name or (str(self.path) if self.path else "the given bytes")
        self._stream: BinaryIO
        if self.path is None:
            self._stream = io.BytesIO(source)  # type: ignore[arg-type]
            self.size = len(source)  # type: ignore[arg-type]
        else:
            self._stream = self.path.open("rb", buffering=0)
            self.size = os.fstat(self._stream.fileno()).st_size
        if self.size == 0:
            self._stream.close()
            raise ImageError(f"{self.name}: the file is empty")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    def head(self) -> bytes:
        """The first bytes, or fewer if the file is shorter."""
        return self.read(0, min(HEAD, self.size))

    def read(self, start: int, length: int) -> bytes:
        """`length` bytes from position `start`; fewer at the end of the file."""
        self._stream.seek(start)
        pieces = []
        while length > 0 and (piece := self._stream.read(length)):
            pieces.append(piece)
            length -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def read_into(self, start: int, buffer: memoryview) -> None:
        """Fill a buffer with the bytes from position `start`.

        Raises
        ------
        ImageError
            The file ends before; somebody shortened it while it was read.
        """
        self._stream.seek(start)
        done = 0
        while done < len(buffer):
            count = self._stream.readinto(buffer[done:])  # type: ignore[attr-defined]
            if not count:
                raise ImageError(f"{self.name}: truncated: the file ends at byte {start + done}")
            done += count

    def unpacked(self) -> "Content":
        """These bytes without gzip, bzip2 or xz around them; itself if there is none.

        Raises
        ------
        ImageError
            The packing is damaged, unsupported, or hides too many bytes.
        """
        head = self.read(0, 8)
        refuse_packing(head, self.name)
        unpacker = next((opener for magic, opener in UNPACKERS.items() if head.startswith(magic)), None)
        if unpacker is None:
            return self
        self._stream.seek(0)
        try:
            with unpacker(self._stream, "rb") as stream:
                content = stream.read(LARGEST_UNPACKED + 1)
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            raise ImageError(f"{self.name}: the compressed file is damaged or truncated: {error}") from error
        if len(content) > LARGEST_UNPACKED:
            raise ImageError(f"{self.name}: unpacks to more than {LARGEST_UNPACKED / 2**30:.0f} GiB")
        unpacked = Content(content, self.name)
        unpacked.path = self.path
        return unpacked


@contextmanager
def opened(source: Path | bytes, name: str | None = None) -> Iterator[Content]:
    """The content of a file, unpacked if need be, and closed afterwards."""
    with Content(source, name) as content, content.unpacked() as unpacked:
        yield unpacked


def refuse_packing(head: bytes, name: str) -> None:
    """Raise ImageError if a file that begins with `head` is packed in a way that cannot be read."""
    for magic, packing in UNSUPPORTED_PACKING.items():
        if head.startswith(magic):
            raise ImageError(f"{name}: packed by {packing}, which cannot be read; unpack it first")


def unpacked_head(head: bytes) -> bytes:
    """The beginning of what is packed in a file that begins with `head`."""
    try:
        if head.startswith(b"\x1f\x8b"):
            return zlib.decompressobj(31).decompress(head, HEAD)
        if head.startswith(b"BZh"):
            return bz2.BZ2Decompressor().decompress(head, HEAD)
        if head.startswith(b"\xfd7zXZ"):
            return lzma.LZMADecompressor().decompress(head, HEAD)
    except (OSError, EOFError, zlib.error, lzma.LZMAError):
        return b""
    return head
