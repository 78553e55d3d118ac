"""Etendue: the chain of this benchmark in Python, run as `etendue run` runs it in a worker (without the journal)."""

import asyncio
from pathlib import Path

from etendue.images import Image
from etendue.pipeline import Pipeline
from etendue.processors import RunContext, compute_inline, run_context
from etendue.processors.background import SubtractBackground
from etendue.processors.detection import SepSourceDetection
from etendue.processors.output import SaveCatalog
from etendue.processors.photometry import SepPhotometry


def pipeline(output: str) -> Pipeline:
    """Background, detect, three apertures, write."""
    return Pipeline.of(
        SubtractBackground(box_size=64),
        SepSourceDetection(threshold=1.5, minarea=5, subtract_background=False),
        SepPhotometry(apertures=[3, 5, 8]),
        SaveCatalog(filename=output),
    )


def chain(frame: Path, output: Path) -> int:
    """Read, background, detect, three apertures, write, with checks and provenance."""
    return take_through(pipeline(output.name), frame, output)


def take_through(steps: Pipeline, frame: Path, output: Path) -> int:
    """Take a frame through a chain as a worker does, and count the sources."""

    async def one_image() -> Image | None:
        return await steps(Image.from_file(frame))

    with run_context(RunContext(output=output.parent, source=frame)), compute_inline():
        image = asyncio.run(one_image())
    assert image is not None
    return len(image.catalog)
