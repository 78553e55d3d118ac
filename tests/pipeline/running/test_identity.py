"""A file that becomes another one while it is read is noticed, whatever the reader made of it."""

import asyncio
import os
from pathlib import Path

import numpy as np
import pytest

from etendue.images import Image, ImageError
from etendue.pipeline import Pipeline
from etendue.pipeline.running.one_image import Job, Setting, take_through


def same(image: Image) -> Image:
    return image


@pytest.fixture
def frame(tmp_path: Path) -> Path:
    path = tmp_path / "a.fits"
    Image(data=np.zeros((4, 4), np.float32)).writeto(path)
    return path


def take(path: Path, identity: tuple[int, int], output: Path):
    job = Job(1, path, identity=identity)
    return asyncio.run(take_through(Pipeline.of(same), job, Setting(output, None)))


def identity_of(path: Path) -> tuple[int, int]:
    facts = path.stat()
    return facts.st_size, facts.st_mtime_ns


def test_the_file_that_is_meant_is_taken(frame, tmp_path):
    assert take(frame, identity_of(frame), tmp_path).cause == ""


@pytest.mark.parametrize("damaged", [False, True])
def test_a_file_that_is_replaced_while_it_is_read(frame, tmp_path, monkeypatch, damaged):
    identity, read = identity_of(frame), Image.from_file

    def slowly(path, **options):
        image = read(path, **options)
        os.utime(frame, ns=(0, identity[1] + 1))
        if damaged:
            raise ImageError("the file ends too early")
        return image

    monkeypatch.setattr(Image, "from_file", slowly)

    outcome = take(frame, identity, tmp_path)

    assert outcome.cause == "replaced"
    assert "since it was seen" in outcome.error


def test_a_file_that_is_gone(frame, tmp_path):
    identity = identity_of(frame)
    frame.unlink()

    assert take(frame, identity, tmp_path).cause == "missing"
