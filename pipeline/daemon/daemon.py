"""The daemon: everything is started, kept going, and ended here; what each part does stands in its own file."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..running.memory import default_budget
from ..running.shipping import Chain
from .chains import LoadedChain
from .configuration import load_observatory, queue_url
from .foreman import Foreman
from .intake import Intake
from .ledger import Ledger
from .logs import name_daemon
from .nights import NightKeeper
from .places import check_destinations
from .queue import DaemonFacts, Job, JobQueue, LeaseWatch, Record, UnknownDaemon
from .service import Service
from .settings import ChainSettings, Observatory
from .sources import make_sources
from .work.destinations import make_destination
from .work.fleet import Clerk, Fleet
from .work.publish import staged_jobs, sweep

log = logging.getLogger(__name__)

LOOK_EVERY = 0.5
"""Whether a person or another daemon has changed something is looked up so often [s]."""

TEND_EVERY = 1.0
LOOK_AROUND_EVERY = 5.0
BEATS_PER_LEASE = 5

TAKEN_OVER = ("chains",)
"""Parts of the configuration that are taken over while the daemon runs."""


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


class Daemon:
    """Starts the parts, keeps them going, ends them in order."""

    def __init__(self, settings: Observatory, path: Path, *, port: int | None = None) -> None:
        self.settings = settings
        self.path = path.absolute()
        self.port = port
        self.leases = LeaseWatch()
        self.listener: socket.socket | None = None
        self._files: list[tuple[str, int]] = []
        self.code = 0
        self._ending = asyncio.Event()
        self._at_once = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[Any]] = {}
        self._reloads = 0

    async def run(self, started: Callable[[Service], None] | None = None) -> int:
        """Run until the end."""
        settings = self.settings
        _make_folders(settings)
        queue = await asyncio.to_thread(JobQueue.open, queue_url(settings))
        self.ledger = Ledger(queue)
        name = await self.ledger.write(queue.register, DaemonFacts.of_this_process(version("etendue")))
        self.service = Service(settings, self.path, name, self.ledger)
        self._listen_to_signals()
        self.inspector, self.service.page_clerk = Clerk(), Clerk()
        self.fleet = _fleet(settings, self._entered)
        try:
            await self._prepare()
            async with asyncio.TaskGroup() as group:
                self._start_everything(group)
                self.service.serving = True
                log.info("ready: %d workers, sources %s", self.fleet.workers, ", ".join(self.service.sources))
                if started is not None:
                    started(self.service)
                await self._ending.wait()
                await self._drain()
                for task in self._tasks.values():
                    task.cancel()
        finally:
            await self._close()
        return self.code

    # --- starting -------------------------------------------------------------------------------------------------

    async def _prepare(self) -> None:
        """Everything that must be right before work begins."""
        service, settings = self.service, self.settings
        if settings.web.enabled:
            from ..web.metrics import Metrics
            from ..web.server import listen

            service.metrics = Metrics()
            self.listener = listen(settings.web.host, settings.web.port if self.port is None else self.port)
        chains, problems = await self._load_chains(settings)
        if problems:
            raise ConfigError("\n".join(line for lines in problems.values() for line in lines))
        service.chains = chains
        await self.fleet.start([Chain(chain.pipeline, fingerprint=chain.fingerprint) for chain in chains.values()])
        service.fleet = self.fleet
        service.destinations = {
            name: make_destination(name, one, settings.state) for name, one in settings.destinations.items()
        }
        await asyncio.to_thread(check_destinations, service.destinations, settings.state)
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
        await self._recover_dead()
        staged = {name: await asyncio.to_thread(staged_jobs, one) for name, one in service.destinations.items()}
        live = await self.ledger.read(self.ledger.queue.running_tokens)  # after that, or a new one would be swept away
        for name, destination in service.destinations.items():
            await asyncio.to_thread(sweep, destination, staged[name] - live)
        await service.look_around()

    def _start_everything(self, group: asyncio.TaskGroup) -> None:
        service = self.service
        loops = {
            "foreman": service.foreman.run(),
            "heartbeat": self._beat(),
            "control": self._control(),
            "lag": service.lag.run(),
            "look around": self._every(LOOK_AROUND_EVERY, service.look_around),
        }
        if service.nights is not None:
            loops["nights"] = self._every(TEND_EVERY, self._tend)
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
        loop.add_signal_handler(signal.SIGHUP, lambda: asyncio.ensure_future(self.reload()))

    def _asked_to_end(self) -> None:
        if self._ending.is_set():
            log.warning("ending at once; what runs is done again at the next start")
            self._at_once.set()
            return
        log.info("ending: what runs is finished first; a second signal ends at once")
        self.service.draining = True
        self._ending.set()

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
        await self.fleet.close()
        for clerk in (self.inspector, self.service.page_clerk):
            await clerk.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10):
                await self.ledger.write(self.ledger.queue.unregister, self.service.daemon)
                await self.ledger.close()

    # --- keeping going --------------------------------------------------------------------------------------------

    async def _every(self, seconds: float, work: Callable[[], Any]) -> None:
        while True:
            await work()
            await asyncio.sleep(seconds)

    async def _beat(self) -> None:
        """Show that we live, and take over the jobs of those who do not."""
        queue = self.ledger.queue
        while True:
            await asyncio.sleep(self.settings.queue.lease / BEATS_PER_LEASE)
            try:
                await self.ledger.write(queue.beat, self.service.daemon, self._status())
            except UnknownDaemon:
                log.warning("others have taken us for dead, and our jobs with them; going on under a new name")
                name = await self.ledger.write(queue.register, DaemonFacts.of_this_process(version("etendue")))
                self.service.daemon = self.service.foreman.daemon = name
                name_daemon(name)
            await self._recover_dead()

    async def _recover_dead(self) -> None:
        queue = self.ledger.queue
        for dead in await self.ledger.read(queue.dead_daemons, self.leases, self.settings.queue.lease):
            if dead == self.service.daemon:
                continue
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
        self._reloads = await self.ledger.read(queue.reload_requested)
        seen = None
        while True:
            await asyncio.sleep(LOOK_EVERY)
            if (current := await self.ledger.read(queue.version)) != seen:
                seen = current
                self.service.tell({"changed": True})
                self.service.foreman.wake()
            if (wanted := await self.ledger.read(queue.reload_requested)) != self._reloads:
                await self.reload()
                self._reloads = wanted
                await self.ledger.write(queue.beat, self.service.daemon, self._status())
            elif self.settings.watch_config and await asyncio.to_thread(self._files_changed):
                await self.reload()

    def _status(self) -> dict[str, Any]:
        """What the queue knows of us: for the command line, and for other daemons' pages."""
        return {
            "reload": {"number": self._reloads, "problems": self._all_problems()},
            "holding": self.service.holding(),
            "sources": {r.name: r.state.message for r in self.service.sources.values() if r.state.state != "ok"},
            "draining": self.service.draining,
            "chains": {name: chain.fingerprint for name, chain in self.service.chains.items()},
        }

    async def _tend(self) -> None:
        assert self.service.nights is not None
        await self.service.nights.tend()

    # --- chains ---------------------------------------------------------------------------------------------------

    async def reload(self) -> list[str]:
        """Read the configuration again; take over what is right of it.

        Returns
        -------
        list of str
            Why something was not taken over.
        """
        service = self.service
        try:
            new = await asyncio.to_thread(load_observatory, self.path)
        except ConfigError as error:
            service.problems = str(error).splitlines()
            self._complain()
            return self._all_problems()
        service.problems = _not_taken_over(self.settings, new)
        chains, service.chain_problems = await self._load_chains(new)
        used = {name for source in self.settings.sources for name in _chains_of(source)}
        for name in used - set(new.chains):
            service.chain_problems[name] = [
                f"chain '{name}' is used by a source, and is not in {self.path.name} any more"
            ]
        for name in list(service.chains):
            if name not in chains and name not in service.chain_problems:
                del service.chains[name]
        changed = [
            name
            for name, chain in chains.items()
            if name not in service.chains or service.chains[name].fingerprint != chain.fingerprint
        ]
        service.chains.update(chains)
        self.fleet.expect([Chain(chain.pipeline, fingerprint=chain.fingerprint) for chain in service.chains.values()])
        self.settings = self.settings.model_copy(update={"chains": new.chains})
        await self._note_chains(chains)
        log.info("configuration read; new or changed: %s", ", ".join(changed) or "nothing")
        self._complain()
        service.tell({"changed": True})
        service.foreman.wake()
        return self._all_problems()

    async def _load_chains(self, settings: Observatory) -> tuple[dict[str, LoadedChain], dict[str, list[str]]]:
        loaded: dict[str, LoadedChain] = {}
        problems: dict[str, list[str]] = {}
        for name, one in settings.chains.items():
            found = await self.service.page_clerk.call("load_chain", _arguments(name, one, settings), timeout=120)
            if "problems" in found:
                problems[name] = found["problems"]
            else:
                loaded[name] = LoadedChain.from_json(found["chain"], one)
        return loaded, problems

    async def _note_chains(self, chains: dict[str, LoadedChain]) -> None:
        for chain in chains.values():
            await self.ledger.write(self.ledger.queue.note_chain, chain.fingerprint, chain.name, chain.pipeline)

    def _files_changed(self) -> bool:
        """Whether a file of the configuration is another one than the one that was read last."""
        state = [(str(self.path), _when(self.path))]
        for chain in self.service.chains.values():
            state += [(path, _when(Path(path))) for path in chain.files]
        before, self._files = self._files, state
        return bool(before) and before != state

    def _all_problems(self) -> list[str]:
        return [*self.service.problems, *(line for lines in self.service.chain_problems.values() for line in lines)]

    def _complain(self) -> None:
        for line in self._all_problems():
            log.error("not taken over, what was valid before goes on: %s", line)

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


def _arguments(name: str, chain: ChainSettings, settings: Observatory) -> dict[str, Any]:
    library = None if settings.nights is None else str(settings.nights.library)
    return {
        "name": name,
        "file": chain.file,
        "variables": dict(chain.variables),
        "overrides": list(chain.set),
        "library": library,
    }


def _not_taken_over(old: Observatory, new: Observatory) -> list[str]:
    """What has changed in the configuration besides its chains."""
    changed = [
        name for name in type(old).model_fields if name not in TAKEN_OVER and getattr(old, name) != getattr(new, name)
    ]
    return [f"'{name}' has changed: restart the daemon to take it over (no work is lost by that)" for name in changed]


def _chains_of(source: Any) -> list[str]:
    return [name for name in (source.chain, *(choice.chain for choice in source.choose)) if name is not None]


def _when(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _make_folders(settings: Observatory) -> None:
    folders = [settings.state, *(Path(one.url) for one in settings.destinations.values() if "://" not in one.url)]
    if settings.nights is not None:
        folders.append(settings.nights.library)
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{folder}: the folder cannot be made: {error.strerror or error}") from error
