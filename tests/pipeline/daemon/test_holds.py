"""A destination that cannot be written to: its jobs wait, uncharged; all others go on."""

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from etendue.pipeline.daemon import foreman as module
from etendue.pipeline.daemon import holds
from etendue.pipeline.daemon.places import LIBRARY
from etendue.pipeline.daemon.queue import Job, JobKind, JobState, QueueBusyError
from etendue.pipeline.daemon.service import Service
from etendue.pipeline.daemon.work.fleet import Work
from etendue.pipeline.daemon.work.folders import FolderDestination
from etendue.pipeline.daemon.work.storage import StorageError
from etendue.pipeline.running.outcome import Outcome
from etendue.pipeline.web.service import Refused
from tests.foreman import Yard, reduce


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for place in (module, holds):
        monkeypatch.setattr(place, "PROBE_EVERY", 0.01)
    monkeypatch.setattr(module, "LOOK_EVERY", 0.02)


class Disks:
    """Which destinations are full, for workers and for those who look."""

    def __init__(self, yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full: set[str] = set()
        self.tried: list[str] = []
        yard.fleet.act = self.reduce
        monkeypatch.setattr(holds, "probe", self.probe)
        monkeypatch.setattr(module, "probe", self.probe)

    async def reduce(self, work: Work) -> Outcome:
        self.tried.append(work.label)
        if work.staging.parents[2].name in self.full:
            return Outcome(Path(work.label), "failed", error="No space left on device", cause="storage")
        return await reduce(work)

    def probe(self, destination: Any, _state: Path) -> str | None:
        return "0.0 MB are free" if destination.name in self.full else None


def test_others_go_on_and_held_jobs_follow_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any):
    caplog.set_level(logging.INFO, logger=holds.__name__)

    async def work() -> None:
        yard = Yard(tmp_path)
        disks = Disks(yard, monkeypatch)
        disks.full = {"products"}
        held = yard.add(*(f"a{number}.fits" for number in range(8)))
        async with yard.at_work():
            await yard.until(lambda: "products" in yard.foreman.holds)
            free = yard.add(*(f"b{number}.fits" for number in range(8)), destination="elsewhere")
            await yard.until(lambda: len(yard.made("elsewhere")) == 8)
            await yard.until(lambda: not yard.foreman.in_work)
            assert {yard.job(number).state for number in free} == {JobState.DONE}
            assert {(yard.job(number).state, yard.job(number).attempts) for number in held} == {(JobState.QUEUED, 0)}
            tried = [label for label in disks.tried if label.startswith("a")]
            assert len(tried) <= yard.fleet.workers + 1, "none is tried while it is held"
            await yard.until(lambda: [hold.jobs for hold in yard.foreman.holds.all] == [8])
            (hold,) = yard.foreman.holds.all
            assert hold.destination == "products"
            assert hold.reason == "0.0 MB are free"
            yard.told.clear()
            disks.full.clear()
            await yard.until_settled()
            assert [number for number, state in yard.told if state == JobState.RUNNING] == held, "in their order"
            assert {(yard.job(number).state, yard.job(number).attempts) for number in held} == {(JobState.DONE, 1)}
            assert yard.foreman.holds.all == []
        assert len(yard.made()) == 8
        assert yard.staged() == []

    asyncio.run(work())
    said = [record.getMessage() for record in caplog.records if record.name == holds.__name__]
    assert "destination products cannot be written to: No space left on device" in said[0]
    assert "can be written to again, after" in said[1]
    assert said[1].endswith("jobs that have waited for it: 8")


def test_another_daemon_does_what_this_one_cannot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Each holds by what it sees itself: the queue knows nothing of it."""

    async def work() -> None:
        yard = Yard(tmp_path)
        disks = Disks(yard, monkeypatch)
        disks.full = {"products"}
        numbers = yard.add("a.fits", "b.fits")
        async with yard.at_work():
            await yard.until(lambda: "products" in yard.foreman.holds and not yard.foreman.in_work)
            others = yard.queue.claim("another", limit=9, destinations=["products", "elsewhere"])
            assert [job.id for job in others] == numbers

    asyncio.run(work())


def test_a_folder_that_is_not_there_at_the_start_is_held_until_it_is(tmp_path: Path):
    async def work() -> None:
        yard = Yard(tmp_path)
        place = yard.destinations["products"]
        yard.destinations["products"] = FolderDestination("products", tmp_path / "products", place.identity)
        (tmp_path / "products").rename(tmp_path / "unmounted")
        (number,) = yard.add("a.fits")
        yard.add("b.fits", destination="elsewhere")
        await yard.foreman.holds.look_at_folders()
        assert [hold.destination for hold in yard.foreman.holds.all] == ["products"]
        async with yard.at_work():
            await yard.until(lambda: yard.made("elsewhere"))
            assert yard.job(number).state is JobState.QUEUED
            (tmp_path / "unmounted").rename(tmp_path / "products")
            await yard.until_settled()
        assert yard.made() == ["a.fits"]
        assert yard.fleet.taken == [2, 1]

    asyncio.run(work())


def test_a_destination_that_does_not_answer_holds_up_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A server that is away lets those who look at it wait, for ever if need be."""
    back = threading.Event()
    monkeypatch.setattr(holds, "PATIENCE", 0.05)

    async def work() -> None:
        yard = Yard(tmp_path)
        place = yard.destinations["products"]
        there = place.check
        monkeypatch.setattr(place, "check", lambda: back.wait() and there())
        numbers = yard.add(*(f"a{number}.fits" for number in range(6)))
        async with yard.at_work():
            await yard.until(lambda: yard.foreman.holds.is_silent("products"))
            yard.add("b.fits", "c.fits", destination="elsewhere")
            await yard.until(lambda: yard.made("elsewhere") == ["b.fits", "c.fits"])
            assert "has not answered for 0.05 s" in yard.foreman.holds.reason("products")
            await yard.until(lambda: [hold.jobs for hold in yard.foreman.holds.all] == [len(numbers)])
            assert {yard.job(number).attempts for number in numbers} == {0}
            back.set()
            await yard.until_settled()
        assert {(yard.job(number).state, yard.job(number).attempts) for number in numbers} == {(JobState.DONE, 1)}

    try:
        asyncio.run(work())
    finally:
        back.set()


