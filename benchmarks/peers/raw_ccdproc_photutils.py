"""ccdproc.ccd_process from the raw frame, with uncertainty; then photutils with segmentation."""

import warnings
from functools import cache
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.utils.exceptions import AstropyWarning
from ccdproc import CCDData, ccd_process
from photutils_segmentation import measure, without_sky


@cache
def master(path: Path) -> CCDData:
    """A master in the unit that ccdproc wants, read once."""
    read = CCDData.read(path, unit="adu")
    if path.stem == "flat":
        return CCDData(read.data, unit="", meta=read.header)
    return CCDData(read.data * read.header["GAIN"], unit="electron", meta=read.header)


def calibrated(frame: Path) -> np.ndarray:
    """Electrons."""
    bias, dark, flat = (master(frame.with_name(f"{kind}.fits")) for kind in ("bias", "dark", "flat"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)
        raw = CCDData.read(frame, unit="adu")
        done = ccd_process(
            raw,
            error=True,
            gain=raw.header["GAIN"] * u.electron / u.adu,
            readnoise=raw.header["RDNOISE"] * u.electron,
            master_bias=bias,
            dark_frame=dark,
            exposure_key="EXPTIME",
            exposure_unit=u.s,
            master_flat=flat,
        )
    return done.data.astype(np.float32)


def chain(frame: Path, output: Path) -> int:
    """Read, calibrate, background, detect with deblending, three apertures, write."""
    return measure(*without_sky(calibrated(frame)), output)
