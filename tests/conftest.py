"""What every test may ask for: random numbers, small frames, the real data, and a way to run a processor."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from etendue.images import Image

# A busy machine is no reason to fail: how long a test may take is no property of the code.
# A shell that starts the tests in the background makes them deaf to Ctrl-C, and with them every program that they
# start: those which test Ctrl-C would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("etendue", deadline=None)
settings.load_profile("etendue")

pytest_plugins = ["tests.servers"]

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers, the same in every run."""
    return np.random.default_rng(20260101)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images, ``../shared/data`` beside the repository; the test is skipped where it is absent."""
    if not DATA.is_dir():
        pytest.skip(f"no real images: {DATA} is absent")
    return DATA


@pytest.fixture
def run() -> Callable[..., Any]:
    """``run(processor, image)`` calls a processor and waits for it; a State may follow the image."""

    def run_once(processor: Callable[..., Any], image: Image, *state: Any) -> Any:
        async def call() -> Any:
            return await processor(image, *state)

        return asyncio.run(call())

    return run_once


@pytest.fixture
def make_noise(rng: np.random.Generator) -> Callable[..., Image]:
    """``make_noise(shape=(64, 64), level=100, sigma=5, **planes)``: an image of Gaussian noise [adu]."""

    def make(shape: tuple[int, ...] = (64, 64), level: float = 100.0, sigma: float = 5.0, **planes: Any) -> Image:
        data = rng.normal(level, sigma, shape).astype(np.float32)
        return Image(data=data, header=planes.pop("header", {"EXPTIME": 10.0, "GAIN": 1.5, "FILTER": "R"}), **planes)

    return make


@pytest.fixture
def make_stars(rng: np.random.Generator) -> Callable[..., Image]:
    """``make_stars(positions, fluxes, shape=(64, 64), fwhm=3, level=100, sigma=1, **planes)``.

    Gaussian stars of known total flux [adu] at 0-based `positions` (x, y) on a flat sky with Gaussian noise.
    A star is sampled at the pixel centres, so its flux is right to 1e-4 for fwhm >= 2.
    """

    def make(
        positions: list[tuple[float, float]],
        fluxes: float | list[float] = 10_000.0,
        shape: tuple[int, int] = (64, 64),
        *,
        fwhm: float = 3.0,
        level: float = 100.0,
        sigma: float = 1.0,
        **planes: Any,
    ) -> Image:
        y, x = np.indices(shape, dtype=np.float64)
        width = fwhm / np.sqrt(8 * np.log(2))
        data = rng.normal(level, sigma, shape) if sigma > 0 else np.full(shape, level)
        for (x0, y0), flux in zip(positions, np.broadcast_to(fluxes, len(positions)), strict=True):
            r2 = (x - x0) ** 2 + (y - y0) ** 2
            data += flux / (2 * np.pi * width**2) * np.exp(-r2 / (2 * width**2))
        header = planes.pop("header", {"EXPTIME": 10.0, "GAIN": 1.5, "FILTER": "R"})
        return Image(data=data.astype(np.float32), header=header, **planes)

    return make
