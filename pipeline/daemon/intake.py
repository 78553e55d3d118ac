"""From what a source has found to a job in the queue: which chain, which night, which priority."""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ..running.memory import working_memory
from .chains import LoadedChain
from .ledger import Ledger
from .nights import NightKeeper
from .queue import JobKind, JobState, NewJob
from .sources import Found

log = logging.getLogger(__name__)

NOT_CHOSEN = "left alone: no choice of the source fits its header, or the one that fits says so"


class Intake:
    """Makes jobs of what the sources find.

    Parameters
    ----------
    sources : mapping
        Settings of the sources by name.
    chains : mapping
        The chains by name.
    ledger : Ledger
        The queue.
    nights : NightKeeper or None
        Who knows which frames belong together.
    added : callable
        Told the numbers of new jobs.
    """

    def __init__(
        self,
        sources: Mapping[str, Any],
        chains: Mapping[str, LoadedChain],
        ledger: Ledger,
        nights: NightKeeper | None,
        added: Callable[[list[int]], None],
    ) -> None:
        self.sources = sources
        self.chains = chains
        self.nights = nights
        self._ledger = ledger
        self._added = added

    async def found(self, things: list[Found]) -> list[int]:
        """Make jobs; they are in the database when this returns.

        Returns
        -------
        list of int
            Numbers of the jobs, new ones and old ones.
        """
        jobs = [await self._job(thing) for thing in things]
        added = await self._ledger.write(self._ledger.queue.add, jobs)
        if new := [one.id for one in added if one.new]:
            self._added(new)
        for job, one in zip(jobs, added, strict=True):
            if one.new and job.state is JobState.FAILED:
                log.error("failed: %s", job.reason, extra={"job": one.id, "image": job.label, "source": job.source})
        return [one.id for one in added]

    async def _job(self, found: Found) -> NewJob:
        source = self.sources[found.source]
        chain = source.chain
        if chain is None and (index := found.facts.get("choice")) is not None:
            chain = source.choose[index].chain
        settings = self.chains[chain].settings if chain is not None else None
        is_tick = found.path is None and found.due is not None
        new = NewJob(
            kind=JobKind.TICK if is_tick else JobKind.IMAGE,
            key=key_of(found, chain or ""),
            source=found.source,
            chain=chain or "",
            label=label_of(found),
            path=found.path,
            size=found.size,
            mtime_ns=int(found.due * 1e9) if found.due is not None else found.mtime_ns,
            destination=source.destination or (settings.destination if settings else "products"),
            priority=settings.priority if settings else 0,
            order=settings.order if settings else "oldest",
            night=found.facts.get("night", ""),
            instrument=found.facts.get("instrument", ""),
            facts=_facts(found),
            memory=(settings.memory if settings else None) or (working_memory(found.path) if found.path else 0),
        )
        if found.problem:
            return replace(new, state=JobState.FAILED, reason=found.problem)
        if self.nights is not None and source.nights and found.path is not None:
            new = await self.nights.place(found, new.facts, new)
        if not new.chain and new.kind is JobKind.IMAGE and new.state is JobState.QUEUED:
            if why := found.facts.get("unreadable"):
                return replace(new, state=JobState.FAILED, reason=f"no chain can be chosen by its header: {why}")
            return replace(new, state=JobState.SKIPPED, reason=NOT_CHOSEN)
        return new


def label_of(found: Found) -> str:
    """What people call it: the file's name, or the time for which a run is planned."""
    if found.path is None and found.due is not None:
        return datetime.fromtimestamp(found.due, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return found.label


def _facts(found: Found) -> dict[str, Any]:
    facts = {key: value for key, value in found.facts.items() if key not in ("choice", "unreadable") and value != ""}
    return {**facts, "origin": found.origin} if found.origin else facts


def key_of(found: Found, chain: str) -> str:
    """What makes two findings the same job: the file's identity, or the time, and the chain."""
    if found.path is not None:
        what: list[Any] = [os.fsencode(found.path).hex(), found.size, found.mtime_ns]
    else:
        what = [found.source, found.due, found.origin]
    return hashlib.sha256(json.dumps([*what, chain, found.problem]).encode()).hexdigest()
