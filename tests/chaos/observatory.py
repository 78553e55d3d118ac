"""An observatory to be tormented: folders, a configuration, and the real program `etendue serve` in a process."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Self

import psutil
import yaml

from etendue.pipeline.daemon.queue import Filter, JobQueue, QueueBusyError
from etendue.pipeline.daemon.queue.job import Job

ROOT = Path(__file__).resolve().parents[2]

CHAIN = """\
name: reduce
steps:
  - class: tests.chaos.steps.FindPeaks
  - class: etendue.processors.output.catalog.SaveCatalog
    filename: "{stem}_cat.fits"
  - class: etendue.processors.output.save.Save
    filename: "{stem}_reduced.fits"
"""
"""Two products for each image: neither may be there without the other.

Little work, since what counts here is how often it is begun and cut off.
"""

PRODUCTS = ("{stem}_cat.fits", "{stem}_reduced.fits")

PATIENCE = 180.0
"""Longest wait for anything [s]: generous, since a slow machine is no mistake of the program."""


class NotYetError(AssertionError):
    """Something has not happened in time."""


def wait_for(what: str, happened: Callable[[], Any], *, patience: float = PATIENCE, every: float = 0.05) -> Any:
    """The first true value of `happened()`.

    Raises
    ------
    NotYetError
        It did not happen in time.
    """
    end = time.monotonic() + patience
    while not (value := happened()):
        if time.monotonic() > end:
            raise NotYetError(f"not within {patience:g} s: {what}")
        time.sleep(every)
    return value


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Daemon:
    """`etendue serve`, as a process."""

    def __init__(self, config: Path, log: Path, environment: dict[str, str]) -> None:
        self.log = log
        self.started = time.monotonic()
        with log.open("ab") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "etendue", "serve", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                cwd=config.parent,
                env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"} | environment,
                start_new_session=True,
            )

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self.process.poll() is None

    def require_alive(self) -> None:
        """Whatever is done to its workers, it does not end by itself.

        Raises
        ------
        AssertionError
            It did.
        """
        if not self.alive:
            raise AssertionError(f"the daemon ended by itself, with {self.process.returncode}: {self.last_words()}")

    def wait_for(self, happened: Callable[[], Any], what: str) -> None:
        """Wait for something that the daemon does, as long as it lives."""

        def so_far() -> Any:
            self.require_alive()
            return happened()

        wait_for(f"{what}; {self.log.name}: {self.last_words(3)}", so_far, every=0.02)

    def children(self) -> list[psutil.Process]:
        """Worker processes, and whatever else it has started."""
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def kill(self) -> None:
        """``kill -9`` of the daemon alone: what it leaves behind must end by itself."""
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()

    def end(self, patience: float = 60.0) -> int:
        """SIGTERM, and the exit status.

        Raises
        ------
        NotYetError
            It did not end.
        """
        with suppress(ProcessLookupError):
            self.process.terminate()
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            raise NotYetError(f"the daemon did not end within {patience:g} s of SIGTERM: {self.last_words()}") from None

    def stand_still(self) -> None:
        """Stop without ending, as a machine does whose virtual host is busy."""
        os.kill(self.process.pid, signal.SIGSTOP)
        threads = Path(f"/proc/{self.process.pid}/task")
        wait_for("all its threads stand still", lambda: _states(threads) == {"T"}, every=0.0005)

    def go_on(self) -> None:
        """Go on after :meth:`stand_still`."""
        os.kill(self.process.pid, signal.SIGCONT)

    def last_words(self, lines: int = 15) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def _states(threads: Path) -> set[str]:
    """How the threads of a process stand, as the kernel abbreviates it."""
    return {stat.read_text().rpartition(")")[2].split()[0] for stat in threads.glob("*/stat")}


class Observatory:
    """A folder with everything that a daemon needs, and the daemons that run on it.

    Parameters
    ----------
    folder : Path
        Where all of it is.
    chains : mapping of str to str or mapping
        Text of further chains by name, or ``{"text": …, "attempts": …}`` with settings of the chain.
    sources : list of mapping
        Sources; the folder `incoming` through the chain `reduce` by default.
    url : str
        Of the queue; a file in the folder by default.
    **settings
        Further parts of the configuration, on top of quick defaults.
    """

    def __init__(
        self,
        folder: Path,
        *,
        chains: dict[str, Any] | None = None,
        sources: list[dict[str, Any]] | None = None,
        url: str | None = None,
        **settings: Any,
    ) -> None:
        self.folder = folder
        self.incoming = folder / "incoming"
        self.products = folder / "products"
        self.state = folder / "state"
        self.log = folder / "daemon.log"
        self.config = folder / "observatory.yaml"
        self.environment: dict[str, str] = {}
        self.daemons: list[Daemon] = []
        for made in (self.incoming, self.products, self.state):
            made.mkdir(parents=True, exist_ok=True)
        self.url = url or f"sqlite:///{self.state / 'queue.db'}"
        self._queue: JobQueue | None = None
        self._configure(chains or {}, sources, settings)

    def _configure(
        self, chains: dict[str, Any], sources: list[dict[str, Any]] | None, settings: dict[str, Any]
    ) -> None:
        known: dict[str, Any] = {"reduce": {"text": CHAIN}} | chains
        listed = {}
        for name, given in known.items():
            options = {"text": given} if isinstance(given, str) else dict(given)
            (self.folder / f"{name}.yaml").write_text(options.pop("text"))
            listed[name] = {"file": f"{name}.yaml", "attempts": 5, "backoff": 0.1, **options}
        watch = [{"watch": str(self.incoming), "chain": "reduce"}] if sources is None else sources
        quick = {"settle": 0.3, "scan": 1.0}
        text = {
            "name": "chaos",
            "state": str(self.state),
            "chains": listed,
            "destinations": {"products": str(self.products)},
            "sources": [{**quick, **source} if "watch" in source else source for source in watch],
            "log": {"format": "json"},
            "web": {"port": free_port()},
            **settings,
        }
        text["queue"] = {"lease": 5.0, **settings.get("queue", {})} | ({"url": self.url} if "post" in self.url else {})
        text["workers"] = {"count": 2, "memory": "2 GB", "limit": "2 GB", "grace": 20.0, **settings.get("workers", {})}
        self.port = text["web"]["port"]
        self.config.write_text(yaml.safe_dump(text, allow_unicode=True, sort_keys=False))

    # --- the daemon ----------------------------------------------------------------------------------------------

    def start(self, *, ready: bool = True, config: Path | None = None, log: Path | None = None) -> Daemon:
        """Start a daemon; with `ready` wait until it is registered and its page answers."""
        daemon = Daemon(config or self.config, log or self.log, self.environment)
        self.daemons.append(daemon)
        if ready:
            self.wait_until_registered(daemon)
            if config is None:
                daemon.wait_for(self.answers, "its page answers")
        return daemon

    def wait_until_registered(self, daemon: Daemon) -> None:
        """Wait until the daemon is known to the queue.

        Raises
        ------
        NotYetError
            It ended, or is not known in time.
        """

        def registered() -> bool:
            if not daemon.alive:
                raise NotYetError(f"the daemon ended with {daemon.process.returncode}: {daemon.last_words()}")
            try:
                return any(row.pid == daemon.process.pid for row in self.queue.daemons())
            except Exception:  # noqa: BLE001 - the daemon may be making the tables at this moment
                return False

        wait_for("the daemon is registered", registered)

    def close(self) -> None:
        """End all daemons and everything that they started."""
        for daemon in self.daemons:
            left = daemon.children()
            if daemon.alive:
                with suppress(ProcessLookupError):
                    daemon.go_on()
                daemon.kill()
            for process in left:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        if self._queue is not None:
            self._queue.close()
            self._queue = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # --- the queue, looked at from outside ------------------------------------------------------------------------

    @property
    def queue(self) -> JobQueue:
        """The queue, opened beside the daemon."""
        if self._queue is None:
            self._queue = JobQueue.open(self.url)
        return self._queue

    def locked(self) -> bool:
        """Whether somebody is writing to the queue, which is in SQLite, at this moment."""
        connection = sqlite3.connect(self.url.removeprefix("sqlite:///"), timeout=0.0, isolation_level=None)
        with closing(connection):
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
                return True
            connection.execute("ROLLBACK")
        return False

    def jobs(self, **wanted: Any) -> list[Job]:
        """All jobs, oldest first."""
        found: list[Job] = []
        before = None
        while True:
            page = self.queue.search(Filter(**wanted), order="oldest", limit=1000, before=before)
            found += page.jobs
            before = page.next
            if before is None or not page.jobs:
                return found

    def counts(self) -> dict[str, int]:
        """Number of jobs in each state. A database that restarts is waited for."""

        def counted() -> dict[str, int] | None:
            try:
                return {str(state): count for state, count in self.queue.counts().items()}
            except QueueBusyError:
                return None

        return wait_for("the database answers", counted, every=0.2)

    def settled(self, number: int) -> bool:
        """Whether so many jobs are there and none of them is open."""
        counts = self.counts()
        still_open = sum(counts.get(state, 0) for state in ("waiting", "queued", "running"))
        return still_open == 0 and sum(counts.values()) >= number

    def wait_until_settled(self, number: int, *, patience: float = PATIENCE) -> None:
        """Wait until so many jobs have come to an end.

        Raises
        ------
        NotYetError
            They did not; the message says how they stand, and what the daemon said last.
        """
        try:
            wait_for(f"{number} jobs have come to an end", lambda: self.settled(number), patience=patience, every=0.1)
        except NotYetError as error:
            words = self.daemons[-1].last_words() if self.daemons else ""
            raise NotYetError(f"{error}; {self.counts()}\n{words}") from None

    def wait_for_job(self, name: str, *states: str, patience: float = PATIENCE) -> Job:
        """The newest job for a file of this name, when it is in one of these states."""

        def found() -> Job | None:
            jobs = [job for job in self.jobs() if job.label == name or (job.path and job.path.name == name)]
            return jobs[-1] if jobs and str(jobs[-1].state) in states else None

        return wait_for(f"{name!r} is {' or '.join(states)}", found, every=0.2, patience=patience)

    # --- the API --------------------------------------------------------------------------------------------------

    def answers(self) -> bool:
        """Whether somebody listens at the port of the page."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def now(self) -> dict[str, Any]:
        """What /api/now says."""
        import httpx

        return httpx.get(f"http://127.0.0.1:{self.port}/api/now", timeout=10.0).raise_for_status().json()

    def logged(self) -> Iterator[dict[str, Any]]:
        """Lines of the daemon's log."""
        for line in self.log.read_text(errors="replace").splitlines():
            with suppress(json.JSONDecodeError):
                yield json.loads(line)
