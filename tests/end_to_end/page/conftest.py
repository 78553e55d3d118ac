"""The page in a real browser, on a real queue with really reduced frames."""

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from etendue.pipeline.daemon.queue import JobState, Record
from tests.pipeline.web.demo import TRACEBACK, DemoService, ThreadClerk
from tests.pipeline.web.serving import WAIT, Served, serving
from tests.servers import lacking

CHROMIUM = Path("/usr/bin/chromium")
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 360, "height": 740}


class Observatory(Served):
    """A page behind a real socket, at which something happens."""

    def tell(self, number: int) -> None:
        """Say that a job was added or has changed, as the daemon does."""
        self.loop.call_soon_threadsafe(self.service.tell, {"job": number})

    def add(self, label: str, **more: Any) -> int:
        """A job that comes in now."""
        number = self.service.add(label, **more)
        self.tell(number)
        return number

    def fail(self, label: str, *, error: str = "every pixel is masked", **more: Any) -> int:
        """A job that has failed."""
        number = self.service.add(label, **more)
        record = Record(
            step="SepSourceDetection",
            error=error,
            traceback=TRACEBACK,
            log="98 % of the pixels are masked\n",
            seconds=0.2,
            timings=(("SubtractBackground", 0.1, "done"), ("SepSourceDetection", 0.1, "failed")),
        )
        self.service.end(JobState.FAILED, record)
        self.tell(number)
        return number


@pytest.fixture
def observatory(tmp_path: Path) -> Iterator[Observatory]:
    """A page without jobs."""
    with closing(DemoService(tmp_path)) as service, serving(service, Observatory) as observatory:
        yield observatory


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Observatory]:
    """A page that asks for tokens."""
    with closing(DemoService(tmp_path, tokens=True)) as service, serving(service, Observatory) as observatory:
        yield observatory


@pytest.fixture(scope="session")
def busy_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoService]:
    """Many jobs, the last of which is a simulated frame that was really reduced."""
    with closing(DemoService(tmp_path_factory.mktemp("busy"))) as service:
        service.add_many(300)
        service.add_real("field-1.fits", side=512)
        yield service


@pytest.fixture(scope="module")
def busy(busy_service: DemoService) -> Iterator[Observatory]:
    """A page with many jobs. Tests only look at it."""
    busy_service.page_clerk = ThreadClerk()  # its lock belongs to one loop
    with serving(busy_service, Observatory) as observatory:
        yield observatory


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium, ended with the tests of a file: while Playwright runs, asyncio.run() is refused."""
    if not CHROMIUM.exists():
        lacking("chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Any]]:
    """``visit(observatory, "#/jobs")`` opens a view in a window of its own.

    Anything that the browser complains about fails the test, but answers that are no success: those are what
    ``refusals=True`` expects.
    """
    contexts: list[Any] = []
    complaints: list[str] = []

    def open_view(observatory: Observatory, view: str = "", *, refusals: bool = False, **options: Any) -> Any:
        options = {"viewport": DESKTOP, "color_scheme": "light"} | options
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT * 1000)
        page.on("pageerror", lambda error: complaints.append(f"{view}: {error}"))
        page.on("console", lambda message: complaints.append(f"{view}: {message.text}") if _is_bad(message) else None)
        page.on("request", lambda request: _check_address(request.url, observatory.address, complaints))

        def _is_bad(message: Any) -> bool:
            if refusals and "Failed to load resource" in message.text:
                return False
            return message.type == "error"

        page.goto(f"{observatory.address}/{view}")
        return page

    yield open_view
    for context in contexts:
        context.close()
    assert not complaints


def _check_address(url: str, address: str, complaints: list[str]) -> None:
    """Everything comes from the daemon: an observatory may have no internet."""
    if not re.match(rf"{re.escape(address)}/|blob:|data:", url):
        complaints.append(f"the page asks for {url}")
