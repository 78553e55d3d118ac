"""Small frames in files, and processors that misbehave, in a module that worker processes can import."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from etendue.images import Image

HAZARDS = '''
"""Processors for tests of running: some work, some misbehave for images whose OBJECT says so."""

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

from pydantic import Field

from etendue.images import Image, ImageError, TransientError
from etendue.processors import Processor, product_path, stamped


class Add(Processor):
    """Add a number."""

    reads = {"data"}
    writes = {"data"}
    number: float = Field(1.0, description="what is added [adu]")

    def process(self, image: Image) -> Image:
        return image.replace(data=image.data + self.number)


class Keep(Processor):
    """Write the image to a file named by its OBJECT or a fixed name."""

    filename: str = Field("{}.fits", description="name of the product")

    def process(self, image: Image) -> Image:
        path = product_path(self.filename.format(Path(image.name or "image").stem))
        stamped(image).writeto(path)
        return image


class Hazard(Processor):
    """Do what the header says."""

    marks: str = Field("", description="folder for marks of attempts")
    pause: float = Field(0.0, description="time that every image takes [s]")

    def process(self, image: Image) -> Image | None:
        time.sleep(self.pause)
        what = image.header.get("OBJECT", "")
        first = False
        if self.marks:
            mark = Path(self.marks) / f"{image.name}.{os.getpid()}"
            first = not list(Path(self.marks).glob(f"{image.name}.*"))
            mark.touch()
        match what:
            case "segfault":
                ctypes.string_at(0)
            case "kill once" if first:
                os.kill(os.getpid(), signal.SIGKILL)
            case "later" if first:
                raise TransientError("the service is busy")
            case "hang":
                time.sleep(600)
            case "raise":
                raise KeyError("no such card")
            case "bad":
                raise ImageError("every pixel is masked")
            case "exit":
                sys.exit(3)
            case "print":
                print("hello from a step")
            case "nothing":
                return None
        return image


class Count(Processor):
    """Write how many images came before into the header."""

    sequential = True

    def process(self, image: Image, state) -> Image:
        state["seen"] = state.get("seen", 0) + 1
        twin = image.copy()
        twin.header["SEEN"] = state["seen"]
        return twin
'''


@pytest.fixture(scope="session")
def hazards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The module of processors above, importable here and in worker processes."""
    folder = tmp_path_factory.mktemp("modules")
    (folder / "hazards.py").write_text(HAZARDS)
    sys.path.insert(0, str(folder))
    yield importlib.import_module("hazards")
    sys.path.remove(str(folder))


@pytest.fixture
def make_frames(tmp_path: Path) -> Callable[..., list[Path]]:
    """``make_frames("star", "raise", …)``: one 8 x 8 frame for each OBJECT, its pixels its number; the paths."""

    def make(*objects: str, folder: str = "raw") -> list[Path]:
        paths = []
        for number, name in enumerate(objects):
            paths.append(tmp_path / folder / f"{number:04d}.fits")
            paths[-1].parent.mkdir(exist_ok=True)
            pixels = np.full((8, 8), number, np.float32)
            Image(data=pixels, header={"OBJECT": name, "EXPTIME": 10.0}).writeto(paths[-1])
        return paths

    return make
