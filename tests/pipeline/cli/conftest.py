"""An observatory with a queue in which something has happened, and the command as users type it."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from etendue.pipeline.cli import app
from etendue.pipeline.daemon.queue import DaemonFacts, JobQueue, JobState, NewJob, Piece, Record

OBSERVATORY = """
name: Test dome
chains: {photometry: photometry, quick: quicklook}
sources:
  - {watch: incoming, chain: photometry}
"""

TRACEBACK = 'Traceback (most recent call last):\n  File "steps.py", line 3\nRuntimeError: cloudy'


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    """``command("queue", "list", …)`` in this process, with `tmp_path` as the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")

    def invoke(*arguments: Any, **options: Any) -> Any:
        return CliRunner().invoke(app, [str(argument) for argument in arguments], **options)

    return invoke


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """An observatory.yaml, with its folder."""
    path = tmp_path / "observatory.yaml"
    path.write_text(OBSERVATORY)
    (tmp_path / "incoming").mkdir()
    return path


@pytest.fixture
def queue(config: Path, tmp_path: Path) -> Iterator[JobQueue]:
    """The queue of that observatory, empty."""
    (tmp_path / "state").mkdir()
    with JobQueue.open(f"sqlite:///{tmp_path}/state/queue.db") as queue:
        yield queue


@pytest.fixture
def add(queue: JobQueue) -> Callable[..., int]:
    """``add("a.fits", chain="quick")``: a new job; its number."""

    def put(label: str, **more: Any) -> int:
        facts = {
            "key": os.fsencode(label).hex(),
            "source": "incoming",
            "chain": "photometry",
            "label": label,
            "size": 8640,
        }
        return queue.add([NewJob(path=Path("/data") / label, mtime_ns=time.time_ns(), **(facts | more))])[0].id

    return put


@pytest.fixture
def daemon(queue: JobQueue) -> str:
    """A daemon of another machine that works on the queue."""
    return queue.register(DaemonFacts(host="dome", pid=77, boot_id="x", process_start=1.0, version="1", address=""))


@pytest.fixture
def jobs(queue: JobQueue, add: Callable[..., int], daemon: str) -> dict[str, int]:
    """A job in each state, by the name of the state."""
    made = {name: add(f"{name}.fits") for name in ("done", "failed", "skipped", "running")}
    for name in ("done", "failed", "skipped"):
        (job,) = queue.claim(daemon, limit=1, fits=None)
        assert job.label == f"{name}.fits"
        record = Record(fingerprint="f" * 64, seconds=2.5, timings=[("read", 0.5, "ok"), ("Calibration", 2.0, "ok")])
        if name == "done":
            queue.commit_manifest(job.id, job.token, (Piece("/staged/x", "products", "night/x.fits", 2880),), "abc")
            queue.finish(job.id, job.token, JobState.DONE, record)
        elif name == "failed":
            failure = Record(
                step="Calibration", error="RuntimeError: cloudy", traceback=TRACEBACK, log="hello from the step\n"
            )
            queue.finish(job.id, job.token, JobState.FAILED, failure)
        else:
            queue.finish(job.id, job.token, JobState.SKIPPED, Record(notes=["not chosen"]))
    (running,) = queue.claim(daemon, limit=1, fits=None)
    assert running.label == "running.fits"
    made["waiting"] = add("waiting.fits", state=JobState.WAITING, reason="waits for flat R of 2026-03-20")
    made["queued"] = add("queued.fits", chain="quick")
    made["dropped"] = add("dropped.fits")
    queue.drop([made["dropped"]])
    return made
