"""What the daemon's service is to the page, without a daemon: a real queue with made jobs, and real products.

:class:`DemoService` is what tests of the page ask for what they need.
"""

import asyncio
import hashlib
import importlib
import random
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from etendue.pipeline import load_pipeline
from etendue.pipeline.config.document import builtin_chains
from etendue.pipeline.daemon.chains import LoadedChain, load_chain
from etendue.pipeline.daemon.queue import (
    DaemonFacts,
    JobQueue,
    JobState,
    NewJob,
    Piece,
    Record,
)
from etendue.pipeline.daemon.settings import Observatory, TokenSettings
from etendue.pipeline.daemon.work.calls import CallError
from etendue.pipeline.running.causes import cause_of
from etendue.pipeline.web.clerk import FUNCTIONS
from etendue.pipeline.web.metrics import Metrics
from etendue.pipeline.web.security import token_hash
from etendue.pipeline.web.service import Refused
from etendue.processors.simulation import simulate_field

READ_TOKEN, CHANGE_TOKEN = "r" * 43, "c" * 43

BRANCHING = """\
name: branching
description: Long exposures are cleaned, and everything is measured twice.
vars:
  threshold: 4
steps:
  - class: SubtractBackground
    box_size: 32
  - class: Branch
    cases:
      - name: long
        when: {EXPTIME: "> 30"}
        steps:
          - class: FlagSaturated
            on_error: warn
      - name: short
        when: {EXPTIME: "<= 30"}
        steps: []
    otherwise: drop
  - class: SepSourceDetection
    threshold: ${threshold}
    timeout: 30 s
  - class: Fork
    chains:
      catalogue:
        - class: SaveCatalog
          filename: "{stem}_cat.fits"
      picture:
        - class: SavePicture
          filename: "{stem}.png"
"""

HOSTILE = '<img src=x onerror="document.title=\'broken\'"><script>document.title="broken"</script>.fits'
TRACEBACK = """\
Traceback (most recent call last):
  File "etendue/pipeline/step.py", line 251, in run_step
    result = await _once(step, image, memory)
  File "etendue/processors/detection/sep_detection.py", line 96, in process
    raise ImageError(f"{image.label}: every pixel is masked")
etendue.images.errors.ImageError: 0042.fits: every pixel is masked
"""


