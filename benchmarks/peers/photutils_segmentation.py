"""ccdproc and photutils: Background2D, detect_sources and deblend_sources, SourceCatalog, aperture_photometry."""

import warnings
from pathlib import Path

import numpy as np
from astropy.convolution import convolve
from astropy.table import hstack
from astropy.utils.exceptions import AstropyWarning
from ccdproc import CCDData
from photutils.aperture import CircularAperture, aperture_photometry
from photutils.background import Background2D, SExtractorBackground
from photutils.segmentation import SourceCatalog, deblend_sources, detect_sources, make_2dgaussian_kernel

RADII = (3.0, 5.0, 8.0)


def background_subtracted(frame: Path) -> tuple[np.ndarray, float]:
    """Pixels without the sky, and the noise of the sky."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)
        ccd = CCDData.read(frame, unit="adu")
    return without_sky(ccd.data.astype(np.float32))


def without_sky(data: np.ndarray) -> tuple[np.ndarray, float]:
    """Pixels without the sky, and the noise of the sky."""
    sky = Background2D(data, 64, filter_size=3, bkg_estimator=SExtractorBackground())
    return data - sky.background, float(sky.background_rms_median)


def chain(frame: Path, output: Path) -> int:
    """Read, background, detect with deblending, three apertures, write."""
    return measure(*background_subtracted(frame), output)


def measure(data: np.ndarray, rms: float, output: Path) -> int:
    """Detect with deblending, three apertures, write."""
    smooth = convolve(data, make_2dgaussian_kernel(2.0, size=3))
    segments = detect_sources(smooth, 1.5 * rms, n_pixels=5)
    segments = deblend_sources(smooth, segments, n_pixels=5, n_levels=32, contrast=0.005, progress_bar=False)
    catalog = SourceCatalog(data, segments, convolved_data=smooth, error=np.full_like(data, rms))
    columns = ["label", "x_centroid", "y_centroid", "segment_flux", "kron_flux", "semimajor_axis", "semiminor_axis"]
    table = catalog.to_table(columns=columns)
    positions = np.column_stack([table["x_centroid"], table["y_centroid"]])
    apertures = [CircularAperture(positions, radius) for radius in RADII]
    fluxes = aperture_photometry(data, apertures, error=np.full_like(data, rms))
    result = hstack([table, fluxes], metadata_conflicts="silent")
    result.meta.clear()  # photutils puts there what FITS headers cannot hold
    result.write(output, format="fits", overwrite=True)
    return len(result)
