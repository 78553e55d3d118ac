"""The daemon: everything is started, kept going, and ended here; what each part does stands in its own file."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ...images import EtendueError
from ..errors import ConfigError
from ..running.memory import default_budget
from ..running.shipping import Chain
from .configuration import queue_url
from .foreman import Foreman
from .intake import Intake
from .ledger import Ledger
from .logs import name_daemon
from .nights import NightKeeper
from .places import open_destinations
from .pruning import prune_old
from .queue import DaemonFacts, Job, JobQueue, LeaseWatch, QueueError, Record, UnknownDaemon
from .reloading import Reloading
from .service import Service
from .settings import Observatory
from .sources import make_sources
from .threads import threads_for
from .work.calls import CallError
from .work.fleet import Clerk, Fleet
from .work.publish import staged_jobs, sweep

log = logging.getLogger(__name__)

LOOK_EVERY = 0.5
"""Whether a person or another daemon has changed something is looked up so often [s]."""

TEND_EVERY = 1.0
LOOK_AROUND_EVERY = 5.0
SWEEP_EVERY = 60.0
PRUNE_EVERY = 600.0
BEATS_PER_LEASE = 5

SWITCH = 0.001
"""A thread that computes lets others go on after so long [s]; the loop comes before those that write to the queue."""


async def serve(
    settings: Observatory, path: Path, *, port: int | None = None, started: Callable[[Service], None] | None = None
) -> int:
    """Run the daemon until it is asked to end (SIGTERM: what runs is finished; a second one: at once).

    Relative paths in chains are relative to the folder of the configuration, which becomes the current folder.

    Parameters
    ----------
    settings : Observatory
        The configuration.
    path : Path
        Its file; it is read again on SIGHUP and `etendue reload`.
    port : int
        Another port for the page.
    started : callable
        Told when everything runs.

    Returns
    -------
    int
        Exit code.

    Raises
    ------
    ConfigError
        A chain is wrong, a folder cannot be written, the queue cannot be opened.
    """
    daemon = Daemon(settings, path, port=port)
    os.chdir(daemon.path.parent)
    return await daemon.run(started)


class Daemon(Reloading):
    """Starts the parts, keeps them going, ends them in order."""

    def __init__(self, settings: Observatory, path: Path, *, port: int | None = None) -> None:
        super().__init__(settings, path)
        self.port = port
        self.leases = LeaseWatch()
        self.listener: socket.socket | None = None
        self.code = 0
        self._ending = asyncio.Event()
        self._at_once = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[Any]] = {}
        self._reloads = 0
        self._hung_up = False
        self._seen: Any = None

    async def run(self, started: Callable[[Service], None] | None = None) -> int:
        """Run until the end."""
        settings = self.settings
        _make_folder(settings)
        with threads_for(settings.workers.count or os.cpu_count() or 1):
            return await self._run(settings, started)

    async def _run(self, settings: Observatory, started: Callable[[Service], None] | None) -> int:
        sys.setswitchinterval(SWITCH)
        queue = await asyncio.to_thread(JobQueue.open, queue_url(settings))
        self.ledger = Ledger(queue)
        name = await self.ledger.write(queue.register, DaemonFacts.of_this_process(version("etendue")))
        self.service = Service(settings, self.path, name, self.ledger)
        self.leases.own = name
        self._listen_to_signals()
        self.inspector, self.service.page_clerk = Clerk(), Clerk()
        self.fleet = _fleet(settings, self._entered)
        try:
            self.service.page_clerk.start()
            if not await self._prepared():
                return self.code
            gc.collect()
            gc.freeze()  # what is there now stays: collections need not look through it again and again
            async with asyncio.TaskGroup() as group:
                self._start_everything(group)
                self.service.serving = True
                workers = "1 worker" if self.fleet.workers == 1 else f"{self.fleet.workers} workers"
                log.info("ready: %s, sources %s", workers, ", ".join(self.service.sources))
                if started is not None:
                    started(self.service)
                await self._ending.wait()
                await self._drain()
                with contextlib.suppress(QueueError):  # the next daemon does it
                    await self._sweep()
                for task in self._tasks.values():
                    task.cancel()
        finally:
            await self._close()
        return self.code

    # --- starting -------------------------------------------------------------------------------------------------

    async def _prepared(self) -> bool:
        """Prepare, unless we are asked to end before that is done."""
        work = asyncio.create_task(self._prepare())
        ending = asyncio.create_task(self._ending.wait())
        try:
            await asyncio.wait({work, ending}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                return False
            await work
            return True
        finally:
            for task in (work, ending):
                task.cancel()
            await asyncio.gather(work, ending, return_exceptions=True)

    async def _prepare(self) -> None:
        """Everything that must be right before work begins."""
        service, settings = self.service, self.settings
        if settings.web.enabled:
            from ..web.metrics import Metrics
            from ..web.server import listen

            service.metrics = Metrics()
            self.listener = listen(settings.web.host, settings.web.port if self.port is None else self.port)
        await self.fleet.start(None)  # the workers load their libraries while the clerk loads the chains
        chains, problems = await self._load_chains(settings)
        if problems:
            raise ConfigError("\n".join(line for lines in problems.values() for line in lines))
        service.chains = chains
        self.fleet.expect([Chain(chain.pipeline, fingerprint=chain.fingerprint) for chain in chains.values()])
        self.inspector.start()
        service.fleet = self.fleet
        service.destinations = await asyncio.to_thread(open_destinations, settings)
        service.reload_now = self.reload
        service.take_upload = self._take_upload
        if settings.nights is not None:
            service.nights = NightKeeper(settings.nights, self.ledger, chains=service.chains, call=self.inspector.call)
        service.foreman = Foreman(
            settings,
            service.daemon,
            self.ledger,
            self.fleet,
            service.chains,
            service.destinations,
            tell=self._changed,
            make_masters=self._make_masters,
            held_sources=self._held_sources,
            ended=self._attempt_ended,
        )
        by_name = {str(source.name): source for source in settings.sources}
        service.intake = Intake(by_name, service.chains, self.ledger, service.nights, self._added)
        service.sources = make_sources(settings, self.service.chains, queue=self.ledger, inspect=self.inspector.call)
        await self._note_chains(chains)
        self._reloads = await self.ledger.read(self.ledger.queue.reload_requested)
        await service.foreman.holds.look_at_folders()
        await self._recover_dead()
        await self._sweep()
        await service.look_around()

    def _start_everything(self, group: asyncio.TaskGroup) -> None:
        service = self.service
        loops = {
            "foreman": service.foreman.run(),
            "heartbeat": self._every(self.settings.queue.lease / BEATS_PER_LEASE, "heartbeat", self._beat),
            "control": self._every(LOOK_EVERY, "changes of the queue", self._control),
            "lag": service.lag.run(),
            "look around": self._every(LOOK_AROUND_EVERY, "disks and memory", service.look_around),
            "sweep": self._every(SWEEP_EVERY, "unfinished products", self._sweep),
        }
        if (keep := self.settings.queue.keep) is not None:
            prune = partial(self._prune, keep)
            loops["old details"] = self._every(PRUNE_EVERY, "details of old jobs", prune)
        if service.nights is not None:
            loops["nights"] = self._every(TEND_EVERY, "nights", service.nights.tend)
        for runner in service.sources.values():
            loops[f"source {runner.name}"] = runner.run(service.intake.found)
        if self.settings.web.enabled:
            from ..web import serve_web

            loops["web"] = serve_web(service, listener=self.listener, started=self._answers)
        for name, work in loops.items():
            self._tasks[name] = group.create_task(work, name=name)

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_end)
        loop.add_signal_handler(signal.SIGHUP, self._asked_to_reload)

    def _asked_to_end(self) -> None:
        if self._ending.is_set():
            log.warning("ending at once; what runs is done again at the next start")
            self._at_once.set()
            return
        log.info("ending: what runs is finished first; a second signal ends at once")
        self.service.draining = True
        self._ending.set()

    def _asked_to_reload(self) -> None:
        self._hung_up = True

    # --- ending ---------------------------------------------------------------------------------------------------

    async def _drain(self) -> None:
        for name, task in self._tasks.items():
            if name.startswith(("source ", "nights")):
                task.cancel()
        drained = asyncio.create_task(self.service.foreman.drain(self.settings.workers.grace))
        at_once = asyncio.create_task(self._at_once.wait())
        await asyncio.wait({drained, at_once}, return_when=asyncio.FIRST_COMPLETED)
        at_once.cancel()
        if not drained.done():
            drained.cancel()
            await self.service.foreman.drain(0.0)

    async def _close(self) -> None:
        if hasattr(self.service, "foreman") and not self.service.foreman.drained:
            await self.service.foreman.drain(0.0)
        await self.fleet.close()
        for clerk in (self.inspector, self.service.page_clerk):
            await clerk.close()
        leaving = asyncio.create_task(self.ledger.write(self.ledger.queue.unregister, self.service.daemon))
        await asyncio.sleep(0)
        if not await self.ledger.close():
            log.warning("the queue could not be told the end; whoever goes on with it will notice")
        await asyncio.gather(leaving, return_exceptions=True)

    # --- keeping going --------------------------------------------------------------------------------------------

    async def _sweep(self) -> None:
        """Remove staging folders that nobody needs any more: those of daemons that were killed."""
        holds = self.service.foreman.holds
        destinations = {name: one for name, one in self.service.destinations.items() if not holds.is_silent(name)}
        staged: dict[str, set[tuple[int, str]]] = {}
        for name, destination in destinations.items():
            with contextlib.suppress(OSError):  # a disk that has gone is the foreman's business
                staged[name] = await asyncio.to_thread(staged_jobs, destination, self.ledger.queue.mark)
        live = await self.ledger.read(self.ledger.queue.running_tokens)  # after that: a new one is not swept away
        for name, found in staged.items():
            await asyncio.to_thread(sweep, destinations[name], found - live)

    async def _every(self, seconds: float, what: str, work: Callable[[], Awaitable[Any]]) -> None:
        """Do something again and again. Whatever goes wrong is shown, and tried again: it ends nobody's work."""
        troubles = self.service.troubles
        while True:
            try:
                await work()
            except Exception as error:
                why = str(error) or type(error).__name__
                if troubles.get(what) != why:
                    expected = isinstance(error, EtendueError | OSError | CallError)
                    log.warning("%s: %s; trying again", what, why, exc_info=None if expected else error)
                troubles[what] = why
            else:
                if troubles.pop(what, ""):
                    log.info("%s: it works again", what)
            await asyncio.sleep(seconds)

    async def _prune(self, keep: float) -> None:
        await prune_old(self.ledger, keep, self.service.daemon)

    async def _beat(self) -> None:
        """Show that we live, and take over the jobs of those who do not."""
        queue = self.ledger.queue
        try:
            await self.ledger.write(queue.beat, self.service.daemon, self._status())
        except UnknownDaemon:
            log.warning("others have taken us for dead, and our jobs with them; going on under a new name")
            name = await self.ledger.write(queue.register, DaemonFacts.of_this_process(version("etendue")))
            self.service.daemon = self.leases.own = name
            name_daemon(name)
            await self.service.foreman.under_a_new_name(name)
        await self._recover_dead()

    async def _recover_dead(self) -> None:
        queue = self.ledger.queue
        for dead in await self.ledger.read(queue.dead_daemons, self.leases, self.settings.queue.lease):
            recovered = await self.ledger.write(queue.recover, dead, self.service.daemon)
            log.warning(
                "daemon %s has gone: %d jobs are queued again, the products of %d are put into their places",
                dead, len(recovered.requeued), len(recovered.publishing),
            )  # fmt: skip
            await self.service.foreman.recover(recovered.publishing)
            self.service.foreman.wake()

    async def _control(self) -> None:
        """Notice what people and other daemons do to the queue, and new versions of chains."""
        queue = self.ledger.queue
        if (current := await self.ledger.read(queue.version)) != self._seen:
            self._seen = current
            self.service.tell({"changed": True})
            self.service.foreman.wake()
        if (wanted := await self.ledger.read(queue.reload_requested)) != self._reloads:
            await self.reload()
            self._reloads = wanted
            await self._beat()
        elif self._hung_up or (self.settings.watch_config and await asyncio.to_thread(self._files_changed)):
            self._hung_up = False
            await self.reload()

    def _status(self) -> dict[str, Any]:
        """What the queue knows of us: for the command line, and for other daemons' pages."""
        return {
            "reload": {"number": self._reloads, "problems": self._all_problems()},
            "holding": self.service.holding(),
            "held": [hold.to_json() for hold in self.service.foreman.holds.all],
            "sources": {r.name: r.state.message for r in self.service.sources.values() if r.state.state != "ok"},
            "draining": self.service.draining,
            "prunes": self.settings.queue.keep is not None,
            "chains": {name: chain.fingerprint for name, chain in self.service.chains.items()},
        }

    # --- what the parts tell each other ----------------------------------------------------------------------------

    def _entered(self, job: int, step: str) -> None:
        self.service.foreman.entered(job, step)
        self.service.tell({"job": job, "step": step})

    def _changed(self, job: int, state: str) -> None:
        self.service.tell({"job": job, "state": str(state)})

    def _added(self, jobs: list[int]) -> None:
        self.service.foreman.wake()
        for job in jobs[-20:]:
            self.service.tell({"job": job, "state": "queued"})

    def _held_sources(self) -> set[str]:
        return {name for name, runner in self.service.sources.items() if runner.state.lost}

    def _attempt_ended(self, job: Job, outcome: str, record: Record) -> None:
        if self.service.metrics is not None:
            self.service.metrics.observe(job.chain, outcome, record.seconds, record.timings)

    async def _make_masters(self, job: Job) -> dict[str, Any]:
        facts = await self.fleet.call(
            "build_masters", dict(job.payload), timeout=self.settings.workers.timeout, memory=job.memory
        )
        if self.service.nights is not None:
            asyncio.get_running_loop().call_soon(self.service.foreman.wake)
        return facts

    def _answers(self, address: str) -> None:
        log.info("the page is at %s", address)

    async def _take_upload(self, settings: Any, filename: str, stream: Any, length: int | None, who: str) -> int:
        runner: Any = self.service.sources[settings.name]
        return await runner.take(stream, filename, length=length, who=who, found=self.service.intake.found)


def _fleet(settings: Observatory, on_step: Callable[[int, str], None]) -> Fleet:
    workers = settings.workers
    memory = workers.memory or default_budget()
    return Fleet(
        workers=workers.count or os.cpu_count() or 1,
        memory=memory,
        limit=workers.limit or memory,
        recycle_after=workers.recycle_after,
        on_step=on_step,
    )


def _make_folder(settings: Observatory) -> None:
    try:
        settings.state.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{settings.state}: the folder cannot be made: {error.strerror or error}") from error
