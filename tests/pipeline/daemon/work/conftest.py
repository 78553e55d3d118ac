"""Steps that do the worst, in a module that worker processes can import, and a fleet to try them on."""

import asyncio
import importlib
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from etendue.images import Image
from etendue.pipeline import Pipeline
from etendue.pipeline.daemon.work.fleet import Fleet, Work
from etendue.pipeline.running.shipping import pack

GIB = 2**30

PERILS = '''
"""Steps that do what the header of the image says."""

import ctypes
import logging
import mmap
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np

from etendue.images import Image, ImageError, TransientError
from etendue.processors import Processor, current_run, product_path


class Peril(Processor):
    """Do what OBJECT says."""

    def process(self, image: Image) -> Image | None:
        what = str(image.header.get("OBJECT", ""))
        act = getattr(sys.modules[__name__], what.partition(" ")[0], None)
        return image if act is None else (act(image, what.partition(" ")[2]) or image)


class Write(Processor):
    """Write the image as OBJECT.fits."""

    def process(self, image: Image) -> Image:
        image.writeto(product_path(f"{Path(image.name or 'tick').stem}.fits"))
        return image


def error(image, text):
    raise KeyError(text)

def bad(image, text):
    raise ImageError("every pixel is masked")

def later(image, text):
    raise TransientError("the service is busy")

def leave(image, text):
    sys.exit(3)

def interrupt(image, text):
    raise KeyboardInterrupt

def pauses(image, text):
    time.sleep(1)

def hang(image, text):
    time.sleep(600)

def segfault(image, text):
    ctypes.string_at(0)

def vanish(image, text):
    os._exit(0)

def killed(image, text):
    os.kill(os.getpid(), signal.SIGKILL)

def arrays(image, text):
    kept = []
    while True:
        kept.append(np.ones(4_000_000))

def objects(image, text):
    kept = []
    while True:
        kept.append(bytearray(10_000))

def shared(image, text):
    """Memory for which no limit of the system holds."""
    kept = []
    while True:
        kept.append(mmap.mmap(-1, 50_000_000))
        kept[-1][::4096] = b"x" * len(kept[-1][::4096])
        time.sleep(0.05)

def brood(image, text):
    """Each within the limit, all together not."""
    for _ in range(4):
        if os.fork() == 0:
            kept = bytearray(os.urandom(4096)) * 100_000
            time.sleep(600)
    time.sleep(600)

def garbage(image, text):
    return "no image"

def child_returns(image, text):
    os.fork()
    return image

def child_lingers(image, text):
    if os.fork() == 0:
        time.sleep(600)
    Path(text).write_text(str(os.getpid()))
    return image

def child_elsewhere(image, text):
    """A process that leaves the group, and holds our standard error."""
    child = subprocess.Popen(["sleep", "600"], process_group=0)
    Path(text).write_text(str(child.pid))
    os._exit(7)

def talks(image, text):
    print("printed", text)
    sys.stdin.read()
    os.write(1, b"written to 1\\n")
    logging.getLogger("peril").info("logged %s", text)
    warnings.warn("warned", stacklevel=1)

def goes(image, text):
    os.chdir(text)

def says_where(image, text):
    print(os.getcwd())

def floods(image, text):
    for _ in range(3000):
        print("x" * 1000)
    print("the end")

def closes(image, text):
    for number in (0, 1, 2):
        os.close(number)

def closes_and_opens(image, text):
    os.close(1)
    os.close(2)
    sys.stdout.close()
    current_run().products  # nothing
    path = product_path("precious.txt")
    stream = open(path, "w")
    stream.write("precious")
    stream.flush()
    kept.append(stream)

kept = []

def stray_thread(image, text):
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()

def outside(image, text):
    product_path(text)

def full(image, text):
    """A file of a step's own; when the disk is full its errors name no file."""
    with open(product_path("full.bin"), "wb") as stream:
        stream.write(bytes(50_000_000))

'''


