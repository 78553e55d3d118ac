"""Small frames whose products are known: each number has its own stars, and what the chain makes of it inline."""

import io
import random
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from astropy.io import fits

from etendue.pipeline import parse_pipeline
from etendue.pipeline.running import run_pipeline

from .observatory import CHAIN

SIDE = 96
STARS = 6

_NOISE = np.random.default_rng(7).normal(200, 5, (2 * SIDE, 2 * SIDE))
_Y, _X = np.indices((SIDE, SIDE))


def pixels(number: int) -> np.ndarray:
    """(96, 96) uint16: sky, noise and a few stars, different for each number."""
    rng = np.random.default_rng(number)
    y0, x0 = rng.integers(0, SIDE, 2)
    data = _NOISE[y0 : y0 + SIDE, x0 : x0 + SIDE].copy()
    for x, y, peak in zip(*rng.uniform(8, SIDE - 8, (2, STARS)), rng.uniform(500, 5000, STARS), strict=True):
        data += peak * np.exp(-((_X - x) ** 2 + (_Y - y) ** 2) / 4.5)
    return data.astype(np.uint16)


def frame(number: int, **cards: object) -> bytes:
    """The FITS file of a number."""
    unit = fits.PrimaryHDU(pixels(number))
    unit.header["OBJECT"] = f"field {number}"
    unit.header["EXPTIME"] = 10.0
    unit.header["IMAGETYP"] = "light"
    unit.header["SERIAL"] = number
    for key, value in cards.items():
        unit.header[key] = value
    stream = io.BytesIO()
    unit.writeto(stream)
    return stream.getvalue()


def put(path: Path, content: bytes) -> None:
    """Write a file under a temporary name and rename it, as careful cameras do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part") if len(path.name) < 200 else path.with_name(".long.part")
    part.write_bytes(content)
    part.rename(path)


def trickle(path: Path, content: bytes, *, seconds: float, pieces: int = 8) -> None:
    """Write a file slowly under its final name, as careless cameras do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    step = -(-len(content) // pieces)
    with path.open("wb") as stream:
        for begin in range(0, len(content), step):
            stream.write(content[begin : begin + step])
            stream.flush()
            time.sleep(seconds / pieces)


class Camera:
    """Puts frames into a folder, now this way, now that way, and knows which.

    Parameters
    ----------
    folder : Path
        Where frames go.
    rng : random.Random
        Chooses the way.
    """

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder = folder
        self.frames: dict[Path, int] = {}
        self._rng = rng
        self._slow: list[threading.Thread] = []

    def expose(self, count: int = 1) -> None:
        """Put the next frames into the folder."""
        for number in range(len(self.frames), len(self.frames) + count):
            name = f"frame-{number:05d}.fits"
            way = self._rng.choices(("renamed", "written", "slow", "subfolder"), (55, 25, 8, 12))[0]
            path = self.folder / f"night-{number // 100}" / name if way == "subfolder" else self.folder / name
            self.frames[path] = number
            if way == "slow":
                seconds = self._rng.uniform(0.2, 1.0)
                work = threading.Thread(target=trickle, args=(path, frame(number)), kwargs={"seconds": seconds})
                work.start()
                self._slow.append(work)
            elif way == "written":
                path.write_bytes(frame(number))
            else:
                put(path, frame(number))

    def finish(self) -> None:
        """Wait for frames that are still being written."""
        for work in self._slow:
            work.join()


def expected_products(paths: Iterable[Path], folder: Path, chain: str = CHAIN) -> Path:
    """What the chain makes of files, inline in this process: the truth that products are compared with."""
    results = run_pipeline(parse_pipeline(chain), list(paths), output=folder)
    if results.failed:
        raise RuntimeError(f"the truth cannot be made: {results.failed[0].error}")
    return folder
