"""Files that are sent to us: uploads, and what messages point to. They are complete under their name, or not there."""

import asyncio
import contextlib
import os
import secrets
import time
import unicodedata
from collections.abc import AsyncIterator, Awaitable, Callable
from io import FileIO
from pathlib import Path

from ....images.io import image_suffixes
from ....images.io.content import HEAD
from ....images.io.registry import Format, format_by_content, format_by_suffix
from ...web.service import Refused
from ..sizes import spell_size

LONGEST_NAME = 200
"""Bytes of a file's name; a little is left for what tells temporary files and namesakes apart."""

IDLE = 30.0
"""Longest time between two pieces of a file [s]."""

BUFFER = 1 << 20
"""Bytes that are collected before they are written."""

STALE = 3600.0
"""Unfinished files of this age belong to nobody any more [s]."""

Check = Callable[[Path], Awaitable[str]]
"""``await check(path)``: why a file that has come completely is refused, or nothing."""


class TooLarge(Refused):
    """The file is larger than it may be."""

    def __init__(self, message: str) -> None:
        super().__init__(413, message)


class Truncated(Refused):
    """The file ended too early, or came too slowly."""

    def __init__(self, message: str) -> None:
        super().__init__(400, message)


class NotAnImage(Refused):
    """Its name or content is not that of an image."""

    def __init__(self, message: str) -> None:
        super().__init__(422, message)


