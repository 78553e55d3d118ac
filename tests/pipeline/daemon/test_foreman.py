"""The foreman: whatever happens at whatever point, a job is done once, and never left behind by everybody."""

import asyncio
import errno
import os
from pathlib import Path
from typing import Any

import pytest

from etendue.pipeline.daemon import endings, holds
from etendue.pipeline.daemon import foreman as module
from etendue.pipeline.daemon.queue import DaemonFacts, Job, JobKind, JobState, NewJob, QueueError
from etendue.pipeline.daemon.settings import WatchSource
from etendue.pipeline.daemon.work.calls import CallError
from etendue.pipeline.daemon.work.fleet import FleetClosedError, Work
from etendue.pipeline.daemon.work.storage import StorageError
from etendue.pipeline.running.outcome import Outcome
from tests.foreman import Yard, reduce


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROBE_EVERY", 0.01)
    monkeypatch.setattr(holds, "PROBE_EVERY", 0.01)
    monkeypatch.setattr(module, "LOOK_EVERY", 0.02)
    monkeypatch.setattr(module, "COUNT_EVERY", 0.02)


async def never(_work: Work) -> Outcome:
    await asyncio.Event().wait()
    raise AssertionError


def test_jobs_are_done_and_their_folders_cleared_away(tmp_path: Path):
    async def work() -> None:
        yard = Yard(tmp_path)
        numbers = yard.add("a.fits", "b.fits", "c.fits")
        async with yard.at_work():
            await yard.until_settled()
        assert [yard.job(number).state for number in numbers] == [JobState.DONE] * 3
        assert yard.made() == ["a.fits", "b.fits", "c.fits"]
        assert yard.staged() == []

    asyncio.run(work())


def test_jobs_that_nobody_works_on_are_found(tmp_path: Path):
    """Where the answer to a claim is lost with the connection to the server, jobs are ours and we do not know."""

    async def work() -> None:
        yard = Yard(tmp_path)
        (number,) = yard.add("a.fits")
        yard.queue.claim(yard.daemon, limit=1)
        async with yard.at_work():
            await yard.until_settled()
        assert yard.job(number).state is JobState.DONE
        assert yard.job(number).attempts == 1

    asyncio.run(work())


def test_products_that_nobody_puts_into_their_places_are_found(tmp_path: Path):
    async def work() -> None:
        yard = Yard(tmp_path)
        (number,) = yard.add("a.fits")
        (job,) = yard.queue.claim(yard.daemon, limit=1)
        staging = module.staging_of(yard.destinations["products"], job.id, job.token)
        staging.mkdir()
        (staging / "a.fits").write_bytes(b"product")
        manifest = module.manifest_of(staging, [staging / "a.fits"], "products")
        yard.queue.commit_manifest(job.id, job.token, manifest)
        async with yard.at_work():
            await yard.until_settled()
        assert yard.job(number).state is JobState.DONE
        assert yard.fleet.taken == []
        assert yard.made() == ["a.fits"]
        assert yard.staged() == []

    asyncio.run(work())


def test_a_job_that_cannot_be_settled_is_not_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async def work() -> None:
        yard = Yard(tmp_path)
        (number,) = yard.add("a.fits")
        broken = [yard.queue.finish, yard.queue.retry_later]
        left = [1, 1]

        def refuse(which: int, *arguments: Any, **options: Any) -> Any:
            if left[which]:
                left[which] -= 1
                raise QueueError("the database refuses this row")
            return broken[which](*arguments, **options)

        monkeypatch.setattr(yard.queue, "finish", lambda *a, **o: refuse(0, *a, **o))
        monkeypatch.setattr(yard.queue, "retry_later", lambda *a, **o: refuse(1, *a, **o))
        async with yard.at_work():
            await yard.until_settled()
        assert left == [0, 0]
        assert yard.job(number).state is JobState.DONE
        assert yard.staged() == []

    asyncio.run(work())


