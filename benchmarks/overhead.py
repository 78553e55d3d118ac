"""What the framework costs per step: an image with a 120-card header through steps that do next to nothing."""

import asyncio
import statistics
import time
from typing import Any

import numpy as np

from etendue.images import Image
from etendue.pipeline import Pipeline
from etendue.processors import Processor, RunContext, compute_inline, run_context

AIM = 100.0
"""Microseconds per step that a chain may cost."""

STEPS = 20


class Passing(Processor):
    """Returns its image: what remains is the framework."""

    def process(self, image: Image) -> Image:
        """The image as it is."""
        return image


class Waiting(Processor):
    """Returns its image from the event loop, without a thread."""

    async def __call__(self, image: Image) -> Image:  # type: ignore[override]
        """The image as it is."""
        return image


class Marking(Processor):
    """Writes a header card, so that the shared header is copied."""

    async def __call__(self, image: Image) -> Image:  # type: ignore[override]
        """A copy of the image with one more card."""
        marked = image.copy()
        marked.header["MARKED"] = True
        return marked


def processor_shares(processor: Processor) -> bool:
    """Whether the processor leaves the header alone: the aim holds for such steps."""
    return not isinstance(processor, Marking)


def frame() -> Image:
    """A frame with 120 header cards."""
    return Image(data=np.ones((64, 64), dtype=np.float32), header={f"KEY{k:03d}": k * 1.5 for k in range(118)})


def per_step(processor: Processor, *, inline: bool, rounds: int) -> list[float]:
    """Time per step in each round [us]."""
    pipeline = Pipeline(steps=[processor] * STEPS)  # type: ignore[arg-type]
    image = frame()

    async def measure() -> list[float]:
        times = []
        for _ in range(rounds):
            with run_context(RunContext()):
                begin = time.perf_counter()
                await pipeline(image)
                times.append((time.perf_counter() - begin) / STEPS * 1e6)
        return times

    if not inline:
        return asyncio.run(measure())
    with compute_inline():
        return asyncio.run(measure())


def header_copy(rounds: int) -> list[float]:
    """Time of one copy of the header, for comparison [us]."""
    header = frame().header
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        super(type(header), header).copy()
        times.append((time.perf_counter() - begin) * 1e6)
    return times


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Measure; one row for each kind of step."""
    rounds = 30 if quick else 300
    kinds = {
        "computation, in a worker process": (Passing(), True),
        "computation, in a thread": (Passing(), False),
        "coroutine": (Waiting(), False),
        "coroutine that writes a header card": (Marking(), False),
    }
    rows = []
    for what, (processor, inline) in kinds.items():
        per_step(processor, inline=inline, rounds=3)
        times = per_step(processor, inline=inline, rounds=rounds)
        rows.append(
            {
                "what": what,
                "min_us": round(min(times), 1),
                "median_us": round(statistics.median(times), 1),
                "aim_us": AIM if processor_shares(processor) else None,
            }
        )
    copies = header_copy(rounds)
    rows.append(
        {
            "what": "for comparison: one copy of the header by astropy",
            "min_us": round(min(copies), 1),
            "median_us": round(statistics.median(copies), 1),
        }
    )
    return rows


if __name__ == "__main__":
    for row in run(quick=True):
        print(row)