def safe_name(name: str) -> str:
    """The name of a file, if it is one that does no harm.

    Raises
    ------
    NotAnImage
        It would lead to another folder, is hidden, too long, or holds letters that cannot be seen.
    """
    name = unicodedata.normalize("NFC", name)
    if not name or name in (".", ".."):
        raise NotAnImage("the file has no name")
    if "/" in name or "\\" in name:
        raise NotAnImage("the name of a file has no slash: give the name alone, without folders")
    # Control characters, letters that turn the direction of writing, and halves of letters.
    if any(unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp") for letter in name):
        raise NotAnImage("the name of the file holds characters that cannot be seen")
    if name.startswith("."):
        raise NotAnImage("the name of the file begins with a dot: such files are hidden")
    if len(name.encode()) > LONGEST_NAME:
        raise NotAnImage(f"the name of the file is longer than {LONGEST_NAME} bytes")
    if not name.lower().endswith(image_suffixes()):
        raise NotAnImage(f"'{name}' is not the name of an image; known suffixes are {' '.join(image_suffixes())}")
    return name


def check_head(head: bytes, name: str) -> Format:
    """The format of a file, if its content is what its name says.

    Parameters
    ----------
    head : bytes
        Its beginning.
    name : str
        Its name.

    Raises
    ------
    NotAnImage
        It is no image, or of another format.
    """
    found, announced = format_by_content(head), format_by_suffix(Path(name))
    if found is None:
        raise NotAnImage(f"{name}: the content is not an image: it begins with {head[:16]!r}")
    if announced is not None and announced[0] is not found:
        raise NotAnImage(
            f"{name}: by its content this is {found.name}, not {announced[0].name}; its name should end with "
            f"{found.suffixes[0]}"
        )
    return found


async def store(
    stream: AsyncIterator[bytes],
    name: str | Callable[[bytes], str],
    folder: Path,
    *,
    limit: int,
    length: int | None = None,
    idle: float = IDLE,
    total: float = 120.0,
    check: Check | None = None,
) -> Path:
    """Write a file that comes in pieces.

    If a file of that name and the very same content is there already, nothing is written: whoever sends a file again
    because he has not heard of it gets the same one. Another content gets a name of its own (``m31-2.fits``).

    Parameters
    ----------
    stream : asynchronous iterator of bytes
        The file.
    name : str, or function of the first bytes
        What it is called.
    folder : Path
        Where it goes; made if it is not there.
    limit : int
        Largest size [byte].
    length : int
        Its size, if it was announced [byte].
    idle, total : float
        Longest time between two pieces, and for the whole file [s].
    check : callable
        Looks at the complete file, and may refuse it.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    TooLarge
        It is larger than `limit`.
    Truncated
        It is shorter than announced, was given up by the sender, or came too slowly.
    NotAnImage
        Its name or content is not that of an image.
    OSError
        It cannot be written.
    """
    if not callable(name):
        name = safe_name(name)
    if length is not None and length > limit:
        raise TooLarge(f"the file has {spell_size(length)}; at most {spell_size(limit)} are taken")
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    temporary = folder / f".{secrets.token_hex(8)}.part"
    try:
        head, size = await _receive(_in_time(stream, idle, total), temporary, limit)
        if length is not None and size != length:
            raise Truncated(f"{size} of {length} bytes have come: the file is cut off")
        if size == 0:
            raise Truncated("the file is empty")
        name = safe_name(name(head)) if callable(name) else name
        check_head(head, name)
        if check is not None and (refusal := await check(temporary)):
            raise NotAnImage(f"{name}: {refusal}")
        return await asyncio.to_thread(_keep, temporary, folder, name)
    finally:
        await asyncio.to_thread(temporary.unlink, missing_ok=True)


async def _receive(stream: AsyncIterator[bytes], path: Path, limit: int) -> tuple[bytes, int]:
    """Write all pieces to the disk; the beginning and the size."""
    head, size, pieces, waiting = b"", 0, [], 0
    file = await asyncio.to_thread(path.open, "xb", buffering=0)
    try:
        async for piece in stream:
            size += len(piece)
            if size > limit:
                raise TooLarge(f"the file has more than {spell_size(limit)}, the most that is taken")
            if len(head) < HEAD:
                head = (head + piece)[:HEAD]
                if len(head) == HEAD and format_by_content(head) is None:
                    raise NotAnImage(f"the content is not an image: it begins with {head[:16]!r}")
            pieces.append(piece)
            waiting += len(piece)
            if waiting >= BUFFER:
                await asyncio.to_thread(_write, file, pieces)
                pieces, waiting = [], 0
        await asyncio.to_thread(_write, file, pieces)
        await asyncio.to_thread(os.fsync, file.fileno())
    finally:
        file.close()
    return head, size


def _write(file: FileIO, pieces: list[bytes]) -> None:
    data = memoryview(b"".join(pieces))
    while data:
        data = data[file.write(data) :]


async def _in_time(stream: AsyncIterator[bytes], idle: float, total: float) -> AsyncIterator[bytes]:
    """The pieces, as long as they come quickly enough."""
    end = time.monotonic() + total
    pieces = aiter(stream)
    while True:
        left = end - time.monotonic()
        try:
            async with asyncio.timeout(max(0.0, min(idle, left))):
                piece = await anext(pieces)
        except StopAsyncIteration:
            return
        except TimeoutError:
            if left <= idle:
                raise Truncated(f"the file did not come within {total:g} s") from None
            raise Truncated(f"nothing has come for {idle:g} s") from None
        yield piece


def _keep(temporary: Path, folder: Path, name: str) -> Path:
    """Give a complete file its name, or another one if that is taken by other content."""
    stem, suffix = split_name(name)
    number = 1
    while True:
        path = folder / (name if number == 1 else f"{stem}-{number}{suffix}")
        if _named(temporary, path):
            _flush(folder)
            return path
        if _same(temporary, path):
            return path
        number += 1


def _named(temporary: Path, path: Path) -> bool:
    """Give a file its name; False if that is taken."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links; nobody but us makes names in this folder
        if path.exists():
            return False
        temporary.replace(path)
    return True


def split_name(name: str) -> tuple[str, str]:
    """A file's name without its suffix, and the suffix: ``("m31", ".fits.gz")``."""
    known = max((one for one in image_suffixes() if name.lower().endswith(one)), key=len, default="")
    return (name[: -len(known)], name[-len(known) :]) if known else (name, "")


def _same(first: Path, second: Path) -> bool:
    """Whether two files have the same content."""
    try:
        if first.stat().st_size != second.stat().st_size:
            return False
        with first.open("rb") as one, second.open("rb") as other:
            while piece := one.read(BUFFER):
                if piece != other.read(BUFFER):
                    return False
    except FileNotFoundError:
        return False
    return True


def _flush(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def clear_unfinished(folder: Path) -> None:
    """Remove what was left unfinished long ago."""
    for path in folder.glob(".*.part"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > STALE:
                path.unlink()