def test_a_claim_that_fails_does_not_end_the_foreman(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async def work() -> None:
        yard = Yard(tmp_path)
        claim, tries = yard.queue.claim, []

        def fails_once(*arguments: Any, **options: Any) -> list[Job]:
            tries.append(1)
            if len(tries) == 1:
                raise QueueError("the server does not like this")
            return claim(*arguments, **options)

        monkeypatch.setattr(yard.queue, "claim", fails_once)
        yard.add("a.fits")
        async with yard.at_work() as foreman:
            await yard.until_settled()
            assert not foreman.done()
        assert yard.made() == ["a.fits"]

    asyncio.run(work())


@pytest.mark.parametrize("when", ["before it begins", "in its folder", "with a worker"])
def test_what_is_cut_off_by_the_end_goes_back_to_the_queue(tmp_path: Path, when: str, monkeypatch: pytest.MonkeyPatch):
    async def work() -> None:
        yard = Yard(tmp_path, never)
        (number,) = yard.add("a.fits")
        if when == "in its folder":

            async def wait(*_: Any) -> None:
                await asyncio.Event().wait()

            monkeypatch.setattr(yard.foreman, "_has_folder", wait)
        async with yard.at_work():
            if when == "before it begins":
                start = yard.foreman._start

                def start_and_end(job: Job, work: Any) -> None:
                    start(job, work)
                    for task in yard.foreman._tasks:
                        task.cancel()

                monkeypatch.setattr(yard.foreman, "_start", start_and_end)
                await yard.until(lambda: yard.job(number).state is JobState.RUNNING)
            elif when == "in its folder":
                await yard.until(lambda: yard.job(number).state is JobState.RUNNING)
            else:
                await yard.until(lambda: yard.fleet.taken)
            await yard.foreman.drain(0.0)
            job = yard.job(number)
            assert (job.state, job.attempts, job.interruptions) == (JobState.QUEUED, 0, 0)
            assert yard.staged() == []

    asyncio.run(work())


def test_a_claim_that_comes_too_late_is_given_back(tmp_path: Path):
    async def work() -> None:
        yard = Yard(tmp_path)
        (number,) = yard.add("a.fits")
        async with yard.at_work() as foreman:
            claimed = yard.queue.claim(yard.daemon, limit=1)  # its answer never arrives
            assert claimed
            foreman.cancel()
            await yard.foreman.drain(0.0)
            job = yard.job(number)
            assert (job.state, job.attempts) == (JobState.QUEUED, 0)

    asyncio.run(work())


def test_a_claim_that_is_answered_after_the_end_has_begun_is_given_back_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async def work() -> None:
        yard = Yard(tmp_path, never)
        (number,) = yard.add("a.fits")
        claim = yard.foreman._claim

        async def slow(room: int) -> list[Job]:
            jobs = await claim(room)
            yard.foreman._draining = True
            return jobs

        monkeypatch.setattr(yard.foreman, "_claim", slow)
        async with yard.at_work() as foreman:
            await foreman
            job = yard.job(number)
            assert (job.state, job.attempts) == (JobState.QUEUED, 0)
            assert yard.fleet.taken == []

    asyncio.run(work())


def test_the_end_of_the_fleet_costs_no_attempt(tmp_path: Path):
    async def closed(_work: Work) -> Outcome:
        yard.foreman._draining = True
        raise FleetClosedError("the daemon ends")

    yard: Any = None

    async def work() -> None:
        nonlocal yard
        yard = Yard(tmp_path, closed)
        (number,) = yard.add("a.fits")
        async with yard.at_work():
            await yard.until(lambda: yard.fleet.taken and yard.job(number).state is JobState.QUEUED)
        job = yard.job(number)
        assert (job.attempts, job.error) == (0, "")
        assert yard.staged() == []

    asyncio.run(work())


def test_a_place_that_refuses_one_product_for_ever_ends_its_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The disk is writable, but a folder on it is not ours: to try that for ever would help nobody."""

    def put(_staged: Path, name: str, _size: int) -> None:
        raise StorageError(f"{name} cannot be written: {os.strerror(errno.EACCES)}")

    async def work() -> None:
        yard = Yard(tmp_path)
        monkeypatch.setattr(yard.destinations["products"], "put", put)
        numbers = yard.add("a.fits", "b.fits")
        async with yard.at_work():
            await yard.until(lambda: all("attempt 1 of 3" in yard.job(number).reason for number in numbers))
            await yard.until(lambda: not yard.foreman.in_work)  # what it had made is thrown away after that
        assert ["Permission denied" in yard.job(number).error for number in numbers] == [True, True]
        assert yard.staged() == []

    monkeypatch.setattr(module, "LONGEST_BACKOFF", 100.0)
    monkeypatch.setattr(endings, "LONGEST_BACKOFF", 100.0)
    asyncio.run(work())


def test_a_new_attempt_is_not_forgotten_when_an_old_one_ends(tmp_path: Path):
    """After others have taken us for dead, the same job may be ours twice for a moment."""
    first, second = asyncio.Event(), asyncio.Event()

    async def act(work: Work) -> Outcome:
        await (first if len(yard.fleet.taken) == 1 else second).wait()
        return await reduce(work)

    yard: Any = None

    async def work() -> None:
        nonlocal yard
        yard = Yard(tmp_path, act)
        (number,) = yard.add("a.fits")
        async with yard.at_work():
            await yard.until(lambda: len(yard.fleet.taken) == 1)
            other = yard.queue.register(DaemonFacts.of_this_process())
            yard.queue.recover(yard.daemon, other)
            await yard.until(lambda: len(yard.fleet.taken) == 2)
            first.set()
            await yard.until(lambda: len(yard.staged()) == 1)
            assert number in yard.foreman.in_work
            second.set()
            await yard.until_settled()
        assert yard.job(number).state is JobState.DONE
        assert yard.made() == ["a.fits"]
        assert yard.staged() == []

    asyncio.run(work())


def test_a_daemon_that_others_have_taken_for_dead_stops_what_it_does(tmp_path: Path):
    async def work() -> None:
        yard = Yard(tmp_path, never)
        (number,) = yard.add("a.fits")
        async with yard.at_work():
            await yard.until(lambda: yard.fleet.taken)
            yard.queue.recover(yard.daemon, "another")
            yard.queue.pause(None)
            await yard.foreman.under_a_new_name(yard.queue.register(DaemonFacts.of_this_process()))
            assert yard.foreman.in_work == {}
            assert yard.staged() == []
            assert yard.job(number).state is JobState.QUEUED
            yard.fleet.act = reduce
            yard.queue.resume(None)
            await yard.until_settled()
        assert yard.job(number).state is JobState.DONE

    asyncio.run(work())


def test_products_whose_job_was_taken_from_us_are_left_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def put(*_: Any) -> None:
        raise StorageError("the disk is full")

    async def work() -> None:
        yard = Yard(tmp_path)
        monkeypatch.setattr(yard.destinations["products"], "put", put)
        monkeypatch.setattr(holds, "probe", lambda *_: "the disk is full")
        monkeypatch.setattr(module, "probe", lambda *_: "the disk is full")
        (number,) = yard.add("a.fits")
        async with yard.at_work():
            await yard.until(lambda: yard.job(number).manifest)
            (taken,) = yard.queue.recover(yard.daemon, "another").publishing
            await yard.foreman.under_a_new_name(yard.queue.register(DaemonFacts.of_this_process()))
            assert yard.foreman.in_work == {}
            assert yard.job(number).token == taken.token
            assert (yard.destinations["products"].staging_root / taken.manifest[0].staged).exists()

    asyncio.run(work())


def test_masters_are_given_back_when_the_fleet_ends(tmp_path: Path):
    async def closed(_job: Job) -> dict[str, Any]:
        yard.foreman._draining = True
        raise FleetClosedError("the daemon ends")

    yard: Any = None

    async def work() -> None:
        nonlocal yard
        yard = Yard(tmp_path, masters=closed)
        (number,) = yard.add("masters", kind=JobKind.MASTERS)
        async with yard.at_work() as foreman:
            await foreman
            await yard.until(lambda: yard.job(number).state is JobState.QUEUED)
        assert yard.job(number).attempts == 0

    asyncio.run(work())


def test_masters_that_fail_are_tried_again(tmp_path: Path):
    calls: list[int] = []

    async def fail(job: Job) -> dict[str, Any]:
        calls.append(job.id)
        raise CallError("the worker died", kind="WorkerDiedError", cause="died")

    async def work() -> None:
        yard = Yard(tmp_path, masters=fail)
        (number,) = yard.add("masters", kind=JobKind.MASTERS)
        async with yard.at_work():
            await yard.until(lambda: "attempt 1 of 3 failed" in yard.job(number).reason)
        assert calls

    asyncio.run(work())


@pytest.mark.parametrize("source", [WatchSource(watch="/raw", name="raw", chain="chain"), None])
def test_a_replaced_file_is_left_to_a_source_that_looks_again_and_fails_without_one(tmp_path: Path, source: Any):
    async def replaced(work: Work) -> Outcome:
        return Outcome(Path(work.label), "failed", error="a.fits has been replaced", cause="replaced")

    async def work() -> None:
        yard = Yard(tmp_path, replaced)
        yard.foreman.settings.sources = () if source is None else (source,)  # type: ignore[misc]
        (number,) = yard.add("a.fits")
        async with yard.at_work():
            await yard.until_settled()
        job = yard.job(number)
        assert job.state is (JobState.FAILED if source is None else JobState.SKIPPED)
        assert "the file was replaced" in job.error + job.reason

    asyncio.run(work())


def test_a_file_that_was_another_one_only_for_a_moment_is_tried_again(tmp_path: Path):
    path = tmp_path / "a.fits"
    path.write_bytes(b"as it was")
    outcomes = [Outcome(path, "failed", error="a.fits has been replaced", cause="replaced")]

    async def restored(work: Work) -> Outcome:
        return outcomes.pop() if outcomes else await reduce(work)

    async def work() -> None:
        yard = Yard(tmp_path, restored)
        facts = path.stat()
        new = NewJob(
            key="a", source="raw", chain="chain", label="a.fits", path=path, destination="products",
            size=facts.st_size, mtime_ns=facts.st_mtime_ns,
        )  # fmt: skip
        (added,) = yard.queue.add([new])
        async with yard.at_work():
            await yard.until_settled()
        job = yard.job(added.id)
        assert (job.state, job.attempts) == (JobState.DONE, 2)

    asyncio.run(work())
