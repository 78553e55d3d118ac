"""The details of jobs that have ended long ago are removed, little by little, by one of the daemons."""

import asyncio
import logging
import time

from .ledger import Ledger

log = logging.getLogger(__name__)

AT_ONCE = 50
"""Jobs whose details are removed in one transaction: nobody is to wait for it."""

REST, SHORTEST_REST = 10.0, 0.1
"""After a transaction the queue is left to others for so many times as long, and at least so long [s]."""


async def prune_old(ledger: Ledger, keep: float, daemon: str) -> int:
    """Remove the details of jobs that have ended so long ago, unless another daemon is there to do it.

    It may end at any point, and the next one goes on: each transaction leaves a job with all its details or without.

    Parameters
    ----------
    ledger : Ledger
        The queue.
    keep : float
        How long details are kept after the end of a job [s].
    daemon : str
        Who we are in the queue.

    Returns
    -------
    int
        How many jobs.
    """
    queue = ledger.queue
    before, after, count = time.time() - keep, 0, 0
    while after is not None:
        # Of those who would, the one that has been here longest does it.
        rows = await ledger.read(queue.daemons)
        if next((row.id for row in rows if row.id == daemon or row.status.get("prunes")), daemon) != daemon:
            break
        found = await ledger.read(queue.prunable, before, after)
        for start in range(0, len(found.jobs), AT_ONCE):
            begun = time.monotonic()
            count += await ledger.write(queue.prune, found.jobs[start : start + AT_ONCE], before)
            await asyncio.sleep(max(SHORTEST_REST, REST * (time.monotonic() - begun)))
        after = found.next
    if count:
        log.info("the details of %d jobs were removed, so long after their end (queue: keep)", count)
    return count
