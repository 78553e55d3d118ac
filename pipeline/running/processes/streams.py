"""The pipes between a worker and its parent, as the worker sees them, safe from what steps do to standard streams."""

import ctypes
import json
import os
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

from .transcript import mark


class Streams:
    """The parent's pipes under numbers of their own, so that nothing a step prints, reads or closes disturbs them.

    A process that a step has forked and that comes back out of the step does not speak to the parent: it ends.

    Attributes
    ----------
    incoming : binary file
        Messages.
    words : binary file
        Standard error, whatever steps do to theirs.
    """

    def __init__(self) -> None:
        self._owner = os.getpid()
        self.incoming = os.fdopen(os.dup(0), "rb")
        self._outgoing = os.fdopen(os.dup(1), "wb")
        self.words = os.fdopen(os.dup(2), "wb", buffering=0)
        self._number: int | None = None
        self._attached: Sequence[tuple[str, bytes]] = ()
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)

    def send(self, message: dict[str, Any]) -> None:
        """Tell the parent something."""
        self._end_copies()
        attached, self._attached = self._attached, ()
        if attached:
            message = {**message, "attached": [(name, len(content)) for name, content in attached]}
        self._outgoing.write(json.dumps(message).encode() + b"\n")
        for _, content in attached:
            self._outgoing.write(content)
        self._outgoing.flush()

    def attach(self, contents: Sequence[tuple[str, bytes]]) -> None:
        """Let bytes follow the next message."""
        self._attached = contents

    def begin(self, number: int | None) -> None:
        """What is printed from now on belongs to this job; None: nobody wants to know."""
        self._number = number
        if number is not None:
            os.write(self.words.fileno(), mark("begin", number))

    def end(self) -> dict[str, Any]:
        """Mark the end of what the job has printed; what the answer must say of it."""
        if self._number is None:
            return {}
        os.write(self.words.fileno(), mark("end", self._number))
        return {"marked": self._number}

    def restore(self) -> int:
        """Standard streams as they were, after a step that closed or redirected them.

        Returns
        -------
        int
            1 if one leads to somewhere else now: the process should be replaced.
        """
        self._end_copies()
        elsewhere = 0
        for name, number in (("stdout", 1), ("stderr", 2)):
            stream = getattr(sys, name)
            try:
                stream.flush()
            except (OSError, ValueError):
                stream = None
            try:
                elsewhere |= not os.path.sameopenfile(number, self.words.fileno())
            except OSError:
                os.dup2(self.words.fileno(), number)
            if stream is None:
                setattr(sys, name, os.fdopen(os.dup(number), "w", buffering=1))
        _flush_c()(None)
        try:
            os.fstat(0)
        except OSError:
            nothing = os.open(os.devnull, os.O_RDONLY)  # the lowest number that is free: 0
            if nothing != 0:
                os.dup2(nothing, 0)
                os.close(nothing)
        return int(elsewhere)

    def _end_copies(self) -> None:
        if os.getpid() != self._owner:
            os._exit(0)


@cache
def _flush_c() -> Any:
    """What C code prints waits in a buffer of its own."""
    return ctypes.CDLL(None).fflush