class ThreadClerk:
    """Calls the functions of the page's clerk in a thread, one after another."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.calls = 0

    async def call(self, function: str, arguments: Mapping[str, Any], *, timeout: float = 60.0) -> Any:  # noqa: ASYNC109
        self.calls += 1
        async with self.turn:
            try:
                module, _, name = FUNCTIONS[function].partition(":")
                return await asyncio.to_thread(getattr(importlib.import_module(module), name), **arguments)
            except Exception as error:  # as the daemon's clerk has it: from another process only words come back
                cause = cause_of(error)
                raise CallError(str(error), kind=type(error).__name__, cause=cause) from error


class DemoService:
    """What the page asks, answered by a real queue and made facts.

    Parameters
    ----------
    folder : Path
        For queue, chains and products.
    tokens : bool
        Configure :data:`READ_TOKEN` and :data:`CHANGE_TOKEN`.
    queue_url : str
        A queue elsewhere; SQLite in the folder by default.
    """

    def __init__(self, folder: Path, *, tokens: bool = False, queue_url: str | None = None, **web: Any) -> None:
        self.folder = folder
        self.products = folder / "products"
        self.incoming = folder / "incoming"
        for path in (self.products, self.incoming, folder / "chains", folder / "state"):
            path.mkdir(parents=True, exist_ok=True)
        (folder / "chains" / "photometry.yaml").write_text(builtin_chains()["photometry"].read_text())
        (folder / "chains" / "branching.yaml").write_text(BRANCHING)
        names = {"reader": (READ_TOKEN, "read"), "operator": (CHANGE_TOKEN, "change")}
        entries = tuple(TokenSettings(name=n, hash=token_hash(t), right=r) for n, (t, r) in names.items())
        self.settings = Observatory.model_validate(
            {
                "name": "Demo Observatory",
                "state": folder / "state",
                "chains": {
                    "photometry": {"file": str(folder / "chains" / "photometry.yaml")},
                    "branching": {"file": str(folder / "chains" / "branching.yaml"), "variables": {"threshold": 3}},
                    "quicklook": "quicklook",
                },
                "destinations": {"products": str(self.products)},
                "sources": [
                    {"watch": self.incoming, "chain": "photometry"},
                    {"upload": "camera", "chain": "quicklook", "limit": "20 MB"},
                    {"mqtt": "mqtt://telescope:secret@broker", "topic": "raw", "roots": [folder], "chain": "branching"},
                ],
                "nights": {"library": folder / "masters"},
                "web": {"tokens": entries if tokens else (), **web},
            }
        )  # fmt: skip
        self.settings_file = folder / "observatory.yaml"
        self.queue_url = queue_url or f"sqlite:///{folder / 'state' / 'queue.db'}"
        self.queue = JobQueue.open(self.queue_url)
        self.daemon = self.queue.register(DaemonFacts.of_this_process("0.1.0"))
        self.started = time.time()
        self.page_clerk = ThreadClerk()
        self.chains: dict[str, LoadedChain] = {}
        self.chain_problems: dict[str, list[str]] = {}
        self.load_chains()
        self.destinations: dict[str, Any] = {"products": SimpleNamespace(folder=self.products)}
        self.metrics = Metrics()
        self.nights = None
        self.reasons: list[str] = []
        self.held: list[dict[str, Any]] = []
        self.uploads: list[tuple[str, str, bytes, str]] = []
        self.in_work: dict[int, tuple[float, str]] = {}
        self._listeners: set[asyncio.Queue[dict[str, Any]]] = set()

    def load_chains(self) -> list[str]:
        """Take over the chain files as they are."""
        problems = []
        for name, settings in self.settings.chains.items():
            found = load_chain(name, settings.file, settings.variables, list(settings.set), None)
            if "problems" in found:
                self.chain_problems[name] = found["problems"]
                problems += found["problems"]
            else:
                self.chain_problems.pop(name, None)
                self.chains[name] = LoadedChain.from_json(found["chain"], settings)
                self.queue.note_chain(self.chains[name].fingerprint, name, self.chains[name].pipeline)
        return problems

    # --- what the page asks ---------------------------------------------------------------------------------------

    async def db(self, function: Any, *arguments: Any, **options: Any) -> Any:
        return await asyncio.to_thread(function, *arguments, **options)

    async def change(self, function: Any, *arguments: Any, **options: Any) -> Any:
        result = await asyncio.to_thread(function, *arguments, **options)
        self.tell({"changed": True})
        return result

    async def at_destination(self, _name: str, function: Any, *arguments: Any) -> Any:
        return await asyncio.to_thread(function, *arguments)

    def tell(self, event: dict[str, Any]) -> None:
        for listener in self._listeners:
            listener.put_nowait(event)

    async def subscribe(self) -> AsyncIterator[dict[str, Any]]:
        events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._listeners.add(events)
        try:
            while True:
                yield await events.get()
        finally:
            self._listeners.discard(events)

    def now(self) -> dict[str, Any]:
        busy = [*self.in_work.items()]
        workers = []
        for index in range(2):
            job, (since, step) = busy[index] if index < len(busy) else (None, (0.0, ""))
            workers.append(
                {
                    "pid": 4711 + index,
                    "job": job,
                    "label": "" if job is None else f"frame-{job:05d}.fits",
                    "step": step,
                    "since": since,
                    "images": 12 + index,
                    "resident": 412_000_000 + 3_000_000 * index,
                }
            )
        source = {"state": "ok", "message": "", "last": time.time() - 12, "count": 231}
        return {
            "daemon": self.daemon,
            "started": self.started,
            "draining": False,
            "holding": [],
            "held": self.held,
            "problems": [line for lines in self.chain_problems.values() for line in lines],
            "workers": workers,
            "worker_count": 2,
            "sources": [
                {"name": "incoming", "kind": "watch", "where": str(self.incoming), **source, "waiting": 2,
                 "notes": [f"{self.incoming}/cut.fits: truncated: the file ends at byte 5000"]},
                {"name": "camera", "kind": "upload", "where": "/api/upload/camera", **source, "count": 3},
                {"name": "mqtt", "kind": "mqtt", "where": "mqtt://broker", **source,
                 "state": "holding", "message": "the broker does not answer; trying again"},
            ],
            "disks": [
                {"name": "products", "location": str(self.products), "free": 210 * 10**9, "total": 10**12},
                {"name": "state", "location": str(self.folder / "state"), "free": 12 * 10**8, "total": 2 * 10**10},
            ],
            "memory": {
                "limit": 8_000_000_000, "used": 420_000_000, "daemon": 120_000_000, "workers": 830_000_000,
                "available": 11_000_000_000, "total": 24_000_000_000,
            },
            "loop_lag": {"p50": 0.0002, "p99": 0.0011, "p999": 0.0043, "longest": 0.012, "samples": 90_000},
        }  # fmt: skip

    def running(self) -> dict[int, tuple[float, str]]:
        return self.in_work

    def ready(self) -> list[str]:
        return self.reasons

    async def reload(self) -> list[str]:
        return await asyncio.to_thread(self.load_chains)

    async def upload(
        self, source: str, filename: str, stream: AsyncIterator[bytes], length: int | None = None, who: str = ""
    ) -> int:
        content = b"".join([part async for part in stream])
        self.uploads.append((source, filename, content, who))
        digest = hashlib.sha256(content + filename.encode("utf-8", "surrogateescape")).hexdigest()
        new = NewJob(key=digest, source=source, chain="quicklook", label=filename, size=len(content))
        return (await self.change(self.queue.add, [new]))[0].id

    async def save_chain(self, name: str, text: str, base: str) -> list[str]:
        path = self.chains[name].file
        if hashlib.sha256(path.read_text().encode()).hexdigest() != base:
            raise Refused(409, f"{path.name} was changed by somebody else meanwhile; load it again")
        path.write_text(text)
        return await self.reload()

    # --- made jobs ------------------------------------------------------------------------------------------------

    def add(self, label: str, *, chain: str = "photometry", **more: Any) -> int:
        """A queued job."""
        key = hashlib.sha256(
            f"{label} {time.time_ns()} {random.random()}".encode("utf-8", "surrogateescape")
        ).hexdigest()
        path = more.pop("path", self.incoming / label.replace("/", "_"))
        new = NewJob(key=key, source="incoming", chain=chain, label=label, path=path, mtime_ns=time.time_ns(), **more)
        return self.queue.add([new])[0].id

    def end(self, state: JobState, record: Record, pieces: tuple[Piece, ...] = ()) -> int:
        """Take the first queued job to its end; its number."""
        (job,) = self.queue.claim(self.daemon, limit=1, fits=None)
        if pieces:
            self.queue.commit_manifest(job.id, job.token, pieces, "")
        self.queue.finish(job.id, job.token, state, record)
        return job.id

    def add_product(self, path: Path) -> int:
        """A done job with a file that is in the destination already; the number of its product."""
        number = self.add(path.name)
        piece = Piece(path.name, "products", path.relative_to(self.products).as_posix(), path.stat().st_size)
        self.end(JobState.DONE, Record(fingerprint=self.chains["photometry"].fingerprint), (piece,))
        return self.queue.products(number)[0].id

    def add_real(self, name: str = "field-1.fits", *, side: int = 1024, seed: int = 1) -> int:
        """A simulated frame, really reduced: the number of its job."""
        frame = simulate_field((side, side), seed=seed)
        frame.header["OBSERVER"] = "<b>O'Brien</b>"
        path = self.incoming / name
        frame.writeto(path)
        chain = load_pipeline("photometry")
        results = chain.run([path], output=self.products)
        (outcome,) = results.outcomes
        number = self.add(name, path=path, size=path.stat().st_size, **facts_of(0, random.Random(seed)))
        names = [product.relative_to(self.products.resolve()) for product in map(Path.resolve, outcome.products)]
        pieces = tuple(Piece(str(n), "products", n.as_posix(), (self.products / n).stat().st_size) for n in names)
        record = Record(
            fingerprint=self.chains["photometry"].fingerprint,
            seconds=outcome.seconds,
            timings=outcome.timings,
            facts=dict(outcome.facts),
            log="SepSourceDetection: 1502 sources above 3 sigma\n",
        )
        self.end(JobState.DONE, record, pieces)
        return number

    def add_many(self, count: int) -> None:
        """Made jobs in all states; most of them are done."""
        chance = random.Random(1)
        fingerprint = self.chains["photometry"].fingerprint
        for first in range(0, count, 500):
            with self.queue.batch():
                for index in range(first, min(first + 500, count)):
                    self._add_made(index, fingerprint, chance)

    def _add_made(self, index: int, fingerprint: str, chance: random.Random) -> None:
        label = HOSTILE if index % 97 == 5 else f"frame-{index:05d}.fits"
        self.add(label, chain=chance.choice(("photometry", "quicklook")), size=2_102_400, **facts_of(index, chance))
        steps = ("read", "SubtractBackground", "SepSourceDetection", "SepPhotometry", "SaveCatalog", "Save")
        timings = tuple((step, chance.lognormvariate(-3, 0.6), "done") for step in steps)
        record = Record(fingerprint=fingerprint, seconds=sum(t for _, t, _ in timings), timings=timings)
        match index % 20:
            case 3:
                self.end(
                    JobState.FAILED,
                    Record(
                        fingerprint=fingerprint,
                        step="SepSourceDetection",
                        error=f"{label}: SepSourceDetection: every pixel is masked",
                        traceback=TRACEBACK,
                        log="warning: 98 % of the pixels are masked\n",
                        seconds=0.4,
                        timings=(*timings[:2], ("SepSourceDetection", 0.2, "failed")),
                        cause="image",
                    ),
                )
            case 7:
                self.end(
                    JobState.SKIPPED, Record(fingerprint=fingerprint, error="a step ended it quietly", seconds=0.1)
                )
            case _:
                self.end(JobState.DONE, record)

    async def live(self, every: float = 3.0) -> None:
        """Jobs that come and go, as in a night."""
        index = 100_000
        while True:
            index += 1
            number = await self.change(self.add, f"frame-{index:05d}.fits", **facts_of(index, random.Random(index)))
            await asyncio.sleep(every / 3)
            await self._work(number, index)

    async def _work(self, number: int, index: int) -> None:
        claimed = await self.change(self.queue.claim, self.daemon, limit=1, fits=None)
        timings: list[tuple[str, float, str]] = []
        for job in claimed:
            for step in ("read", "SubtractBackground", "SepSourceDetection", "SepPhotometry", "Save"):
                begin = time.time()
                self.in_work[job.id] = (begin, step)
                await asyncio.sleep(random.uniform(0.1, 0.4))
                timings.append((step, time.time() - begin, "done"))
            self.in_work.pop(job.id, None)
            fingerprint = self.chains["photometry"].fingerprint
            if index % 5:
                record = Record(fingerprint=fingerprint, seconds=sum(t[1] for t in timings), timings=timings)
                await self.change(self.queue.finish, job.id, job.token, JobState.DONE, record)
            else:
                record = Record(
                    fingerprint=fingerprint, step="Save", error="no space left on device", traceback=TRACEBACK
                )
                await self.change(self.queue.finish, job.id, job.token, JobState.FAILED, record)

    def close(self) -> None:
        self.queue.close()


def facts_of(index: int, chance: random.Random) -> dict[str, Any]:
    """Night, instrument and facts of a made frame."""
    hour = (index % 300) / 30
    day = datetime(2026, 3, 20 + index // 300 % 5, 20, tzinfo=UTC)
    when = (day + timedelta(hours=hour)).isoformat(timespec="seconds").removesuffix("+00:00")
    return {
        "night": f"{day:%Y-%m-%d}",
        "instrument": "Camera A",
        "facts": {
            "object_name": chance.choice(("M 51", "NGC 7331", "HAT-P-32")),
            "filter": chance.choice("BVR"),
            "exposure_time": chance.choice((10.0, 30.0, 60.0)),
            "observation_time": when,
            "fwhm": 3 + hour / 10 + chance.gauss(0, 0.2),
            "background": 1800 - 40 * hour + chance.gauss(0, 15),
            "n_sources": int(chance.gauss(800, 40)),
        },
    }
