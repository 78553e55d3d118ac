"""Details of old jobs are removed by one daemon, little by little."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from etendue.pipeline.daemon import pruning
from etendue.pipeline.daemon.configuration import parse_observatory
from etendue.pipeline.daemon.ledger import Ledger
from etendue.pipeline.daemon.pruning import prune_old
from etendue.pipeline.daemon.queue import DaemonFacts, JobQueue, JobState, NewJob, Record
from etendue.pipeline.errors import ConfigError


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobQueue]:
    """A queue with seven jobs that are done."""
    monkeypatch.setattr(pruning, "SHORTEST_REST", 0.0)
    monkeypatch.setattr(pruning, "REST", 0.0)
    with JobQueue.open(tmp_path / "queue.db") as queue:
        me = queue.register(DaemonFacts.of_this_process())
        queue.add([NewJob(key=f"{number}", source="a", chain="b", label="c") for number in range(7)])
        for job in queue.claim(me, limit=7):
            queue.finish(job.id, job.token, JobState.DONE, Record(log="hm"))
        queue.unregister(me)
        yield queue


@pytest.fixture
def daemon(queue: JobQueue) -> Callable[..., str]:
    """``daemon(prunes=True)``: a daemon on the queue that says so."""

    def make(*, prunes: bool = True) -> str:
        name = queue.register(DaemonFacts.of_this_process())
        queue.beat(name, {"prunes": prunes})
        return name

    return make


def prune(queue: JobQueue, daemon: str, keep: float) -> int:
    async def work() -> int:
        return await prune_old(Ledger(queue), keep, daemon)

    return asyncio.run(work())


def test_all_that_is_old_enough(queue: JobQueue, daemon: Callable[..., str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pruning, "AT_ONCE", 2)
    me = daemon()

    assert prune(queue, me, 3600.0) == 0
    assert prune(queue, me, 1e-6) == 7
    assert prune(queue, me, 1e-6) == 0


def test_one_daemon_does_it(queue: JobQueue, daemon: Callable[..., str]):
    daemon(prunes=False)
    first, second = daemon(), daemon()

    assert prune(queue, second, 1e-6) == 0
    queue.unregister(first)
    assert prune(queue, second, 1e-6) == 7


@pytest.mark.parametrize(("text", "keep"), [("365 d", 365 * 86400.0), ("null", None), (None, None)])
def test_how_long_details_are_kept_is_configured(text: str | None, keep: float | None):
    line = "" if text is None else f"queue: {{keep: {text}}}"

    assert parse_observatory(f"chains: {{a: quicklook}}\nsources: []\n{line}").queue.keep == keep


@pytest.mark.parametrize("text", ["0", "-1 d", "1 y", "soon"])
def test_what_is_no_time_is_refused(text: str):
    with pytest.raises(ConfigError, match=r":3:\d+: queue\.keep: "):
        parse_observatory(f"chains: {{a: quicklook}}\nsources: []\nqueue: {{keep: {text}}}")
