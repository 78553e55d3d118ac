"""A foreman with a real queue and real folders, and workers that are functions: a job takes milliseconds."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from etendue.pipeline.daemon.foreman import Foreman
from etendue.pipeline.daemon.ledger import Ledger
from etendue.pipeline.daemon.queue import DaemonFacts, Filter, Job, JobKind, JobQueue, JobState, NewJob
from etendue.pipeline.daemon.work.destinations import Destination
from etendue.pipeline.daemon.work.fleet import Work
from etendue.pipeline.daemon.work.folders import FolderDestination
from etendue.pipeline.running.outcome import Outcome

PATIENCE = 60.0

Act = Callable[[Work], Awaitable[Outcome]]


async def reduce(work: Work) -> Outcome:
    """Make one product, as a worker does."""
    product = work.staging / f"{Path(work.label).stem}.fits"
    product.write_bytes(b"product")
    return Outcome(Path(work.label), "done", products=(product,), checksum=work.label)


class Fleet:
    """Workers that do what `act` does."""

    def __init__(self, act: Act = reduce, workers: int = 2) -> None:
        self.act, self.workers = act, workers
        self.taken: list[int] = []

    async def run(self, work: Work) -> Outcome:
        """One attempt."""
        self.taken.append(work.job)
        return await self.act(work)


class Yard:
    """A foreman and what it needs.

    Parameters
    ----------
    folder : Path
        For the queue and the products.
    act : callable
        What a worker does with an image.
    masters : callable
        What makes masters.
    """

    def __init__(self, folder: Path, act: Act = reduce, masters: Callable[[Job], Awaitable[Any]] | None = None) -> None:
        self.queue = JobQueue.open(f"sqlite:///{folder / 'queue.db'}")
        self.products = folder / "products"
        self.destinations: dict[str, Destination] = {
            name: FolderDestination(name, folder / name) for name in ("products", "elsewhere")
        }
        self.daemon = self.queue.register(DaemonFacts.of_this_process())
        self.ledger = Ledger(self.queue)
        self.fleet = Fleet(act)
        chain = SimpleNamespace(
            pipeline="{}",
            fingerprint="f" * 8,
            read={},
            settings=SimpleNamespace(timeout=None, attempts=3, backoff=0.01),
        )
        self.told: list[tuple[int, str]] = []
        settings: Any = SimpleNamespace(state=folder, sources=(), workers=SimpleNamespace(timeout=60.0))
        self.foreman = Foreman(
            settings,
            self.daemon,
            self.ledger,
            self.fleet,  # type: ignore[arg-type]
            {"chain": chain},  # type: ignore[dict-item]
            self.destinations,
            tell=lambda job, state: self.told.append((job, state)),
            make_masters=masters or _no_masters,
            held_sources=set,
            ended=lambda *_: None,
        )

    def add(self, *names: str, kind: JobKind = JobKind.IMAGE, destination: str = "products") -> list[int]:
        """Queue a job for each name."""
        return [
            one.id
            for one in self.queue.add(
                [
                    NewJob(
                        kind=kind,
                        key=name,
                        source="raw",
                        chain="chain",
                        label=name,
                        path=None if kind is JobKind.MASTERS else Path("/raw") / name,
                        destination=destination,
                    )
                    for name in names
                ]
            )
        ]

    def job(self, number: int) -> Job:
        """How a job stands."""
        return self.queue.get(number)

    def staged(self) -> list[str]:
        """Folders with unfinished products."""
        return sorted(path.name for path in self.destinations["products"].staging_root.iterdir())

    def made(self, destination: str = "products") -> list[str]:
        """Products in their places."""
        return sorted(path.name for path in (self.products.parent / destination).glob("*.fits"))

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[asyncio.Task[None]]:
        """The foreman works; at the end it is stopped at once, and its queue closed."""
        work = asyncio.create_task(self.foreman.run())
        try:
            yield work
        finally:
            await self.foreman.drain(0.0)
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work
            await self.ledger.close()

    async def until(self, happened: Callable[[], Any]) -> None:
        """Wait for something."""
        async with asyncio.timeout(PATIENCE):
            while not happened():  # noqa: ASYNC110 - the queue tells nobody
                await asyncio.sleep(0.005)

    async def until_settled(self) -> None:
        """Wait until no job is open, and none in work."""
        still_open = Filter(states=(JobState.QUEUED, JobState.RUNNING))
        await self.until(lambda: not self.foreman.in_work and self.queue.search(still_open).total == 0)


async def _no_masters(_job: Job) -> dict[str, Any]:
    raise AssertionError("no masters are to be made")
