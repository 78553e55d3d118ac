"""The clerk: one process for what the daemon must not compute itself; it is there again when it has died."""

import asyncio
import os
import time

import pytest

from etendue.pipeline.daemon.work.calls import FUNCTIONS, CallError
from etendue.pipeline.daemon.work.clerk import Clerk

from .conftest import is_running


def process() -> dict:
    return {"process": os.getpid()}


def sleep(seconds: float) -> dict:
    time.sleep(seconds)
    return process()


def end() -> None:
    os._exit(3)


OURS = {name: f"{__name__}:{name}" for name in ("process", "sleep", "end")}


def with_clerk(use, **options):
    async def all_of_it():
        clerk = Clerk(functions=OURS, **options)
        try:
            return await use(clerk)
        finally:
            await clerk.close()

    return asyncio.run(all_of_it())


def test_calls_share_one_process_in_their_order():
    async def use(clerk):
        return await asyncio.gather(*(clerk.call("process", {}) for _ in range(20)))

    found = {answer["process"] for answer in with_clerk(use)}

    assert len(found) == 1
    assert os.getpid() not in found
    assert not is_running(found.pop())


def test_a_call_that_ends_the_process_costs_itself_only():
    async def use(clerk):
        first = await clerk.call("process", {})
        answers = await asyncio.gather(clerk.call("end", {}), clerk.call("process", {}), return_exceptions=True)
        return first, *answers

    first, ended, second = with_clerk(use)

    assert isinstance(ended, CallError)
    assert ended.cause == "died"
    assert "exit status 3" in str(ended)
    assert second["process"] != first["process"]


def test_a_call_that_takes_too_long_is_ended():
    async def use(clerk):
        with pytest.raises(CallError, match=r"within 0\.5 s") as caught:
            await clerk.call("sleep", {"seconds": 600}, timeout=0.5)
        assert caught.value.cause == "time"
        return await clerk.call("process", {})

    assert with_clerk(use)["process"]


def test_whoever_goes_away_leaves_the_clerk_in_order():
    async def use(clerk):
        await clerk.call("process", {})
        task = asyncio.create_task(clerk.call("sleep", {"seconds": 0.5}))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await asyncio.gather(*(clerk.call("process", {}) for _ in range(3)))

    assert len({answer["process"] for answer in with_clerk(use)}) == 1


def test_a_closed_clerk_says_so():
    async def use(clerk):
        task = asyncio.create_task(clerk.call("sleep", {"seconds": 600}))
        await asyncio.sleep(0.1)
        await clerk.close()
        with pytest.raises(CallError):
            await task
        with pytest.raises(CallError, match="ends"):
            await clerk.call("process", {})

    with_clerk(use)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_function_is_there(name):
    from etendue.pipeline.running.processes.worker import find_function

    assert callable(find_function(name, FUNCTIONS))
    assert FUNCTIONS[name].startswith("etendue.")


def test_a_renewed_clerk_is_another_process():
    async def use(clerk):
        first = await clerk.call("process", {})
        await clerk.renew()
        return first, await clerk.call("process", {})

    first, second = with_clerk(use)

    assert first != second
    assert not is_running(first["process"])
