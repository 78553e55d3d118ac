"""A page on a real queue: in the process of the test, or behind a real socket."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from etendue.pipeline.web import serve_web
from etendue.pipeline.web.app import make_app
from tests.pipeline.web.demo import DemoService

ADDRESS = "http://127.0.0.1:8077"
WAIT = 60.0
"""Longest time for what takes no time [s]."""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[DemoService]:
    """A service without jobs."""
    made = DemoService(tmp_path)
    yield made
    made.close()


class Page:
    """A client in the process of the page: ``page.get("/api/now").json()``."""

    def __init__(
        self, service: DemoService, *, address: str = ADDRESS, peer: str = "127.0.0.1", **headers: str
    ) -> None:
        self.app = make_app(service)
        self._transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=(peer, 50_000))
        self._address, self._headers = address, headers

    def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(
                transport=self._transport, base_url=self._address, headers=self._headers
            ) as client:
                return await client.request(method, url, **options)

        return asyncio.run(ask())

    def get(self, url: str, **options: Any) -> httpx.Response:
        return self.request("GET", url, **options)

    def post(self, url: str, **options: Any) -> httpx.Response:
        return self.request("POST", url, **options)

    def put(self, url: str, **options: Any) -> httpx.Response:
        return self.request("PUT", url, **options)


@pytest.fixture
def open_page() -> type[Page]:
    """``open_page(service, address=…, peer=…, **headers)``: a client, as a program on this machine."""
    return Page


@pytest.fixture
def page(service: DemoService) -> Page:
    """A client of the service without jobs, which sends what our own page sends."""
    return Page(service, **{"X-Etendue": "1"})


@dataclass
class Served:
    """A page behind a real socket."""

    service: DemoService
    address: str
    loop: asyncio.AbstractEventLoop

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def do(self, work: Any) -> Any:
        """Run a coroutine on the loop of the page."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(WAIT)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A page behind a real socket on a free port, in a thread of its own."""
    with serving(DemoService(tmp_path)) as made:
        yield made


@contextlib.contextmanager
def serving(service: DemoService) -> Iterator[Served]:
    """A service behind a real socket, until the context ends; it must end in time."""
    started = threading.Event()
    ending = asyncio.Event()
    found: list[Served] = []

    async def serve() -> None:
        loop = asyncio.get_running_loop()

        def tell(address: str) -> None:
            found.append(Served(service, address, loop))
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
        service.close()
    assert not thread.is_alive(), "the page does not end"
