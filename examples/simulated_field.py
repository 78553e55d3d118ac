"""Detect and measure the sources of a simulated frame, and compare them with the truth.

python examples/simulated_field.py
"""

import asyncio

import numpy as np
from astropy.table import Table

from etendue.processors.background import SubtractBackground
from etendue.processors.detection import SepSourceDetection
from etendue.processors.photometry import SepPhotometry
from etendue.processors.simulation import simulate_field


def nearest(x: float, y: float, table: Table) -> tuple[int, float]:
    """Row of the source that is nearest to a position, and its distance [px]."""
    distance = np.hypot(table["x"] - x, table["y"] - y)
    row = int(np.argmin(distance))
    return row, float(distance[row])


async def main() -> None:
    """Simulate, reduce, compare."""
    frame = simulate_field((768, 768), seed=4)
    truth = frame.catalog
    chain = SubtractBackground() | SepSourceDetection(threshold=3) | SepPhotometry(apertures=[10])

    image = await chain(frame.replace(catalog=None))

    bright = truth[(truth["type"] == "star") & (truth["mag"] > 15) & (truth["mag"] < 18)]
    inside = (bright["x"] > 20) & (bright["x"] < 748) & (bright["y"] > 20) & (bright["y"] < 748)
    ratios = []
    for star in bright[inside]:
        row, distance = nearest(star["x"], star["y"], image.catalog)
        if distance < 1:
            ratios.append(image.catalog["flux_aper_1"][row] / star["flux_adu"])
    print(f"{len(image.catalog)} sources detected")
    print(f"{len(ratios)} of {inside.sum()} stars of magnitude 15 to 18 found within 1 px of the truth")
    print(f"median of measured / true flux: {np.median(ratios):.3f}")


if __name__ == "__main__":
    asyncio.run(main())
