"""What the kernel tells of changes in folders (inotify). Hints only: whoever uses them searches the folders as well.

Our own, since libraries for it wait for the end of a name in UTF-8, follow links out of the folder, or do not tell when
a file is closed.
"""

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

IN_ATTRIB = 0x4
IN_CLOSE_WRITE = 0x8
IN_MOVED_FROM = 0x40
IN_MOVED_TO = 0x80
IN_CREATE = 0x100
IN_DELETE_SELF = 0x400
IN_MOVE_SELF = 0x800
IN_UNMOUNT = 0x2000
IN_OVERFLOW = 0x4000
IN_IGNORED = 0x8000
IN_ONLYDIR = 0x1000000
IN_ISDIR = 0x40000000
WANTED = (
    IN_ATTRIB | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR
)
GONE = IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_OVERFLOW
"""After these, only a search can tell what there is."""

HEAD = struct.Struct("iIII")
AT_ONCE = 16384
"""Bytes of events that are taken in one go, so that thousands of files do not stop the event loop."""


@dataclass(frozen=True, slots=True)
class Change:
    """Something has changed.

    Attributes
    ----------
    path : Path or None
        The file or folder; None where only a search can tell.
    is_folder : bool
        Whether it is a folder.
    """

    path: Path | None
    is_folder: bool = False


class FolderEvents:
    """Changes in folders that are named one by one; folders within them are not included.

    Raises
    ------
    OSError
        The kernel has no such events, or no more of them.
    """

    def __init__(self) -> None:
        if not sys.platform.startswith("linux"):
            raise OSError(errno.ENOSYS, "this system does not tell of changes in folders")
        self._library = ctypes.CDLL(None, use_errno=True)
        self.descriptor = self._library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self.descriptor < 0:
            raise _system_error("inotify")
        self._folders: dict[int, Path] = {}

    def add(self, folder: Path) -> None:
        """Be told of changes in a folder, from now on. A folder that was moved is known under its new name.

        Raises
        ------
        OSError
            It is not there, or the kernel watches as many folders as it is allowed to.
        """
        number = self._library.inotify_add_watch(self.descriptor, os.fsencode(folder), WANTED)
        if number < 0:
            raise _system_error(str(folder))
        self._folders[number] = folder

    def read(self) -> Iterator[Change]:
        """What has changed since the last time; nothing if nothing has."""
        try:
            data = os.read(self.descriptor, AT_ONCE)
        except BlockingIOError:
            return
        position = 0
        while position < len(data):
            number, mask, _, length = HEAD.unpack_from(data, position)
            position += HEAD.size + length
            name = data[position - length : position].rstrip(b"\0")
            if mask & IN_IGNORED:
                self._folders.pop(number, None)
            elif mask & GONE or number not in self._folders:
                yield Change(None)
            else:
                yield Change(self._folders[number] / os.fsdecode(name), bool(mask & IN_ISDIR))

    def close(self) -> None:
        """Be told of nothing more."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def _system_error(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), what)
