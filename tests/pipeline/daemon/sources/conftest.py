"""What tests of sources share: files, somebody who takes what was found, and a way to wait for it."""

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from etendue.images import Image
from etendue.pipeline.daemon.sources import Found, Inspected, inspect_files
from tests.brokers import mosquitto, nats_server  # noqa: F401 - fixtures
from tests.web_server import web_server  # noqa: F401 - a fixture

PATIENCE = 60.0
"""A busy machine may need so long [s]."""


def fits_bytes(value: float = 1.0, shape: tuple[int, int] = (8, 10), **cards: Any) -> bytes:
    """A small FITS file as the world writes it."""
    from astropy.io import fits

    header = fits.Header({"EXPTIME": 10.0, "OBJECT": "M31", "FILTER": "R", **cards})
    stream = io.BytesIO()
    fits.PrimaryHDU(np.full(shape, value, dtype=np.int16), header).writeto(stream)
    return stream.getvalue()


@pytest.fixture
def make_fits() -> Callable[..., bytes]:
    """``make_fits(value=1.0, shape=(8, 10), **cards)``: the bytes of a small FITS file."""
    return fits_bytes


@pytest.fixture
def put() -> Callable[..., Path]:
    """``put(path, content=…)``: a file that appears at once, complete, as by a move."""

    def put_file(path: Path, content: bytes | None = None) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(".being-written.part")
        temporary.write_bytes(fits_bytes() if content is None else content)
        temporary.replace(path)
        return path

    return put_file


class Desk:
    """Takes what sources find, and remembers it as the queue does."""

    def __init__(self) -> None:
        self.found: list[Found] = []
        self._newest: dict[tuple[str, Path], tuple[int, int]] = {}
        self.batches: list[int] = []
        self.inspections = 0
        self.given_up: set[Path] = set()
        self.broken: Exception | None = None
        """Raised instead of taking anything."""

    async def hand(self, found: list[Found]) -> list[int]:
        if self.broken is not None:
            raise self.broken
        self.found += found
        self.batches.append(len(found))
        self._newest |= {(one.source, one.path): (one.size, one.mtime_ns) for one in found if one.path is not None}
        return list(range(len(self.found) - len(found), len(self.found)))

    async def known(self, source: str, paths: Sequence[Path]) -> dict[Path, tuple[int, int]]:
        return {path: self._newest[source, path] for path in paths if (source, path) in self._newest}

    async def ended(self, source: str, within: float, first: bool) -> dict[Path, bool]:
        """Every job has just ended; those in `given_up` since their file was replaced."""
        return {path: path in self.given_up for of, path in self._newest if of == source}

    async def look(self, paths: Sequence[Path]) -> list[Inspected]:
        """As the clerk does, by way of JSON."""
        self.inspections += len(paths)
        asked = json.loads(json.dumps([str(path) for path in paths]))
        answers = await asyncio.to_thread(inspect_files, asked, frame_types=None)
        return [Inspected.from_json(one) for one in json.loads(json.dumps(answers))]

    def forget(self) -> None:
        """As after a new database."""
        self.found.clear()
        self._newest.clear()

    @property
    def paths(self) -> list[Path]:
        return [one.path for one in self.found if one.path is not None]

    @property
    def names(self) -> list[str]:
        return sorted(path.name for path in self.paths)

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until something holds."""
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110 - conditions are about files and other programs, too
                await asyncio.sleep(0.01)

    async def until_found(self, count: int) -> None:
        """Wait until so many inputs have been found."""
        try:
            await self.until(lambda: len(self.found) >= count)
        except TimeoutError:
            pytest.fail(f"found {len(self.found)} of {count}: {self.names[:20]}")

    @asynccontextmanager
    async def runs(self, runner: Any) -> AsyncIterator[None]:
        """The source works within this context."""
        task = asyncio.create_task(runner.run(self.hand))
        try:
            yield
            assert not task.done(), task.exception()
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


@pytest.fixture
def desk() -> Desk:
    """Somebody who takes what is found."""
    return Desk()


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    """``saved(name, **cards)``: an image that Etendue itself has written."""

    def save(name: str, **cards: Any) -> Path:
        path = tmp_path / name
        Image(np.ones((4, 6), dtype=np.float32), header=cards).writeto(path)
        return path

    return save
