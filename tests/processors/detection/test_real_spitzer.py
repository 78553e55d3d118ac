"""A crowded infrared mosaic in galactic coordinates, against the catalogue that comes with it."""

import warnings

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table
from scipy.spatial import cKDTree

from etendue.images import Image
from etendue.processors.detection import SepSourceDetection

# Crowded: no smoothing, faint branches count, a high threshold (the bumpy sky lifts the noise), small sky boxes.
DETECT = SepSourceDetection(threshold=3, filter_kernel=None, deblend_cont=1e-4, box_size=24)


def test_the_stars_of_the_catalogue_are_found(shared_data, run):
    folder = shared_data / "science/photutils_datasets"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stars = Table.read(folder / "spitzer_example_catalog.xml")
    truth = SkyCoord(stars["l"], stars["b"], unit="deg", frame="galactic")

    image = run(DETECT, Image.from_file(folder / "spitzer_example_image.fits"))

    catalog = image.catalog
    x, y = image.wcs.world_to_pixel(truth)
    distance, nearest = cKDTree(np.c_[catalog["x"], catalog["y"]]).query(np.c_[x, y])
    found = distance < 1.5
    assert len(stars) == 224
    assert found.sum() >= 220
    assert np.median(distance) < 0.4
    # The catalogue has galactic coordinates, ours are ICRS.
    ours = SkyCoord(catalog["ra"][nearest[found]], catalog["dec"][nearest[found]], unit="deg")
    assert np.median(ours.separation(truth[found]).arcsec) < 0.4 * image.pixel_scale
