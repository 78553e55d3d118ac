"""What was computed from files is kept while there is room, and never longer than the files stay the same."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any


class ContentCache:
    """Values by the identity of the content that they were made from; the least recently used ones go first.

    A key must name the content itself (a file's inode, time and size; an array that the value keeps alive): then a
    value can never be out of date, and processors that use the cache remember nothing.

    Parameters
    ----------
    limit : int
        How much memory the values may take [byte]. A value that is larger alone is not kept.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._values: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._makers: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Any], size: Callable[[Any], int]) -> Any:
        """The value of a key; made once, also when several threads ask at the same time.

        Parameters
        ----------
        key : hashable
            What the value is made from.
        make : callable
            Makes the value.
        size : callable
            Memory that a value takes [byte].
        """
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key][0]
            maker = self._makers.setdefault(key, threading.Lock())
        with maker:
            with self._lock:
                if key in self._values:
                    return self._values[key][0]
            try:
                value = make()
                self._keep(key, value, size(value))
            finally:
                with self._lock:
                    self._makers.pop(key, None)
        return value

    def _keep(self, key: Hashable, value: Any, size: int) -> None:
        if size > self.limit:
            return
        with self._lock:
            self._values[key] = (value, size)
            while sum(size for _, size in self._values.values()) > self.limit:
                self._values.popitem(last=False)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._values.clear()

    @property
    def used(self) -> int:
        """Memory that the values take [byte]."""
        with self._lock:
            return sum(size for _, size in self._values.values())


CACHE = ContentCache(limit=1 << 30)
"""Masters and what is folded from them, in this process."""
