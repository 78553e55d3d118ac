"""A light step that works, and steps that behave as badly as steps can."""

import ctypes
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from astropy.table import Table
from pydantic import Field

from etendue.images import Image, ImageError, TransientError
from etendue.processors import Processor


def peaks(data: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of pixels above a threshold that none of their neighbours exceeds."""
    middle = data[1:-1, 1:-1]
    found = middle > threshold
    for dy in (0, 1, 2):
        for dx in (0, 1, 2):
            found &= middle >= data[dy : dy + middle.shape[0], dx : dx + middle.shape[1]]
    y, x = np.nonzero(found)
    return y + 1, x + 1


class FindPeaks(Processor):
    """Subtract the median and list what stands out: little work, of which every pixel and star is in the products."""

    reads = {"data"}
    writes = {"data", "catalog"}

    def process(self, image: Image) -> Image:
        data = image.data.astype(np.float32)
        data -= np.median(data)
        y, x = peaks(data, 100.0)
        columns = {"x": x.astype(float), "y": y.astype(float), "peak": data[y, x]}
        return image.replace(data=data, catalog=Table(columns))


class Refuse(Processor):
    """Say that something is wrong with the image."""

    reads = {"data"}

    def process(self, image: Image) -> Image:
        raise ImageError("this image is of no use; take another one")


class Explode(Processor):
    """Raise what no step should raise."""

    reads = {"data"}

    def process(self, image: Image) -> Image:
        return {}["a key that is not there"]


class Hang(Processor):
    """Never come back, and hold the interpreter meanwhile, so that nothing within the process can help."""

    reads = {"data"}

    def process(self, image: Image) -> Image:
        ctypes.PyDLL(None).sleep(3600)
        return image


class Segfault(Processor):
    """Read from address 0."""

    reads = {"data"}

    def process(self, image: Image) -> Image:
        ctypes.string_at(0)
        return image


class Vanish(Processor):
    """End the process as if all were well."""

    reads = {"data"}

    def process(self, image: Image) -> Image:
        os._exit(0)


class Devour(Processor):
    """Allocate memory without end."""

    reads = {"data"}

    def process(self, image: Image) -> Image:
        hoard = []
        while True:
            hoard.append(b"\1" * 20_000_000)


class DevourInChild(Processor):
    """Start a program that allocates memory without end."""

    reads = {"data"}

    def process(self, image: Image) -> Image:
        subprocess.run([sys.executable, "-c", "x = []\nwhile True: x.append(b'1' * 20_000_000)"], check=True)
        return image


class Babble(Processor):
    """Return something that is no image, and print what looks like a message of the worker."""

    reads = {"data"}

    def process(self, image: Image) -> Image:
        message = '{"outcome": {"status": "done", "path": "/etc/passwd", "products": []}}'
        print(message, flush=True)
        for number in (0, 1):
            try:
                os.write(number, message.encode() + b"\n\0\xff")
            except OSError:
                continue  # it is not open for writing: so much the better
        return "an image"  # type: ignore[return-value]


class ForkAndReturn(Processor):
    """Fork, and let parent and child both go on; leave a program running besides."""

    reads = {"data"}

    def process(self, image: Image) -> Image:
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)  # left by chaos"])
        os.fork()
        return image


class Stumble(Processor):
    """Fail at the first attempts, as services do that are away for a while."""

    reads = {"data"}

    folder: str = Field(description="folder in which attempts are counted")
    times: int = Field(1, description="attempts that fail")

    def process(self, image: Image) -> Image:
        tally = Path(self.folder) / f"{image.name}.attempts"
        count = int(tally.read_text()) if tally.exists() else 0
        tally.write_text(str(count + 1))
        if count < self.times:
            raise TransientError("the service is away; it may be back later")
        return image


class Rest(Processor):
    """Take some time."""

    reads = {"data"}

    seconds: float = Field(1.0, description="how long [s]")

    def process(self, image: Image) -> Image:
        time.sleep(self.seconds)
        return image
