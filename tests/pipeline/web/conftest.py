"""A page on a real queue: in the process of the test, or behind a real socket."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from etendue.pipeline.web.app import make_app
from tests.pipeline.web.demo import DemoService
from tests.pipeline.web.serving import Served, serving

ADDRESS = "http://127.0.0.1:8077"


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


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A page behind a real socket on a free port, in a thread of its own."""
    with contextlib.closing(DemoService(tmp_path)) as service, serving(service) as made:
        yield made
