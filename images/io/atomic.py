"""Files that appear under their final name only when they are complete."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

LONGEST_NAME = 255
"""Bytes that file systems allow in a name."""


@contextmanager
def atomic_write(path: Path, *, overwrite: bool = True) -> Iterator[BinaryIO]:
    """A binary file to write to, which gets its final name only when everything is on the disk.

    The bytes go to a hidden temporary file in the same folder (``.name.….part``). When the block ends
    normally they are flushed to the disk and the file is renamed; when it raises, the temporary file is
    removed and an earlier file of that name is left as it was. Missing folders are made.

    Parameters
    ----------
    path : pathlib.Path
        Final name of the file.
    overwrite : bool
        Whether an existing file may be replaced. If not, it is refused even if somebody else made it meanwhile.

    Yields
    ------
    binary file
        Open for writing and reading, and seekable.

    Raises
    ------
    FileExistsError
        The file exists and `overwrite` is false.
    """
    path = Path(path)
    if not overwrite and path.exists():
        raise _exists(path)
    temporary = _temporary_name(path)
    with _naming(path):
        _make_folder(path.parent)
        stream = temporary.open("x+b")
    try:
        with stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        with _naming(path):
            if overwrite:
                temporary.replace(path)
            else:
                _rename_if_new(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:  # the disk is full
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise
    _flush_folder(path.parent)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Errors name the file that somebody asked for, not the temporary one."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:  # it is a file
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)) from error


def _exists(path: Path) -> FileExistsError:
    return FileExistsError(f"{path} exists already; write with overwrite=True to replace it")


def _temporary_name(path: Path) -> Path:
    ending = f".{secrets.token_hex(4)}.part"
    room = LONGEST_NAME - len(ending) - 1
    stem = path.name.encode()[:room].decode(errors="ignore")
    return path.with_name(f".{stem}{ending}")


def _rename_if_new(temporary: Path, path: Path) -> None:
    """A hard link fails where the name exists, also when it appeared a moment ago; a rename would replace it."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        raise _exists(path) from None
    except OSError:  # a file system without hard links
        if path.exists():
            raise _exists(path) from None
        temporary.replace(path)
    else:
        temporary.unlink()


def _flush_folder(folder: Path) -> None:
    """Make the new name itself survive a power failure."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # a folder that may be written to but not listed
        return
    try:
        os.fsync(handle)
    except OSError:  # network file systems refuse this, and keep names safe themselves
        return
    finally:
        os.close(handle)
