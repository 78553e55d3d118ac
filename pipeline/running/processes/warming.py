"""Make a worker ready before its first image: libraries loaded, compiled code in place."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ....images import Image
from ....processors import Processor, State
from ...pipeline import Pipeline
from ...step import Step

SIDE = 256
"""Side of the made frame [px]: large enough for the usual meshes of background."""


def warm_up(pipeline: Pipeline, runner: asyncio.Runner) -> float:
    """Take a small made frame through those steps of a chain that can do no harm; their products are thrown away.

    These are the package's own computations. Steps that wait for something outside, and those of plugins, of which
    nobody knows what they move, are left out. A step that cannot do with the frame is passed over.

    Returns
    -------
    float
        How long it took [s].
    """
    from ..one_image import Job, Setting, take_through

    begin = time.perf_counter()
    steps = tuple(_harmless(pipeline))
    with TemporaryDirectory(prefix="etendue-warm-") as folder:
        path = Path(folder) / "frame.fits"
        _frame().writeto(path)
        chain = Pipeline(steps=steps or (_nothing,), read=pipeline.read)  # type: ignore[arg-type]
        setting = Setting(Path(folder) / "products", None, read=pipeline.read, destination=Path(folder) / "products")
        runner.run(take_through(chain, Job(0, path), setting, State()))
    return time.perf_counter() - begin


def _nothing(image: Image) -> Image:
    return image


def _harmless(pipeline: Pipeline) -> Iterator[Step]:
    for step in pipeline.steps:
        if isinstance(step.processor, Pipeline):
            yield from _harmless(step.processor)
        elif is_own_computation(step.processor):
            yield Step(processor=step.processor, name=step.name, on_error="warn")


def is_own_computation(processor: Processor) -> bool:
    """Whether a processor comes with the package and only computes."""
    kind = type(processor)
    own = kind.__module__.startswith("etendue.processors.")
    return own and kind.__call__ is Processor.__call__ and not (kind.composite or kind.sequential)


def _frame() -> Image:
    """A few stars on a sky, as a camera writes them: 16-bit integers."""
    random = np.random.default_rng(1)
    y, x = np.indices((SIDE, SIDE), dtype=np.float32)
    pixels = random.normal(500.0, 10.0, (SIDE, SIDE)).astype(np.float32)
    for x0, y0 in random.uniform(20, SIDE - 20, (12, 2)):
        pixels += 8000.0 * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / 4.0)
    header = {"OBJECT": "star", "EXPTIME": 10.0, "FILTER": "R", "GAIN": 1.5, "DATE-OBS": "2026-01-01T00:00:00"}
    return Image(data=pixels.astype(np.uint16), header=header)
