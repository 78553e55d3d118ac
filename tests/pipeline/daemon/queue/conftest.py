"""A queue on SQLite and on PostgreSQL: every test of behaviour runs on both."""

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from etendue.pipeline.daemon.queue import DaemonFacts, Job, JobQueue, NewJob


@pytest.fixture(params=["sqlite", "postgresql"])
def queue_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Address of a queue that is not there yet."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'queue.db'}"
        return
    server = request.getfixturevalue("postgresql")
    url = server.new_database()
    yield url
    server.drop_database(url)


@pytest.fixture
def queue(queue_url: str) -> Iterator[JobQueue]:
    """An empty queue. In the end it must be in order."""
    with JobQueue.open(queue_url) as queue:
        yield queue
        assert queue.check() == []


@pytest.fixture
def daemon(queue: JobQueue) -> str:
    """Name of a daemon that takes part: this process."""
    return queue.register(DaemonFacts.of_this_process())


@pytest.fixture
def new_job() -> Callable[..., NewJob]:
    """``new_job(3, priority=1)``: a job for the file ``0003.fits``, the third by its time."""

    def make(number: int, **given: Any) -> NewJob:
        path = given.pop("path", Path(f"/night/{number:04d}.fits"))
        size, mtime_ns = given.pop("size", 2880), given.pop("mtime_ns", 10**18 + number)
        chain = given.pop("chain", "photometry")
        return NewJob(
            key=given.pop("key", f"{path} {size} {mtime_ns} {chain}"),
            source=given.pop("source", "camera"),
            chain=chain,
            label=given.pop("label", f"{number:04d}.fits"),
            path=path,
            size=size,
            mtime_ns=mtime_ns,
            **given,
        )

    return make


@pytest.fixture
def claimed(queue: JobQueue, daemon: str, new_job: Callable[..., NewJob]) -> Callable[..., Job]:
    """``claimed(3)``: adds a job and claims it."""

    def make(number: int, **given: Any) -> Job:
        queue.add([new_job(number, **given)])
        (job,) = queue.claim(daemon, limit=1)
        return job

    return make


PROGRAM = """
import os, signal, sys
from etendue.pipeline.daemon.queue import DaemonFacts, JobQueue, JobState, Piece, Record

def work(number, url, say):
{body}

begin, go = os.pipe()
children = []
for number in range({count}):
    child = os.fork()
    if child == 0:
        os.close(go)
        os.read(begin, 1)  # ends when everybody is there
        with open(os.path.join({folder!r}, str(number)), "w") as file:
            work(number, {url!r}, lambda words: print(words, file=file, flush=True))
        os._exit(0)
    children.append(child)
os.close(go)
print(*[os.waitpid(child, 0)[1] for child in children])
"""


@pytest.fixture
def in_processes(tmp_path: Path) -> Callable[..., list[tuple[int, str]]]:
    """``in_processes(body, url, count)``: run a function's body in several processes at once.

    It knows its `number`, the queue's `url`, and ``say(words)``. Gives how each process ended, and what it said.
    """

    def run(body: str, url: str, count: int) -> list[tuple[int, str]]:
        folder = tmp_path / "said"
        folder.mkdir()
        words = textwrap.indent(textwrap.dedent(body), "    ")
        program = PROGRAM.format(body=words, url=url, count=count, folder=str(folder))
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        ends = [int(end) for end in done.stdout.split()]
        return [(end, (folder / str(number)).read_text()) for number, end in enumerate(ends)]

    return run
