"""ccdproc and photutils: Background2D, DAOStarFinder, aperture_photometry."""

from pathlib import Path

import numpy as np
from astropy.table import hstack
from photutils.aperture import CircularAperture, aperture_photometry
from photutils.detection import DAOStarFinder
from photutils_segmentation import RADII, background_subtracted


def chain(frame: Path, output: Path) -> int:
    """Read, background, detect stars, three apertures, write."""
    return measure(*background_subtracted(frame), output)


def measure(data: np.ndarray, rms: float, output: Path) -> int:
    """Detect stars, three apertures, write."""
    table = DAOStarFinder(threshold=5 * rms, fwhm=3.2)(data)
    if table is None:
        return 0
    positions = np.column_stack([table["x_centroid"], table["y_centroid"]])
    apertures = [CircularAperture(positions, radius) for radius in RADII]
    fluxes = aperture_photometry(data, apertures, error=np.full_like(data, rms))
    result = hstack([table, fluxes], metadata_conflicts="silent")
    result.meta.clear()  # photutils puts there what FITS headers cannot hold
    result.write(output, format="fits", overwrite=True)
    return len(table)
