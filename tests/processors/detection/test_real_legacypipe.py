"""Survey frames of three cameras with flags and weights in files beside them, against Gaia."""

import warnings

import numpy as np
import pytest
from astropy.table import Table, vstack
from scipy.spatial import cKDTree

from etendue.images import Image, PixelFlag
from etendue.processors.detection import SepSourceDetection
from etendue.processors.photometry import SepPhotometry

FRAMES = [
    "testcase4/c4d_170316_062107_ooi_z_ls9.N2.fits",
    "testcase8/c4d_171113_060340_ooi_r_ls9.N6.fits",
    "mzlsbass2/k4m_160319_075112_ooi_zd_ls9.CCD3.fits",
    "mzlsbass2/ksb_170430_055945_ooi_r_ls9.CCD4.fits",
    "mzlsbass2/ksb_180313_081856_ooi_g_ls9.CCD4.fits",
]


def gaia_stars(image: Image, folder) -> tuple[np.ndarray, np.ndarray]:
    """0-based positions of Gaia's stars that lie well on the frame, moved to the time of the exposure.

    A large astrometric excess noise means a galaxy's nucleus or a double star: testcase8 is centred on a galaxy.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gaia = vstack([Table.read(chunk) for chunk in sorted(folder.glob("chunk-*.fits"))], metadata_conflicts="silent")
    column = {name: np.ma.filled(np.ma.asarray(gaia[name], dtype=float), np.nan) for name in gaia.colnames}
    years = image.observation_time.year + image.observation_time.timetuple().tm_yday / 365 - column["ref_epoch"]
    dec = column["dec"] + np.nan_to_num(column["pmdec"]) * years / 3.6e6
    ra = column["ra"] + np.nan_to_num(column["pmra"]) * years / 3.6e6 / np.cos(np.radians(dec))
    x, y = image.wcs.all_world2pix(ra, dec, 0)
    height, width = image.shape
    star = (column["astrometric_excess_noise"] < 2) & (column["phot_g_mean_mag"] < 20.5)
    here = star & (x > 5) & (y > 5) & (x < width - 6) & (y < height - 6)
    return x[here], y[here]


@pytest.mark.parametrize("name", FRAMES)
def test_stars_lie_where_gaia_has_them(shared_data, run, name):
    path = shared_data / "science/legacypipe" / name
    image = Image.from_file(path, layout="community_pipeline")
    x, y = gaia_stars(image, path.parent)

    catalog = run(SepSourceDetection(), image).catalog

    distance, _ = cKDTree(np.c_[catalog["x"], catalog["y"]]).query(np.c_[x, y])
    assert len(x) >= 2
    assert np.median(distance) < 0.3


def test_flags_and_weights_take_part(shared_data, run):
    path = shared_data / "science/legacypipe" / FRAMES[0]
    image = Image.from_file(path, layout="community_pipeline")

    measured = run(SepPhotometry(apertures=[4], annulus=[8, 12]), run(SepSourceDetection(use_uncertainty=True), image))

    catalog = measured.catalog
    assert (image.mask & PixelFlag.COSMIC_RAY).any()
    # An error of the weights' size: 28 adu per pixel in the median.
    sky = np.nanmedian(image.uncertainty) * np.sqrt(np.pi * 16)
    assert np.nanmedian(catalog["flux_err_aper_1"]) == pytest.approx(sky, rel=0.2)
    touched = [
        image.mask[max(round(y) - 3, 0) : round(y) + 4, max(round(x) - 3, 0) : round(x) + 4].any()
        for x, y in catalog.iterrows("x", "y")
    ]
    assert not np.any(np.logical_and(touched, catalog["flags_aper_1"] & (32 | 64) == 0))
