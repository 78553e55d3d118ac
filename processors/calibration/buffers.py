"""Arrays for results, from memory that earlier results have left.

Fresh memory of 64 MiB costs as much time as a third of the calibration that fills it, because the operating system
clears its pages first.
"""

import sys
import threading

import numpy as np


class Buffers:
    """Arrays that are handed out again when nobody but this pool refers to them any more.

    An array is an ordinary one for whoever gets it: as long as any reference to it or to a view of it exists, it is
    not touched.

    Parameters
    ----------
    limit : int
        How much memory may be kept in all [byte]; what is larger is fresh memory each time.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._arrays: list[np.ndarray] = []
        self._lock = threading.Lock()

    def empty(self, shape: tuple[int, int], dtype: type) -> np.ndarray:
        """An array of this shape and type with any content, writable."""
        wanted = np.dtype(dtype)
        with self._lock:
            for index in range(len(self._arrays)):  # a loop over the arrays themselves would count as a reference
                if self._fits(index, shape, wanted) and _references(self._arrays, index) == UNUSED:
                    found = self._arrays.pop(index)
                    self._arrays.append(found)
                    found.flags.writeable = True
                    return found
            fresh = np.empty(shape, dtype=wanted)
            if fresh.nbytes <= self.limit:
                self._arrays.append(fresh)
                while sum(array.nbytes for array in self._arrays) > self.limit:
                    del self._arrays[0]
            return fresh

    def _fits(self, index: int, shape: tuple[int, int], dtype: np.dtype) -> bool:
        return self._arrays[index].shape == shape and self._arrays[index].dtype == dtype

    def clear(self) -> None:
        """Keep nothing."""
        with self._lock:
            self._arrays.clear()


def _references(arrays: list[np.ndarray], index: int) -> int:
    return sys.getrefcount(arrays[index])


UNUSED = _references([np.empty(0)], 0)
"""What counts as no reference: that of the pool's list, and what the counting itself needs."""

RESULTS = Buffers(limit=320 << 20)
"""Results of the calibration in this process: two frames of 4096 x 4096 pixels."""
