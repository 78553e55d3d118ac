"""numpy, then the program SExtractor: the calibrated frame goes to it in a file."""

from pathlib import Path

from astropy.io import fits
from raw_sep_by_hand import calibrated
from source_extractor import chain as measure


def chain(frame: Path, output: Path) -> int:
    """Read, calibrate, write, then background, detect, three apertures in the program."""
    electrons, _ = calibrated(frame)
    reduced = output.with_suffix(".reduced.fits")
    fits.writeto(reduced, electrons, overwrite=True)
    return measure(reduced, output)
