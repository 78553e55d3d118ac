"""The daemon's own loops: whatever goes wrong in one of them, the others go on."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from etendue.pipeline.daemon.daemon import Daemon
from etendue.pipeline.daemon.ledger import Ledger
from etendue.pipeline.daemon.queue import DaemonFacts, JobQueue, NewJob, QueueBusyError
from etendue.pipeline.daemon.work.calls import CallError


@pytest.fixture
def daemon(tmp_path: Path) -> Daemon:
    settings: Any = SimpleNamespace(queue=SimpleNamespace(lease=5.0), watch_config=False)
    daemon = Daemon(settings, tmp_path / "observatory.yaml")
    daemon.service = SimpleNamespace(troubles={})  # type: ignore[assignment]
    return daemon


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[JobQueue]:
    queue = JobQueue.open(f"sqlite:///{tmp_path / 'queue.db'}")
    yield queue
    queue.close()


@pytest.mark.parametrize(
    "error", [QueueBusyError("the server restarts"), CallError("died"), OSError("gone"), KeyError()]
)
def test_what_goes_wrong_is_shown_and_tried_again(daemon: Daemon, error: Exception):
    async def work() -> None:
        tries: list[dict[str, str]] = []
        done = asyncio.Event()

        async def once() -> None:
            tries.append(dict(daemon.service.troubles))
            if len(tries) < 3:
                raise error
            if len(tries) == 4:
                done.set()

        task = asyncio.create_task(daemon._every(0.0, "a part", once))
        await asyncio.wait_for(done.wait(), 60)
        task.cancel()
        assert [list(seen) for seen in tries[:4]] == [[], ["a part"], ["a part"], []]

    asyncio.run(work())


def test_a_chain_that_ends_its_process_is_a_problem_of_that_chain(daemon: Daemon):
    async def call(_function: str, arguments: dict[str, Any], **_: Any) -> Any:
        if arguments["name"] == "deadly":
            raise CallError("the process died of it", kind="WorkerDiedError", cause="died")
        return {"problems": ["another one"]}

    async def work() -> None:
        daemon.service.page_clerk = SimpleNamespace(call=call)  # type: ignore[assignment]
        chains = {name: SimpleNamespace(file=f"{name}.yaml", variables={}, set=()) for name in ("deadly", "wrong")}
        settings: Any = SimpleNamespace(chains=chains, nights=None)
        loaded, problems = await daemon._load_chains(settings)
        assert loaded == {}
        assert problems["deadly"] == ["deadly.yaml: the chain cannot be loaded: the process died of it"]
        assert problems["wrong"] == ["another one"]

    asyncio.run(work())


def test_it_ends_before_it_is_prepared_if_it_is_asked_to(daemon: Daemon, monkeypatch: pytest.MonkeyPatch):
    async def never() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(daemon, "_prepare", never)

    async def work() -> bool:
        asyncio.get_running_loop().call_soon(daemon._ending.set)
        return await asyncio.wait_for(daemon._prepared(), 60)

    assert asyncio.run(work()) is False


def test_what_cannot_be_prepared_ends_it(daemon: Daemon, monkeypatch: pytest.MonkeyPatch):
    async def fail() -> None:
        raise OSError("no disk")

    monkeypatch.setattr(daemon, "_prepare", fail)
    with pytest.raises(OSError, match="no disk"):
        asyncio.run(daemon._prepared())


def test_a_daemon_that_others_have_taken_for_dead_goes_on_under_a_new_name(daemon: Daemon, queue: JobQueue):
    """Its row is gone and its job is another's; what it still has by its old name is queued again."""
    named: list[str] = []

    async def under_a_new_name(name: str) -> None:
        named.append(name)

    async def recover(_jobs: Any) -> None:
        return

    async def work() -> None:
        daemon.ledger = Ledger(queue)
        old = queue.register(DaemonFacts.of_this_process())
        daemon.service.daemon = daemon.leases.own = old
        daemon.service.foreman = SimpleNamespace(  # type: ignore[assignment]
            under_a_new_name=under_a_new_name, recover=recover, wake=lambda: None
        )
        daemon._status = dict  # type: ignore[method-assign]
        queue.add([NewJob(key="1", source="s", chain="c", label="1.fits", path=Path("/raw/1.fits"))])
        queue.recover(old, "another")
        queue.claim(old, limit=1)  # a claim that was under way
        await daemon._beat()
        assert named == [daemon.service.daemon] == [daemon.leases.own]
        assert named != [old]
        assert [row.id for row in queue.daemons()] == named
        assert queue.counts()["queued"] == 1
        await daemon.ledger.close()

    asyncio.run(work())
