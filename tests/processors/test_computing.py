"""Computations run off the loop, and one that never ends takes nothing away from those after it."""

import asyncio
import os
import threading

import pytest

from etendue.processors import compute_inline, off_loop, time_limit
from etendue.processors.computing import threads_left_behind


def test_a_computation_does_not_run_on_the_loop_thread():
    async def main() -> bool:
        return await off_loop(threading.current_thread) is threading.current_thread()

    assert not asyncio.run(main())


def test_inline_computation_runs_on_the_loop_thread():
    async def main() -> bool:
        with compute_inline():
            return await off_loop(threading.current_thread) is threading.current_thread()

    assert asyncio.run(main())


@pytest.mark.parametrize("inline", [False, True], ids=["with a pool", "in a worker"])
def test_computations_that_hang_leave_room_for_others(inline: bool):
    forever = threading.Event()
    hung = 2 * (os.cpu_count() or 1) + 1

    async def hang() -> None:
        with pytest.raises(TimeoutError):
            async with time_limit(0.05):
                await off_loop(forever.wait)

    async def main() -> str:
        for _ in range(hung):
            await hang()
        return await asyncio.wait_for(off_loop(lambda: "done"), 5)

    try:
        if inline:
            with compute_inline():
                assert asyncio.run(main()) == "done"
        else:
            assert asyncio.run(main()) == "done"
        assert threads_left_behind() >= hung
    finally:
        forever.set()


def test_an_error_within_a_time_limit_reaches_the_waiter():
    async def main() -> None:
        async with time_limit(5):
            await off_loop(int, "no number")

    with pytest.raises(ValueError, match="no number"):
        asyncio.run(main())
