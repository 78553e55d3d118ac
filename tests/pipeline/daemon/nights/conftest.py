"""An observatory without processes: a real queue and library, and a clock that the test sets."""

import asyncio
import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from etendue.images import Image
from etendue.pipeline import Pipeline, parse_pipeline
from etendue.pipeline.daemon.nights import NightKeeper
from etendue.pipeline.daemon.nights.building import build_masters
from etendue.pipeline.daemon.nights.clock import Ages
from etendue.pipeline.daemon.nights.library import chain_needs, masters_at_hand, statuses
from etendue.pipeline.daemon.queue import DaemonFacts, Job, JobKind, JobQueue, JobState, NewJob, Record
from etendue.pipeline.daemon.settings import MastersSettings, NightsSettings
from etendue.pipeline.daemon.sources.inspect import inspect_files
from etendue.pipeline.night.chain import with_library
from etendue.pipeline.running.one_image import Job as OneImage
from etendue.pipeline.running.one_image import Setting, take_through
from etendue.processors.simulation import simulate_night

SHORT = """
steps:
  - class: Calibration
    bad_pixels: null
  - class: SubtractBackground
  - class: SepSourceDetection
    subtract_background: false
  - class: SepPhotometry
    apertures: [3, 5]
    annulus: [10, 16]
  - class: MeasureQuality
  - class: Save
"""

NIGHT = "2026-03-20"

FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "inspect": inspect_files,
    "chain_needs": chain_needs,
    "masters_at_hand": masters_at_hand,
    "statuses": statuses,
}


