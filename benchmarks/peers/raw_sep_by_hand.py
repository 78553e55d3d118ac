"""Plain numpy and sep from the raw frame: whole-array expressions in float32 with the uncertainty, then sep_by_hand."""

from functools import cache
from pathlib import Path

import numpy as np
from astropy.io import fits
from sep_by_hand import measure, read


@cache
def master(path: Path) -> np.ndarray:
    """A master in float32, read once."""
    return fits.getdata(path).astype(np.float32)


def calibrated(frame: Path) -> tuple[np.ndarray, np.ndarray]:
    """Electrons and their uncertainty."""
    raw, gain = read(frame)
    bias, dark, flat = (master(frame.with_name(f"{kind}.fits")) for kind in ("bias", "dark", "flat"))
    read_noise = fits.getval(frame, "RDNOISE")
    light = raw - bias
    variance = np.maximum(light * np.float32(gain), 0) + np.float32(read_noise**2)
    electrons = (light - dark) * np.float32(gain) / flat
    return electrons, np.sqrt(variance) / flat


def chain(frame: Path, output: Path) -> int:
    """Read, calibrate, background, detect, three apertures, write."""
    electrons, _ = calibrated(frame)
    return measure(electrons, 1.0, output)
