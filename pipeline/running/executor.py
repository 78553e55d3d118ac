"""Where images are taken through a chain: the protocol that all executors share, and the one without processes."""

from typing import Protocol

from ...processors import State, time_limit
from ..pipeline import Pipeline
from .one_image import Job, Setting, take_the_rest, take_through
from .outcome import Outcome


class Executor(Protocol):
    """Takes images through a chain, up to `capacity` of them at once.

    What crosses its border are paths and outcomes, never pixels. A job that fails, for whatever reason, is an
    outcome too: `submit` raises only when the executor itself cannot work.
    """

    @property
    def capacity(self) -> int:
        """How many images it takes at once."""
        ...

    async def submit(self, job: Job) -> Outcome:
        """Take one image through the chain and wait for it."""
        ...

    async def finish(self) -> list[Outcome]:
        """After the last image: what sequential steps still hold, taken through the steps behind them."""
        ...

    async def close(self) -> None:
        """Release everything; called when no job is running any more."""
        ...


class InlineExecutor:
    """One image at a time, in this process. Computation runs in a thread, so the event loop stays responsive.

    Parameters
    ----------
    pipeline : Pipeline
        The chain.
    setting : Setting
        What all images of the run share.
    timeout : float
        Longest time for one image [s]. A thread cannot be stopped: what it computes is left to its end.
    """

    capacity = 1

    def __init__(self, pipeline: Pipeline, setting: Setting, *, timeout: float | None = None) -> None:
        self._pipeline = pipeline
        self._setting = setting
        self._timeout = timeout
        self._state = State()

    async def submit(self, job: Job) -> Outcome:
        step = ""

        def started(name: str) -> None:
            nonlocal step
            step = name

        try:
            async with time_limit(self._timeout):
                return await take_through(self._pipeline, job, self._setting, self._state, on_step=started)
        except TimeoutError:
            return out_of_time(job, step, self._timeout or 0.0)

    async def finish(self) -> list[Outcome]:
        return await take_the_rest(self._pipeline, self._setting, self._state)

    async def close(self) -> None:
        """Nothing needs to be released."""


def out_of_time(job: Job, step: str, limit: float) -> Outcome:
    """The outcome of an image that took too long."""
    return Outcome(job.path, "failed", step=step, error=f"not finished within {limit:g} s", seconds=limit, cause="time")
