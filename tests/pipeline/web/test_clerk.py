"""The page's functions in the daemon's own clerk: a process that speaks JSON."""

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from etendue.images import Image
from etendue.pipeline.daemon.work.calls import FUNCTIONS, CallError
from etendue.pipeline.daemon.work.clerk import Clerk
from etendue.pipeline.web.clerk import FUNCTIONS as OF_THE_PAGE
from tests.pipeline.web.conftest import Page
from tests.pipeline.web.demo import DemoService


def called(*calls: tuple[str, dict[str, Any]]) -> list[Any]:
    """Results of calls to one clerk, one after the other; errors among them."""

    async def call() -> list[Any]:
        clerk = Clerk()
        try:
            return [
                (await asyncio.gather(clerk.call(name, arguments), return_exceptions=True))[0]
                for name, arguments in calls
            ]
        finally:
            await clerk.close()

    return asyncio.run(call())


def test_every_function_of_the_page_may_be_called():
    assert OF_THE_PAGE.items() <= FUNCTIONS.items()


def test_pictures_and_answers_come_as_bytes_and_errors_as_words(tmp_path: Path):
    Image(data=np.zeros((20, 30), np.float32)).writeto(tmp_path / "a.fits")
    (tmp_path / "b.fits").write_bytes(b"no image")

    shown, info, chain, wrong, missing = called(
        ("image_picture", {"path": str(tmp_path / "a.fits")}),
        ("image_info", {"path": str(tmp_path / "a.fits"), "id": 7}),
        ("validate_chain", {"text": "steps: []"}),
        ("image_info", {"path": str(tmp_path / "b.fits"), "id": 7}),
        ("image_info", {"path": str(tmp_path / "c.fits"), "id": 7}),
    )

    assert Pillow.open(io.BytesIO(shown["content"])).size == (30, 20)
    assert shown["region"] == [0, 0, 30, 20]
    assert json.loads(info["json"])["id"] == 7
    assert json.loads(chain["json"])["valid"]
    assert isinstance(wrong, CallError)
    assert wrong.cause == "image"
    assert isinstance(missing, CallError)
    assert missing.kind == "FileNotFoundError"


@pytest.mark.parametrize(
    ("cause", "kind", "status"),
    [
        ("image", "ImageError", 422),
        ("missing", "FileNotFoundError", 404),
        ("time", "TimeoutError", 503),
        ("died", "WorkerDiedError", 503),
        ("memory", "MemoryError", 503),
        ("other", "ZeroDivisionError", 500),
    ],
)
def test_what_becomes_of_the_clerks_troubles(service: DemoService, page: Page, cause: Any, kind: str, status: int):
    async def fail(*_: object, **__: object) -> None:
        raise CallError("words", kind=kind, cause=cause, traceback="inner secret")

    service.page_clerk.call = fail  # type: ignore[method-assign]
    answer = page.get("/api/processors")

    assert answer.status_code == status
    assert "inner secret" not in answer.text
