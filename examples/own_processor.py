"""A processor of one's own, and a plain function, in one chain.

python examples/own_processor.py
"""

import asyncio

import numpy as np
from pydantic import Field, PositiveFloat

from etendue.images import Image, ImageError
from etendue.processors import Processor
from etendue.processors.simulation import simulate_field


class FlagBright(Processor):
    """Mask the pixels that are far above the median, and say in the header how many there are."""

    reads = {"data", "mask?"}
    writes = {"mask", "header.NBRIGHT"}

    limit: PositiveFloat = Field(50.0, description="distance from the median [standard deviations of the sky]")

    def process(self, image: Image) -> Image:
        good = image.data[np.isfinite(image.data)]
        median = np.median(good) if good.size else np.nan
        sigma = 1.4826 * np.median(np.abs(good - median)) if good.size else np.nan
        if not sigma > 0:
            raise ImageError(f"{image.label} has no noise: a limit in standard deviations means nothing")
        bright = image.data > median + self.limit * sigma
        mask = bright if image.safe_mask is None else bright | (image.mask != 0)
        result = image.replace(mask=mask)
        result.header["NBRIGHT"] = (int(bright.sum()), "pixels far above the median")
        return result


def exposure_rate(image: Image) -> Image:
    """Counts per second."""
    return image if image.exposure_time is None else image / image.exposure_time


async def main() -> None:
    """Take a simulated frame through both."""
    chain = exposure_rate | FlagBright(limit=30)

    image = await chain(simulate_field((256, 256), seed=2))

    print(f"{image.header['NBRIGHT']} of {image.data.size} pixels are masked")
    for activity in image.provenance[-2:]:
        print(f"{activity.step}: {dict(activity.parameters)}")


if __name__ == "__main__":
    asyncio.run(main())
