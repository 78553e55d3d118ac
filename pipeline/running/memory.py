"""Memory of a run: how much an image will take, how much there is, and giving it back."""

import ctypes
import gc
import os
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psutil

BYTES_PER_BYTE = {".fz": 40, ".gz": 40, ".bz2": 40, ".jpg": 150, ".jpeg": 150, ".png": 60}
"""Working memory of a chain for each byte of a file, where files are compressed."""

USUAL_BYTES_PER_BYTE = 20
"""The same for a file of 2-byte pixels: 4 bytes a pixel, in about ten planes and temporary arrays at once."""

DEFAULT_SHARE = 0.6
"""Part of the memory that is free at the start which a run may fill."""


def working_memory(path: Path) -> int:
    """Roughly how much memory a chain takes for the image in a file [byte]."""
    try:
        size = path.stat().st_size
    except OSError:
        return 0  # reading it will fail, and costs nothing
    return size * BYTES_PER_BYTE.get(path.suffix.lower(), USUAL_BYTES_PER_BYTE)


def default_budget() -> int:
    """How much memory a run may fill if nobody says otherwise [byte]."""
    return int(psutil.virtual_memory().available * DEFAULT_SHARE)


class Budget:
    """Memory that the running images share. An image that is too large for it runs alone.

    Parameters
    ----------
    limit : int
        Memory for all images together [byte].
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._taken: dict[int, int] = {}

    @property
    def used(self) -> int:
        """What is reserved [byte]."""
        return sum(self._taken.values())

    def admits(self, size: int) -> bool:
        """Whether an image fits, or nothing else runs."""
        return not self._taken or self.used + size <= self.limit

    def admit(self, key: int, size: int) -> bool:
        """Reserve memory for an image if it fits, or if nothing else runs."""
        if not self.admits(size):
            return False
        self._taken[key] = size
        return True

    def release(self, key: int) -> None:
        """The image is through."""
        self._taken.pop(key, None)


def resident() -> int:
    """Memory of this process [byte]."""
    return psutil.Process().memory_info().rss


def give_back() -> None:
    """Return freed memory to the system, which glibc's malloc by itself does late or never."""
    gc.collect()
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@cache
def _malloc_trim() -> Any:
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), "malloc_trim", None)


@dataclass(frozen=True, slots=True)
class Used:
    """What a process has of the memory [byte]: pages of its own, and what it has reserved."""

    private: int
    reserved: int


def private(process: int) -> Used:
    """Memory that a process alone is responsible for; pages of files that are mapped can be given up and do not count.

    Raises
    ------
    OSError
        There is no such process any more.
    """
    facts: dict[str, int] = {}
    with open(f"/proc/{process}/status", "rb") as file:  # noqa: PTH123 - several times a second
        for line in file:
            name, _, value = line.partition(b":")
            if name in (b"RssAnon", b"RssShmem", b"VmSwap", b"VmData"):
                facts[name.decode()] = int(value.split()[0]) * 1024
    own = facts.get("RssAnon", 0) + facts.get("RssShmem", 0) + facts.get("VmSwap", 0)
    return Used(own, facts.get("VmData", 0))


def children_left_behind() -> int:
    """Processes that were started and still run. Those that have ended are laid to rest."""
    ended = os.WEXITED | os.WNOHANG | os.WNOWAIT
    try:
        while (found := os.waitid(os.P_ALL, 0, ended)) is not None:
            os.waitpid(found.si_pid, 0)
    except ChildProcessError:
        return 0
    tracker = getattr(sys.modules.get("multiprocessing.resource_tracker"), "_resource_tracker", None)
    helper = getattr(tracker, "_pid", None)  # which multiprocessing keeps as long as the process lives
    return sum(child.pid != helper for child in psutil.Process().children())
