"""Frames of real observatories and microscopes are read as what they are."""

import numpy as np
import pytest
from astropy.io import fits

from etendue.images.flags import PixelFlag
from etendue.images.io import read_file

EXPOSURES = [
    "testcase4/c4d_170316_062107_ooi_z_ls9.N2.fits",
    "testcase8/c4d_171113_060340_ooi_r_ls9.N6.fits",
    "mzlsbass2/k4m_160319_075112_ooi_zd_ls9.CCD3.fits",
    "mzlsbass2/ksb_170430_055945_ooi_r_ls9.CCD4.fits",
    "mzlsbass2/ksb_180313_081856_ooi_g_ls9.CCD4.fits",
]


@pytest.mark.parametrize("exposure", EXPOSURES)
def test_image_flags_and_weights_of_the_community_pipeline(shared_data, exposure):
    path = shared_data / "science" / "legacypipe" / exposure
    codes = fits.getdata(path.with_name(path.name.replace("_ooi_", "_ood_")))
    weights = fits.getdata(path.with_name(path.name.replace("_ooi_", "_oow_"))).astype(np.float64)

    planes = read_file(path, layout="community_pipeline")

    assert np.array_equal(planes.data, fits.getdata(path))
    good = weights > 0
    assert np.allclose(planes.uncertainty[good], weights[good] ** -0.5, rtol=1e-6)
    assert np.isinf(planes.uncertainty[~good]).all()
    assert np.array_equal(planes.mask != 0, (codes != 0) | ~good)
    assert np.array_equal((planes.mask & PixelFlag.COSMIC_RAY) != 0, codes == 5)
    assert np.array_equal((planes.mask & PixelFlag.NO_DATA) != 0, (codes == 2) | ~good)
    assert "EXPTIME" in planes.header


def test_uncertainty_is_the_scatter_of_the_sky(shared_data):
    path = shared_data / "science" / "legacypipe" / "mzlsbass2" / "k4m_160319_075112_ooi_zd_ls9.CCD3.fits"
    planes = read_file(path, layout="community_pipeline")

    scatter = np.diff(planes.data, axis=1) / np.sqrt(2)
    robust = 1.4826 * np.median(abs(scatter - np.median(scatter)))

    assert np.median(planes.uncertainty) == pytest.approx(robust, rel=0.2)


@pytest.mark.parametrize("name", ["unsolved.fits", "solved.fits.fz", "noheader.fits", "pole.fits", "tiny.fits"])
def test_panoptes(shared_data, name):
    path = shared_data / "science" / "panoptes" / name
    with fits.open(path) as hdus:
        hdu = next(hdu for hdu in hdus if hdu.data is not None)
        pixels, exposure_time = hdu.data, hdu.header.get("EXPTIME")

    planes = read_file(path)

    assert np.array_equal(planes.data, pixels)
    assert planes.header.get("EXPTIME") == exposure_time


def test_solved_frame_keeps_its_coordinates(shared_data):
    header = read_file(shared_data / "science" / "panoptes" / "solved.fits.fz").header

    assert header["CTYPE1"].startswith("RA---TAN")
    assert not any(keyword.startswith(("ZNAXIS", "TFORM", "TTYPE", "ZCMPTYPE")) for keyword in header)


def test_wide_field_tiff(shared_data):
    import tifffile

    for path in sorted((shared_data / "science" / "tetra3_widefield").glob("*.tiff")):
        planes = read_file(path)
        assert planes.data.shape == (768, 1024)
        assert np.array_equal(planes.data, tifffile.imread(path))


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("astrocast/sample_1.tiff", (75, 100, 100)),
        ("sima/example.tif", (20, 128, 256)),
        ("pystackreg/pc12-unreg.tif", (5, 201, 199)),
    ],
)
def test_movies_of_microscopes(shared_data, name, shape):
    planes = read_file(shared_data / "microscopy" / name)

    assert (planes.data.shape, planes.axes) == (shape, "TYX")


def test_a_night_of_free_format_headers(shared_data):
    paths = sorted((shared_data / "timeseries" / "hatp32").glob("*.gz"))
    assert len(paths) == 48
    for path in paths[::6]:
        planes = read_file(path)
        assert np.array_equal(planes.data, fits.getdata(path))
        assert planes.header["EXPTIME"] == 60
        assert planes.header["DATE-OBS"].startswith("2017-12-")


def test_raw_spectra_of_the_shane(shared_data):
    for path in sorted((shared_data / "raw_night" / "shane_kast_blue_2015").glob("*.gz")):
        planes = read_file(path)
        assert planes.data.shape == (350, 2112)
        assert np.array_equal(planes.data, fits.getdata(path))
        assert planes.header["COVER"] == 32