@pytest.fixture(scope="session")
def perils(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The module of steps above, importable here and in worker processes."""
    folder = tmp_path_factory.mktemp("modules")
    (folder / "perils.py").write_text(PERILS)
    sys.path.insert(0, str(folder))
    yield importlib.import_module("perils")
    sys.path.remove(str(folder))


class Crowd:
    """A fleet of one worker for all tests of a file, begun by the first that needs it."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self.on_step: Callable[[int, str], None] = lambda job, step: None
        self._fleet: Fleet | None = None

    async def fleet(self) -> Fleet:
        if self._fleet is None:
            limits = {"workers": 1, "memory": 4 * GIB, "limit": GIB}
            self._fleet = Fleet(**limits, on_step=lambda job, step: self.on_step(job, step))
            await self._fleet.start()
        return self._fleet

    def close(self) -> None:
        with self.runner:
            if self._fleet is not None:
                self.runner.run(self._fleet.close())


class Trial:
    """A fleet, and images for it; what is written goes to ``out`` and waits in ``out/.etendue/staging``."""

    def __init__(self, folder: Path, pipeline: Pipeline, crowd: Crowd) -> None:
        self.folder = folder
        self.crowd = crowd
        self.destination = folder / "out"
        self.pipeline = pipeline
        self.chain = pack(pipeline)
        self.numbers = iter(range(1, 10_000))
        self.steps: list[tuple[int, str]] = []

    def fleet(self, **options: Any) -> Fleet:
        limits = {"workers": 1, "memory": 4 * GIB, "limit": GIB, "on_step": lambda *told: self.steps.append(told)}
        return Fleet(**{**limits, **options})

    def frame(self, what: str) -> Path:
        number = next(self.numbers)
        path = self.folder / f"{number:04d}.fits"
        Image(data=np.full((8, 8), number, np.float32), header={"OBJECT": what}).writeto(path)
        return path

    def work(self, path: Path | None, **changes: Any) -> Work:
        job = next(self.numbers)
        staging = self.destination / ".etendue" / "staging" / f"{job}-token"
        staging.mkdir(parents=True)
        facts = None if path is None else path.stat()
        given = {
            "job": job,
            "path": path,
            "chain": self.chain,
            "staging": staging,
            "destination": self.destination,
            "timeout": 60.0,
            "label": "tick" if path is None else path.name,
            "identity": None if facts is None else (facts.st_size, facts.st_mtime_ns),
        }
        return Work(**{**given, **changes})

    def run(self, use: Callable[[Fleet], Awaitable[Any]]) -> Any:
        """Let `use` work with the fleet that all tests share."""

        async def with_fleet() -> Any:
            return await use(await self.crowd.fleet())

        self.crowd.on_step = lambda *told: self.steps.append(told)
        return self.crowd.runner.run(with_fleet())

    def run_alone(self, use: Callable[[Fleet], Awaitable[Any]], **options: Any) -> Any:
        """Let `use` work with a fleet of its own, and close it."""

        async def all_of_it() -> Any:
            fleet = self.fleet(**options)
            await fleet.start()
            try:
                return await use(fleet)
            finally:
                await fleet.close()

        return asyncio.run(all_of_it())


@pytest.fixture(scope="module")
def crowd() -> Iterator[Crowd]:
    """The fleet that tests share: after each of them it is in order, whatever their steps have done."""
    crowd = Crowd()
    yield crowd
    crowd.close()


@pytest.fixture
def trial(perils: ModuleType, crowd: Crowd, tmp_path: Path) -> Trial:
    """A fleet for the chain Peril, Write."""
    return Trial(tmp_path, Pipeline.of(perils.Peril(), perils.Write()), crowd)


def is_running(process: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)


def fill(path: Path) -> None:
    """Write a file until the disk is full."""
    with suppress(OSError), path.open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))
