"""When a disk is full, read-only or gone: how that is told from everything else, and when it is over."""

import errno
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from ....images import EtendueError
from ...running.causes import FULL_OR_BROKEN, UNREACHABLE
from ...running.outcome import Outcome

if TYPE_CHECKING:
    from .destinations import Destination

ROOM = 16 * 1024 * 1024
"""What must be free before a disk counts as writable again [byte]; more than a product needs for its first attempt."""

CLOSED_TO_US = frozenset({errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR})


class StorageError(EtendueError):
    """Products cannot be put into their place at the moment; nobody's image is to blame."""


def is_storage_problem(thing: BaseException | Outcome) -> bool:
    """Whether something failed because a disk or a store of ours is full, read-only or gone.

    Parameters
    ----------
    thing : exception or Outcome
        An error from our own dealings with staging folders and destinations, or what became of an image.
    """
    if isinstance(thing, Outcome):
        return thing.cause == "storage"
    if getattr(thing, "cause", "") == "storage":  # of a call in another process
        return True
    current: BaseException | None = thing
    while current is not None:
        if isinstance(current, StorageError):
            return True
        if isinstance(current, OSError) and current.errno in FULL_OR_BROKEN | UNREACHABLE | CLOSED_TO_US:
            return True
        current = current.__cause__
    return False


def probe(destination: "Destination", state: Path) -> str | None:
    """Try whether products can be written now.

    Returns
    -------
    str or None
        Why not.
    """
    try:
        destination.check()
        destination.staging_root.mkdir(parents=True, exist_ok=True)
        for folder in {destination.staging_root, state}:
            probe_folder(folder)
    except (StorageError, OSError) as error:
        return str(error)
    return None


def probe_folder(folder: Path, room: int = ROOM) -> None:
    """Try whether a folder can be written to.

    Parameters
    ----------
    folder : Path
        It is there.
    room : int
        What must be free [byte].

    Raises
    ------
    StorageError
        It cannot; the message says why.
    """
    try:
        facts = os.statvfs(folder)
        free = facts.f_bavail * facts.f_frsize
        if free < room:
            raise StorageError(f"{folder}: {free / 1e6:.1f} MB are free, which is too little; make room")
        path = folder / f".probe-{secrets.token_hex(4)}"
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.write(handle, bytes(4096))
            os.fsync(handle)
        finally:
            os.close(handle)
            path.unlink()
    except OSError as error:
        raise StorageError(f"{folder} cannot be written to: {error.strerror or error}") from error
