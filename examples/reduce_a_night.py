"""Masters of a simulated night made step by step, put into a library, and a science frame calibrated with them.

`etendue reduce NIGHT` does all of this for a whole night. Files go to the folder given, or to ./small_night.

python examples/reduce_a_night.py [FOLDER]
"""

import asyncio
import sys
from pathlib import Path

import numpy as np

from etendue.images import Image
from etendue.processors.calibration import Calibration
from etendue.processors.calibration.library import CalibrationLibrary
from etendue.processors.combination import (
    bad_pixel_map,
    compare_masters,
    judged,
    master_bias,
    master_dark,
    master_flat,
    photon_transfer,
)
from etendue.processors.simulation import simulate_night


def make_masters(raw: Path, folder: Path) -> CalibrationLibrary:
    """Bias, dark, flat and bad pixels of a night, in a library."""
    biases, darks, flats = (sorted(raw.glob(f"{kind}_*.fits")) for kind in ("bias", "dark", "flat_R"))
    bias = master_bias(biases)
    dark = master_dark(darks, bias=bias)
    flat = master_flat(flats, bias=bias, dark=dark)
    (amplifier,) = photon_transfer(flats, biases)
    print(f"gain {amplifier.gain:.2f} electron/adu, read noise {amplifier.read_noise_electrons:.1f} electron")

    folder.mkdir(parents=True, exist_ok=True)
    library = CalibrationLibrary(folder)
    for master in (bias, dark, flat, bad_pixel_map(dark=dark, flat=flat)):
        # It is used only if it passes, or somebody accepts it; here there is no earlier one to compare it with.
        checked = judged(master, compare_masters(master, None))
        checked.writeto(folder / f"{master.header['IMAGETYP'].replace(' ', '_')}.fits")
    return library


def centre_and_corners(image: Image) -> float:
    """Sky in the corners over that in the centre."""
    good = np.where(image.mask == 0, image.data, np.nan) if image.safe_mask is not None else image.data
    size = min(image.shape)
    edge, half = size // 8, size // 2
    corners = [good[:edge, :edge], good[:edge, size - edge : size], good[size - edge :, :edge]]
    centre = good[half - edge : half + edge, half - edge : half + edge]
    return float(np.nanmedian(np.concatenate(corners, axis=None)) / np.nanmedian(centre))


async def main(folder: Path) -> None:
    """Simulate, build, calibrate, look."""
    raw = folder / "raw"
    simulate_night(raw, frames=1, size=384, biases=7, darks=7, flats=7, filters=["R"])
    library = make_masters(raw, folder / "library")

    frame = Image.from_file(raw / "science_0001.fits")
    for explanation in library.why(frame.header, kinds=["flat"]):
        print(explanation)

    calibrated = await Calibration(library=folder / "library", bad_pixels=None)(frame)
    assert calibrated is not None

    calibrated.writeto(folder / "science_0001_calibrated.fits")
    masters = ", ".join(calibrated.header[card] for card in ("CALBIAS", "CALDARK", "CALFLAT", "CALBPM"))
    print(f"calibrated with {masters}; not applied: {calibrated.header['CALNOT']}")
    counts = frame - calibrated.header["CALOSCAN"]
    print(f"sky in the corners / centre: raw {centre_and_corners(counts):.2f}, ", end="")
    print(f"calibrated {centre_and_corners(calibrated):.2f}")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else "small_night")))
