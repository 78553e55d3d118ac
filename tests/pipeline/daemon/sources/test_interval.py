"""Runs at full multiples of an interval, each once, whoever asks for them and whatever clocks do."""

import asyncio

import pytest

from etendue.pipeline.daemon.settings import IntervalSource
from etendue.pipeline.daemon.sources import interval
from etendue.pipeline.daemon.sources.interval import IntervalRunner


@pytest.fixture
def every():
    """``every(seconds, **options)``: a source that runs so often."""
    return lambda seconds, **options: IntervalRunner(IntervalSource(interval=seconds, name="sky", chain="c"), **options)


def test_runs_are_planned_for_full_multiples(every, desk):
    async def scenario():
        async with desk.runs(every(0.25)), desk.runs(every(0.25)):  # two daemons on one queue
            await desk.until_found(12)

    asyncio.run(scenario())
    planned = [one.due for one in desk.found]
    assert all((due / 0.25).is_integer() for due in planned)
    assert len(set(planned)) <= 8
    assert all(one.path is None and one.problem == "" for one in desk.found)
    assert desk.found[0].label.startswith("sky, 20")


def test_a_clock_that_is_set_back_plans_nothing_twice(every, desk, monkeypatch):
    import time

    now = time.time

    async def scenario():
        async with desk.runs(every(0.1)):
            await desk.until_found(3)
            monkeypatch.setattr(interval.time, "time", lambda: now() - 3600)
            await desk.until_found(8)

    asyncio.run(scenario())
    planned = [one.due for one in desk.found]
    assert planned == sorted(set(planned))


def test_a_run_is_left_out_while_the_last_one_is_not_finished(every, desk):
    asked = []

    async def busy(source):
        asked.append(source)
        return 1 < len(asked) < 5

    async def scenario():
        runner = every(0.1, busy=busy)
        async with desk.runs(runner):
            await desk.until(lambda: len(asked) == 3)
            assert "left out" in runner.state.notes[0]
            assert len(desk.found) == 1
            await desk.until_found(3)
            assert runner.state.notes == ()

    asyncio.run(scenario())


def test_what_cannot_be_handed_over_is_left_out(every, desk):
    runner = every(0.1)
    desk.broken = RuntimeError("the database is away")

    async def scenario():
        async with desk.runs(runner):
            await desk.until(lambda: runner.state.state == "holding")
            desk.broken = None
            await desk.until_found(2)

    asyncio.run(scenario())
    assert runner.state.state == "ok"
