"""A page behind a real socket, in a thread of the test's process."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from etendue.pipeline.web import serve_web
from tests.pipeline.web.demo import DemoService

WAIT = 60.0
"""Longest time for what takes no time [s]: the machine may be busy."""


@dataclass
class Served:
    """A page behind a real socket, and the service behind the page."""

    service: DemoService
    address: str
    loop: asyncio.AbstractEventLoop = field(repr=False)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.address.rpartition(":")[2])

    def do(self, work: Any) -> Any:
        """Run a coroutine on the loop of the page."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(WAIT)


Kind = TypeVar("Kind", bound=Served)


@contextlib.contextmanager
def serving(service: DemoService, kind: type[Kind] = Served) -> Iterator[Kind]:
    """A service behind a free port, until the context ends; it must end in time."""
    started = threading.Event()
    ending = asyncio.Event()
    found: list[Kind] = []

    async def serve() -> None:
        loop = asyncio.get_running_loop()

        def tell(address: str) -> None:
            found.append(kind(service, address, loop))
            started.set()

        task = asyncio.create_task(serve_web(service, port=0, started=tell))
        await ending.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(WAIT), "the page does not start"
    try:
        yield found[0]
    finally:
        found[0].loop.call_soon_threadsafe(ending.set)
        thread.join(WAIT)
    assert not thread.is_alive(), "the page does not end"
