"""The daemon under load: how long its loop keeps others waiting, its memory, and the claim of a job in a long queue.

The lag is by how much the event loop wakes a sleeper too late, measured by the daemon itself every 50 ms while two
workers reduce frames of 4096² and somebody reads the page's API without pause. Memory is the resident set of the
daemon's own process (queue, sources, page; not the workers) while twenty nights of a thousand frames of 96² come, and
are taken away again. A claim is one transaction that takes one job, measured among as many jobs as the row says, nine
tenths of them done.
"""

import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from .serving import Serving

NOTES = "Claims on PostgreSQL go through a connection to a server on the same machine, with fsync on."


CLAIMS = 100


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Lag, memory, claims."""
    return _lag(6 if quick else 40) + _memory(300 if quick else 20_000) + _claims(2000 if quick else 100_000)


def _lag(frames: int) -> list[dict[str, Any]]:
    from etendue.processors.simulation import simulate_field

    with tempfile.TemporaryDirectory(prefix="etendue-bench-") as name, Serving(Path(name) / "daemon") as daemon:
        elsewhere = daemon.folder / "elsewhere"
        elsewhere.mkdir()
        simulate_field((4096, 4096), seed=1).replace(catalog=None).writeto(elsewhere / "frame-0000.fits")
        content = (elsewhere / "frame-0000.fits").read_bytes()
        for number in range(1, frames):
            (elsewhere / f"frame-{number:04d}.fits").write_bytes(content)
        elsewhere.rename(daemon.incoming / "large")
        reading, asked = True, 0

        def read() -> None:
            nonlocal asked
            while reading:
                daemon.now()
                asked += 1
                time.sleep(0.05)

        reader = threading.Thread(target=read)
        reader.start()
        try:
            daemon.wait_for_products(frames)
        finally:
            reading = False
            reader.join()
        lag = daemon.now()["loop_lag"]
    return [
        {
            "what": f"lag of the loop, {frames} frames of 4096², {asked} requests meanwhile [ms]",
            "median": 1e3 * lag["p50"],
            "99.9 %": 1e3 * lag["p999"],
            "longest": 1e3 * lag["longest"],
            "aim": "99.9 %: < 20",
        }
    ]


SMALL = """
name: small
steps:
  - class: SubtractBackground
    box_size: 32
  - class: SaveCatalog
    filename: "{stem}_cat.fits"
"""


def _memory(frames: int) -> list[dict[str, Any]]:
    from astropy.io import fits

    chain = SMALL.replace("SaveCatalog", "Save").replace("_cat", "_small")
    with tempfile.TemporaryDirectory(prefix="etendue-bench-") as name:
        template = Path(name) / "frame.fits"
        data = np.random.default_rng(1).normal(200, 5, (96, 96)).astype(np.uint16)
        fits.PrimaryHDU(data).writeto(template)
        content = template.read_bytes()
        with Serving(Path(name) / "daemon", chain=chain) as daemon:
            process = psutil.Process(daemon.process.pid)
            night = frames // 20
            resident: dict[int, int] = {}
            seconds = 0.0
            for put in range(night, frames + 1, night):
                begin = time.monotonic()
                for number in range(put - night, put):
                    (daemon.incoming / f"frame-{number:05d}.fits").write_bytes(content)
                daemon.wait_for_products(night)
                seconds += time.monotonic() - begin
                if put in (night, frames // 4, frames // 2, frames):
                    resident[put] = process.memory_info().rss
                daemon.clear()
    first = resident[frames // 2]
    rows: list[dict[str, Any]] = [
        {"what": f"memory of the daemon after {look} frames [MB]", "value": size / 1e6, "of half way": size / first}
        for look, size in resident.items()
    ]
    rows.append({"what": f"frames of 96² per second, {frames} of them", "value": frames / seconds})
    return rows


def _claims(many: int) -> list[dict[str, Any]]:
    rows = []
    with tempfile.TemporaryDirectory(prefix="etendue-bench-") as name:
        for what, url, close in _databases(Path(name)):
            try:
                taken = {number: _claim_time(url(number), number) for number in (many // 100, many)}
            finally:
                close()
            first = statistics.median(taken[many // 100])
            for number, times in taken.items():
                rows.append(
                    {
                        "what": f"claim of one among {number} jobs, {what} [ms]",
                        "median": 1e3 * statistics.median(times),
                        "longest": 1e3 * max(times),
                        "of the first": statistics.median(times) / first,
                    }
                )
    return rows


def _databases(folder: Path) -> list[tuple[str, Any, Any]]:
    found: list[tuple[str, Any, Any]] = [("SQLite", lambda number: f"sqlite:///{folder}/{number}.db", lambda: None)]
    sys.path.insert(0, str(Path(__file__).parent.parent))
    from tests.chaos.postgresql import Server, lacking

    if not lacking():
        server = Server(folder / "postgresql.log").__enter__()
        found.append(("PostgreSQL", lambda number: server.url(f"jobs{number}"), lambda: server.__exit__()))
    return found


def _claim_time(url: str, number: int) -> list[float]:
    """Seconds of each of some claims."""
    from etendue.pipeline.daemon.queue import DaemonFacts, JobQueue, JobState, NewJob, Record

    queue = JobQueue.open(url)
    try:
        for begin in range(0, number, 1000):
            jobs = [
                NewJob(
                    key=f"{index}",
                    source="raw",
                    chain="photometry",
                    label=f"{index}.fits",
                    path=Path(f"/raw/{index}.fits"),
                    size=1,
                    mtime_ns=index,
                    state=JobState.QUEUED if index % 10 == 0 else JobState.FAILED,
                    reason="" if index % 10 == 0 else "long ago",
                )
                for index in range(begin, min(begin + 1000, number))
            ]
            queue.add(jobs)
        daemon = queue.register(DaemonFacts.of_this_process())
        times = []
        for _ in range(min(CLAIMS, number // 10)):
            start = time.perf_counter()
            (job,) = queue.claim(daemon, limit=1, destinations=["products", "elsewhere"])
            times.append(time.perf_counter() - start)
            queue.finish(job.id, job.token, JobState.DONE, Record())
        return times
    finally:
        queue.close()
