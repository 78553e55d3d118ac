"""A daemon to be measured: folders, a configuration, and `etendue serve` in a process of its own."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import psutil
import yaml

CHAIN = """
name: photometry
steps:
  - class: SubtractBackground
    box_size: 64
  - class: SepSourceDetection
    threshold: 1.5
    minarea: 5
    subtract_background: false
  - class: SepPhotometry
    apertures: [3, 5, 8]
  - class: SaveCatalog
    filename: "{stem}_cat.fits"
"""
"""The chain that benchmarks/chain.py measures one frame at a time."""

PATIENCE = 900.0


class Serving:
    """A running daemon that watches a folder.

    Parameters
    ----------
    folder : Path
        Everything is below it.
    workers : int
        Number of worker processes.
    chain : str
        Text of the chain.
    """

    def __init__(self, folder: Path, *, workers: int = 2, chain: str = CHAIN) -> None:
        self.folder = folder
        self.incoming = folder / "incoming"
        self.products = folder / "products"
        for made in (self.incoming, self.products):
            made.mkdir(parents=True)
        (folder / "chain.yaml").write_text(chain)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        settings = {
            "state": str(folder / "state"),
            "chains": {"photometry": {"file": "chain.yaml"}},
            "destinations": {"products": str(self.products)},
            "sources": [{"watch": str(self.incoming), "chain": "photometry"}],
            "workers": {"count": workers},
            "web": {"port": self._port},
        }
        self._config = folder / "observatory.yaml"
        self._config.write_text(yaml.safe_dump(settings))
        self._log = folder / "daemon.log"

    def __enter__(self) -> Self:
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "etendue", "serve", str(self._config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.wait("the daemon answers", self._answers)
        return self

    def __exit__(self, *exception: object) -> None:
        children = psutil.Process(self.process.pid).children(recursive=True) if self.process.poll() is None else []
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for child in children:
            if child.is_running():
                child.kill()

    def now(self) -> dict[str, Any]:
        """What the daemon says of itself."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/api/now", timeout=30) as answer:
            return json.load(answer)

    def made(self) -> list[os.DirEntry[str]]:
        """The products."""
        return [entry for entry in os.scandir(self.products) if entry.name.endswith(".fits")]

    def wait(self, what: str, happened: Callable[[], Any], *, every: float = 0.1) -> Any:
        """The first true value of `happened()`.

        Raises
        ------
        RuntimeError
            The daemon ended, or it took too long.
        """
        end = time.monotonic() + PATIENCE
        while not (value := happened()):
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{what}: never. The daemon said: {self._log.read_text()[-2000:]}")
            time.sleep(every)
        return value

    def wait_for_products(self, number: int) -> None:
        """Wait until so many products are there.

        Raises
        ------
        RuntimeError
            An image failed, or it took too long.
        """

        def there() -> bool:
            if failed := self.now()["counts"]["failed"]:
                raise RuntimeError(f"{failed} images failed. The daemon said: {self._log.read_text()[-2000:]}")
            return len(self.made()) >= number

        self.wait(f"{number} products", there, every=0.5)

    def clear(self) -> None:
        """Remove products and raw frames."""
        for entry in self.made():
            Path(entry.path).unlink()
        for path in self.incoming.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _answers(self) -> bool:
        try:
            return bool(self.now())
        except OSError:
            return False


def frames_per_second(products: list[Path], *, skip: int) -> float:
    """Rate at which products appear, by the times of their last change, without the first few."""
    times = sorted(path.stat().st_mtime_ns for path in products)
    return (len(times) - 1 - skip) / ((times[-1] - times[skip]) * 1e-9)
