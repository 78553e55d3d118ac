"""Run one processor again and again, and see what happens."""

import asyncio
import contextvars
import copy
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...images import EtendueError, Image, ImageError
from ..computing import compute_inline
from ..context import RunContext, run_context
from ..processor import Processor, State


@dataclass(repr=False)
class Outcome:
    """What came of one image.

    Attributes
    ----------
    result : object
        What the processor returned.
    error : Exception or None
        What it raised.
    warnings : list of str
        Warnings that numpy and others gave meanwhile.
    """

    result: Any = None
    error: Exception | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def image(self) -> Image | None:
        """The result, if it is an image."""
        return self.result if isinstance(self.result, Image) else None

    @property
    def refused(self) -> bool:
        """Whether the processor said in a sentence that it cannot do its work."""
        return isinstance(self.error, EtendueError)

    def what_happened(self) -> str:
        """The end of a sentence."""
        if self.error is not None:
            return f"raised {type(self.error).__name__}: {' '.join(str(self.error).split()) or '(no message)'}"
        return "returned an image" if self.image is not None else f"returned {type(self.result).__name__}"


@dataclass
class Bench:
    """A processor, an image that it works on, a folder for what it writes, and what its module held at first."""

    processor: Processor
    image: Image
    folder: Path
    module_before: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return type(self.processor).__name__

    @property
    def writes(self) -> set[str]:
        """Declared parts, without the question marks."""
        return {name.rstrip("?") for name in self.processor.writes}

    @property
    def reads(self) -> set[str]:
        """Declared parts that must be there."""
        return {name for name in self.processor.reads if not name.endswith("?")}

    @property
    def may_read(self) -> set[str]:
        """Declared parts, needed or used when present."""
        return {name.rstrip("?") for name in self.processor.reads}

    def run(self, image: Image, *, state: State | None = None, processor: Processor | None = None) -> Outcome:
        """Process a copy of an image; whatever happens is an outcome. To a sequential processor it is the first one."""
        return self.run_all([image], state=state, processor=processor)[0]

    def run_all(
        self, images: Sequence[Image], *, state: State | None = None, processor: Processor | None = None
    ) -> list[Outcome]:
        """Process images at the same time, in one loop; one alone is computed in this thread."""
        alone = len(images) == 1
        with warnings.catch_warnings(record=True) as caught, compute_inline() if alone else nullcontext():
            warnings.simplefilter("always")
            outcomes = in_loop(self._gather(processor or self.processor, images, state))
        for outcome in outcomes:
            outcome.warnings = [
                f"{warning.category.__name__}: {warning.message}"
                for warning in caught
                if issubclass(warning.category, RuntimeWarning)
            ]
        return outcomes

    async def _gather(self, processor: Processor, images: Sequence[Image], state: State | None) -> list[Outcome]:
        return await asyncio.gather(*(self._outcome(processor, image, state) for image in images))

    async def _outcome(self, processor: Processor, image: Image, state: State | None) -> Outcome:
        try:
            return Outcome(result=await self.call(processor, copy.deepcopy(image), state))
        except Exception as error:  # noqa: BLE001 - to see what a processor raises is what this is for
            return Outcome(error=error)

    async def call(self, processor: Processor, image: Image, state: State | None = None) -> Any:
        """Call the processor with this very image, as a runner does, with a folder of its own for products."""
        with run_context(RunContext(output=Path(tempfile.mkdtemp(dir=self.folder)))):
            if processor.sequential:
                return await processor(image, State() if state is None else state)
            return await processor(image)

    def longest_block(self, image: Image) -> float:
        """The longest time [s] for which the processor kept the event loop from anything else."""
        longest = 0.0

        def note(seconds: float) -> None:
            nonlocal longest
            longest = max(longest, seconds)

        async def main() -> None:
            loop = asyncio.get_running_loop()
            loop.set_task_factory(lambda loop, coro, **options: asyncio.Task(_timed(coro, note), loop=loop, **options))
            try:
                await asyncio.create_task(self._outcome(self.processor, image, None))
            finally:
                loop.set_task_factory(None)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            in_loop(main())
        return longest


class _Steps:
    """Drives a coroutine and tells how long each stretch between two suspensions took."""

    def __init__(self, coroutine: Any, note: Callable[[float], None]) -> None:
        self.coroutine = coroutine
        self.note = note

    def __await__(self) -> Generator[Any, Any, Any]:
        advance, argument = self.coroutine.send, None
        while True:
            begin = time.perf_counter()
            try:
                waiting_for = advance(argument)
            except StopIteration as stop:
                return stop.value
            finally:
                self.note(time.perf_counter() - begin)
            try:
                advance, argument = self.coroutine.send, (yield waiting_for)
            except BaseException as error:  # noqa: BLE001 - cancellation and errors belong to the coroutine
                advance, argument = self.coroutine.throw, error


async def _timed(coroutine: Any, note: Callable[[float], None]) -> Any:
    return await _Steps(coroutine, note)


def in_loop(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end, also where a loop is running already (a notebook): there in a thread of its own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    result: list[Any] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            result.append(asyncio.run(coroutine))
        except BaseException as error:  # noqa: BLE001 - handed on to the caller below
            failure.append(error)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(work,))
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return result[0]


def is_sentence(error: Exception) -> bool:
    """Whether a message can tell a person something: at least two words."""
    return len(str(error).split()) >= 2 and isinstance(error, Exception)


def is_image_error(error: Exception | None) -> bool:
    """Whether an error says what is wrong with the image."""
    return isinstance(error, ImageError)
