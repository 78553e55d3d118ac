"""Etendue from the raw frame: Calibration before the steps of etendue_chain."""

from pathlib import Path

from etendue_chain import pipeline, take_through

from etendue.processors.calibration import Calibration


def chain(frame: Path, output: Path) -> int:
    """Read, calibrate, background, detect, three apertures, write."""
    masters = {kind: frame.with_name(f"{kind}.fits") for kind in ("bias", "dark", "flat")}
    return take_through(Calibration(**masters) | pipeline(output.name), frame, output)