@pytest.fixture(scope="session")
def raw_night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A night of 6 science frames of 256 x 256 px in one filter. Only read it."""
    folder = tmp_path_factory.mktemp("raw") / "night"
    simulate_night(folder, seed=3, frames=6, size=256, biases=6, darks=5, flats=5, filters=("R",))
    return folder


@dataclass(frozen=True)
class LoadedChain:
    """What the nights know of a chain."""

    pipeline: str
    fingerprint: str
    keywords: Mapping[str, Any]
    read: Mapping[str, Any]


class Direct:
    """The queue, asked without threads."""

    def __init__(self, queue: JobQueue) -> None:
        self.queue = queue

    async def read(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        return function(*arguments, **options)

    write = read


@dataclass
class Bench:
    """A daemon's nights, moved by hand.

    ``add`` brings in frames, ``tend`` lets the keeper look, ``work`` does everything that is queued, ``wait`` lets
    time pass.
    """

    folder: Path
    queue: JobQueue
    settings: NightsSettings
    chains: dict[str, LoadedChain]
    seconds: float = 1000.0
    wall_ahead: float = 0.0
    built: list[Job] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.me = self.queue.register(DaemonFacts("here", 1, "boot", 0.0))
        self.start()

    def start(self) -> None:
        """A new keeper, as after a restart: nothing in memory."""
        self.keeper = NightKeeper(
            self.settings,
            Direct(self.queue),
            chains=self.chains,
            call=self.call,
            clock=Ages(self.wall, lambda: self.seconds),
            monotonic=lambda: self.seconds,
        )

    def wall(self) -> float:
        """The time of the clock on the wall: that of the queue's rows, and what has passed since."""
        import time

        return time.time() + self.seconds - 1000.0 + self.wall_ahead

    async def call(self, function: str, arguments: Mapping[str, Any]) -> Any:
        return FUNCTIONS[function](**arguments)

    # --- what happens -------------------------------------------------------------------------------------------

    def add(self, *paths: Path, chain: str = "science") -> list[int]:
        """Frames come in."""
        rules = [rule.model_dump(mode="json") for rule in self.settings.frame_types]
        new = []
        for seen in inspect_files([str(path) for path in paths], frame_types=rules):
            path = Path(seen["path"])
            key = hashlib.sha256(f"{path} {seen['size']} {seen['mtime_ns']} {chain}".encode()).hexdigest()
            facts = seen["facts"]
            job = NewJob(key=key, source="camera", chain=chain, label=path.name, path=path, size=seen["size"],
                         mtime_ns=seen["mtime_ns"], facts=facts)  # fmt: skip
            new.append(asyncio.run(self.keeper.place(None, facts, job)))
        return [added.id for added in self.queue.add(new)]

    def tend(self, seconds: float = 1.0) -> None:
        """Let time pass, and the keeper look."""
        self.seconds += seconds
        asyncio.run(self.keeper.tend())

    def work(self) -> list[Job]:
        """Do what is queued, as workers would."""
        done = []
        while jobs := self.queue.claim(self.me, limit=1):
            job = jobs[0]
            if job.kind is JobKind.MASTERS:
                self._build(job)
            else:
                self._reduce(job)
            done.append(job)
        return done

    def settle(self, most: int = 20) -> None:
        """Tend and work until nothing changes any more; groups are complete only if their time has come."""
        for _ in range(most):
            self.tend(6.0)
            if not self.work() and self.queue.version() == self.keeper._version:
                return
        raise AssertionError("it never comes to rest")

    def _build(self, job: Job) -> None:
        self.built.append(job)
        try:
            facts = build_masters(**job.payload)
        except Exception as error:  # noqa: BLE001 - as the daemon does
            self.queue.finish(job.id, job.token, JobState.FAILED, Record(error=str(error)))
            return
        self.queue.finish(job.id, job.token, JobState.DONE, Record(facts=facts, notes=facts["notes"]))

    def _reduce(self, job: Job) -> None:
        chain = Pipeline.model_validate_json(self.chains[job.chain].pipeline)
        setting = Setting(output=self.folder / "products", claims=None)
        outcome = asyncio.run(take_through(chain, OneImage(job.id, job.path), setting))
        state = JobState.DONE if outcome.status == "done" else JobState.FAILED
        self.queue.finish(job.id, job.token, state, Record(error=outcome.error, facts=outcome.facts))

    # --- what is seen -------------------------------------------------------------------------------------------

    def job(self, number: int) -> Job:
        return self.queue.get(number)

    def states(self, *numbers: int) -> set[str]:
        return {str(self.job(number).state) for number in numbers}

    def reasons(self, *numbers: int) -> set[str]:
        return {self.job(number).reason for number in numbers}

    @property
    def library(self) -> Path:
        return self.settings.library

    def masters(self) -> list[str]:
        return sorted(path.name for path in self.library.glob("*.fits"))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """``bench(complete={"bias": 6}, wait=0, reprocess=True, chain="…")``: an observatory."""
    queues: list[JobQueue] = []

    def make(*, chain: str = SHORT, reprocess: bool = False, queue: JobQueue | None = None, **masters: Any) -> Bench:
        library = tmp_path / "masters"
        library.mkdir(exist_ok=True)
        opened = queue or JobQueue.open(f"sqlite:///{tmp_path / 'queue.db'}")
        if queue is None:
            queues.append(opened)
        settings = NightsSettings(library=library, masters=MastersSettings(**masters), reprocess=reprocess)
        pipeline = with_library(parse_pipeline(chain), library)
        chains = {
            "science": LoadedChain(pipeline.model_dump_json(), pipeline.fingerprint, pipeline.keywords, pipeline.read)
        }
        return Bench(tmp_path, opened, settings, chains)

    yield make
    for queue in queues:
        queue.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def any_queue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], JobQueue]]:
    """``any_queue()`` opens the same queue each time, on SQLite and on PostgreSQL."""
    server = None if request.param == "sqlite" else request.getfixturevalue("postgresql")
    url = f"sqlite:///{tmp_path / 'shared.db'}" if server is None else server.new_database()
    opened: list[JobQueue] = []

    def open_queue() -> JobQueue:
        opened.append(JobQueue.open(url))
        return opened[-1]

    yield open_queue
    for queue in opened:
        queue.close()
    if server is not None:
        server.drop_database(url)


@pytest.fixture
def frames(raw_night: Path, tmp_path: Path) -> Callable[..., list[Path]]:
    """``frames("bias*", "flat*")``: copies of some raw frames in the incoming folder."""
    folder = tmp_path / "incoming"
    folder.mkdir()

    def copy(*patterns: str) -> list[Path]:
        found = [path for pattern in patterns for path in sorted(raw_night.glob(f"{pattern}.fits"))]
        return [Path(shutil.copy2(path, folder / path.name)) for path in found]

    return copy


@pytest.fixture
def changed() -> Callable[..., Path]:
    """``changed(path, FILTER="V")``: a frame with other header cards."""

    def change(path: Path, **cards: Any) -> Path:
        image = Image.from_file(path, dtype=None)
        for key, value in cards.items():
            image.header[key] = value
        image.writeto(path)
        return path

    return change