def test_a_slow_destination_is_given_no_more_than_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Each image that is being put into its place takes a thread, and room where it is staged."""
    ready = threading.Event()

    async def work() -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(32))  # as many as a daemon has, and more
        yard = Yard(tmp_path)
        place = yard.destinations["products"]
        put = place.put
        monkeypatch.setattr(place, "put", lambda *what: ready.wait() and put(*what))
        slow = yard.add(*(f"a{number}.fits" for number in range(40)))
        async with yard.at_work():
            try:
                await yard.until(lambda: len(yard.fleet.taken) >= module.MOST_UNPUBLISHED * yard.fleet.workers)
                yard.add(*(f"b{number}.fits" for number in range(20)), destination="elsewhere")
                await yard.until(lambda: len(yard.made("elsewhere")) == 20)
                most = (module.MOST_UNPUBLISHED + 1) * yard.fleet.workers + 1
                assert len(set(yard.fleet.taken).intersection(slow)) <= most
            finally:
                ready.set()
            await yard.until_settled()
        assert len(yard.made()) == 40

    asyncio.run(work())


def test_the_page_asks_a_destination_that_does_not_answer_only_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Else each look at a product would take one of the threads that all others need."""
    back = threading.Event()
    asked: list[str] = []
    monkeypatch.setattr(holds, "PATIENCE", 0.05)
    monkeypatch.setattr(holds, "probe", lambda *_: back.wait() and None)

    def look(name: str) -> str:
        asked.append(name)
        return name if back.wait() else ""

    async def work() -> None:
        yard = Yard(tmp_path)
        service = Service(yard.foreman.settings, tmp_path, yard.daemon, yard.ledger)
        service.foreman, service.destinations = yard.foreman, yard.destinations
        async with yard.at_work():
            for _ in range(3):
                with pytest.raises(Refused, match="products has not answered for") as refused:
                    await service.at_destination("products", look, "a.fits")
                assert refused.value.status == 503
            assert asked == ["a.fits"]
            back.set()
            await yard.until(lambda: not yard.foreman.holds.all)
            monkeypatch.setattr(holds, "PATIENCE", 60.0)
            assert await service.at_destination("products", look, "a.fits") == "a.fits"

    try:
        asyncio.run(work())
    finally:
        back.set()


def test_a_library_that_cannot_be_written_holds_masters_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    calls: list[int] = []

    async def build(job: Job) -> dict[str, Any]:
        calls.append(job.id)
        if "nights: library" in disks.full:
            raise StorageError("the library of masters cannot be written to: No space left on device")
        return {"nights": {}}

    disks: Any = None

    async def work() -> None:
        nonlocal disks
        yard = Yard(tmp_path, masters=build)
        yard.destinations[LIBRARY] = FolderDestination(LIBRARY, tmp_path / "masters")
        disks = Disks(yard, monkeypatch)
        disks.full = {LIBRARY}
        (masters,) = yard.add("masters", kind=JobKind.MASTERS, destination=LIBRARY)
        async with yard.at_work():
            await yard.until(lambda: LIBRARY in yard.foreman.holds)
            yard.add("a.fits")
            await yard.until(lambda: yard.made() == ["a.fits"])
            await yard.until(lambda: yard.job(masters).state is JobState.QUEUED)
            assert yard.job(masters).attempts == 0
            assert len(calls) == 1
            disks.full.clear()
            await yard.until(lambda: not yard.foreman.holds.all)
        assert "the library of masters cannot be written" in yard.job(masters).reason

    asyncio.run(work())


def test_a_database_that_is_away_does_not_make_a_hold_last_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async def work() -> None:
        yard = Yard(tmp_path)

        def away(_names: Any) -> dict[str, int]:
            raise QueueBusyError("the server restarts")

        monkeypatch.setattr(yard.foreman.holds, "_count", lambda names: yard.ledger.read(away, names))
        disks = Disks(yard, monkeypatch)
        disks.full = {"products"}
        yard.add("a.fits")
        async with yard.at_work():
            await yard.until(lambda: "products" in yard.foreman.holds)
            disks.full.clear()
            await yard.until_settled()
        assert yard.made() == ["a.fits"]

    asyncio.run(work())


def test_a_driver_that_raises_anything_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    raised = []

    def probe(*_: Any) -> None:
        if len(raised) < 3:
            raised.append(1)
            raise ZeroDivisionError("a defect of a driver")

    async def work() -> None:
        yard = Yard(tmp_path)
        monkeypatch.setattr(holds, "probe", probe)
        yard.foreman.holds.note("products", "it is full")
        yard.add("a.fits")
        async with yard.at_work():
            await yard.until_settled()
        assert yard.made() == ["a.fits"]
        assert len(raised) == 3

    asyncio.run(work())
