"""Does anybody have a file open for writing? The kernel knows, for file systems of this machine."""

import ctypes
import errno
import fcntl
import signal
import sys

F_SETSIG = 10

LOCAL = frozenset(
    {
        0xEF53,  # ext2, ext3, ext4
        0x58465342,  # XFS
        0x9123683E,  # btrfs
        0x2FC12FC1,  # ZFS
        0xF2F52010,  # F2FS
        0xCA451A4E,  # bcachefs
        0x01021994,  # tmpfs
        0x858458F6,  # ramfs
        0x794C7630,  # overlayfs
        0x4D44,  # FAT
        0x2011BAB0,  # exFAT
        0x7366746E,  # NTFS
    }
)
"""Numbers of file systems to which only this machine writes; of a network's, the kernel knows its own writers only.

References
----------
linux/magic.h; statfs(2).
"""


def is_closed(descriptor: int) -> bool | None:
    """Whether nobody has a file open for writing, in whatever process; None if the kernel cannot tell.

    It grants a read lease only then, on files that belong to us or if we are root. The lease is given back at once.

    Parameters
    ----------
    descriptor : int
        The file, open for reading.

    References
    ----------
    fcntl(2), "Leases".
    """
    if not sys.platform.startswith("linux") or _file_system(descriptor) not in LOCAL:
        return None
    try:
        # Somebody who opens the file in this very moment is announced by a signal; SIGIO would end the process.
        fcntl.fcntl(descriptor, F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return False if error.errno == errno.EAGAIN else None
    return True


def _file_system(descriptor: int) -> int:
    """Number of the file system of a file; 0 if it cannot be told."""
    answer = (ctypes.c_long * 64)()  # larger than any statfs
    if ctypes.CDLL(None).fstatfs(descriptor, ctypes.byref(answer)) != 0:
        return 0
    return answer[0] & 0xFFFFFFFF
