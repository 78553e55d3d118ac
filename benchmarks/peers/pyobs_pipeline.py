"""pyobs: its SepSourceDetection and SepPhotometry, run in order as its PipelineMixin does."""

import asyncio
from pathlib import Path

from pyobs.images import Image
from pyobs.images.processors.detection import SepSourceDetection
from pyobs.images.processors.photometry import SepPhotometry


class ThreeApertures(SepPhotometry):
    """pyobs always measures eight apertures; here it measures as many as the others."""

    APERTURE_RADII = (6, 10, 16)  # type: ignore[assignment]


async def reduce(frame: Path) -> Image:
    """One image through fresh steps: pyobs' SepPhotometry keeps measuring the first image that it saw."""
    image = Image.from_file(str(frame))
    image.header["CDELT1"] = 1 / 3600
    for step in (SepSourceDetection(), ThreeApertures()):
        image = await step(image)
    return image


def chain(frame: Path, output: Path) -> int:
    """Read, background and detect, three apertures, write."""
    catalog = asyncio.run(reduce(frame)).catalog
    catalog.write(output, format="fits", overwrite=True)
    return len(catalog)
