"""Memory of a run: how much an image will take, how much there is, and giving it back."""

import ctypes
import gc
import sys
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

    def admit(self, key: int, size: int) -> bool:
        """Reserve memory for an image if it fits, or if nothing else runs."""
        if self._taken and sum(self._taken.values()) + size > self.limit:
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
