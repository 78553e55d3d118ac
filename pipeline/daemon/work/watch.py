"""Memory of worker processes, and of what they have started."""

import contextlib
import os
from collections.abc import Sequence

import psutil

from ...running.memory import private


def private_memory(workers: Sequence[int], *, children: bool = True) -> dict[int, int]:
    """Memory that each worker takes together with what it has started [byte]; those that have ended are left out.

    Parameters
    ----------
    workers : sequence of int
        Their process numbers. Each is the first of its session.
    children : bool
        Whether to look for what they have started.
    """
    found: dict[int, int] = {}
    for worker in workers:
        with contextlib.suppress(OSError):
            found[worker] = private(worker).private
    if children:
        for process in psutil.pids():
            with contextlib.suppress(OSError):
                session = os.getsid(process)
                if session in found and process != session:
                    found[session] += shared_fairly(process)
    return found


def shared_fairly(process: int) -> int:
    """Memory of a process [byte]; of pages that it shares with its parent, its share.

    Raises
    ------
    OSError
        There is no such process any more, or it is another user's.
    """
    total = 0
    with open(f"/proc/{process}/smaps_rollup", "rb") as file:  # noqa: PTH123 - as quick as possible
        for line in file:
            if line.startswith((b"Pss_Anon:", b"Pss_Shmem:", b"Swap:")):
                total += int(line.split()[1]) * 1024
    return total
