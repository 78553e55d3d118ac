"""What a worker process writes to its standard error: its beginning and end, and what belongs to which job."""

import re

HEAD = 4_000
"""Bytes that are kept of the beginning."""

TAIL = 16_000
"""Bytes that are kept of the end."""

MARK = re.compile(rb"\x00etendue (begin|end) (\d+)\x00")
LONGEST_MARK = 40


def mark(kind: str, number: int) -> bytes:
    """What a worker writes before and after a job, so that its parent can tell what belongs to it."""
    return f"\0etendue {kind} {number}\0".encode()


class Transcript:
    """Takes up what a process writes. What is too long loses its middle.

    Attributes
    ----------
    finished : int
        Number of the last job whose end mark has come in; -1 before the first.
    """

    def __init__(self) -> None:
        self.finished = -1
        self._pending = b""
        self._head = bytearray()
        self._tail = bytearray()
        self._left_out = 0

    def add(self, data: bytes) -> None:
        """Take up what has come in. A mark of a beginning forgets what was before."""
        data = self._pending + data
        self._pending = b""
        position = 0
        for found in MARK.finditer(data):
            self._keep(data[position : found.start()])
            position = found.end()
            if found[1] == b"begin":
                self._clear()
            else:
                self.finished = int(found[2])
        rest = data[position:]
        start = rest.rfind(b"\0")
        if start >= 0 and len(rest) - start < LONGEST_MARK:  # perhaps the beginning of a mark
            self._pending, rest = rest[start:], rest[:start]
        self._keep(rest)

    @property
    def text(self) -> str:
        """What was written since the last mark of a beginning."""
        gap = f"\n[… {self._left_out} bytes are left out …]\n".encode() if self._left_out else b""
        return (bytes(self._head) + gap + bytes(self._tail) + self._pending).decode(errors="replace")

    def end(self, length: int) -> str:
        """The last characters of it."""
        return self.text[-length:]

    def _keep(self, data: bytes) -> None:
        room = HEAD - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        surplus = len(self._tail) - TAIL
        if surplus > 0:
            del self._tail[:surplus]
            self._left_out += surplus

    def _clear(self) -> None:
        self._head.clear()
        self._tail.clear()
        self._left_out = 0
