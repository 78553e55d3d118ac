"""A header that is read alone is that of the image."""

import numpy as np
import pytest
from astropy.io import fits

from etendue.images import Image, ImageError
from etendue.images.io import read_fits_header


@pytest.mark.parametrize("name", ["a.fits", "a.fits.gz", "a.fits.fz"])
def test_it_is_the_header_of_the_image(tmp_path, name):
    path = tmp_path / name
    Image(np.arange(12, dtype=np.float32).reshape(3, 4), {"EXPTIME": 30.0, "OBJECT": "M 31"}).writeto(path)

    header = read_fits_header(path)

    image = Image.from_file(path)
    assert dict(header) == dict(image.header)
    assert (header["NAXIS1"], header["NAXIS2"]) == (4, 3)


def test_of_several_extensions_it_is_that_of_the_data(tmp_path):
    path = tmp_path / "sci.fits"
    science = fits.ImageHDU(np.zeros((2, 5), np.float32), name="SCI")
    science.header["FILTER"] = "R"
    primary = fits.PrimaryHDU()
    primary.header["OBJECT"] = "M 31"
    fits.HDUList([primary, fits.ImageHDU(np.zeros((1, 1)), name="DQ"), science]).writeto(path)

    header = read_fits_header(path)

    assert (header["FILTER"], header["OBJECT"], header["NAXIS1"]) == ("R", "M 31", 5)


def test_without_an_image_it_is_an_error(tmp_path):
    path = tmp_path / "empty.fits"
    fits.PrimaryHDU().writeto(path)

    with pytest.raises(ImageError, match="holds no image"):
        read_fits_header(path)
