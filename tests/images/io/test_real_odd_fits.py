"""Files that break readers: each is read with the pixels that astropy gives, or refused with a reason."""

import re
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from etendue.images import ImageError
from etendue.images.io import read_file

ODD = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "odd_fits"
FILES = sorted(path for path in ODD.glob("**/*") if path.is_file())

pytestmark = [
    pytest.mark.skipif(not FILES, reason="no odd files: ../shared/data/odd_fits is absent"),
    pytest.mark.filterwarnings("ignore"),
]


def images_of_astropy(path):
    """All images of a file with their numbers, as astropy reads them; None if it does not."""
    try:
        with warnings.catch_warnings(), fits.open(path, memmap=False) as hdus:
            warnings.simplefilter("ignore")
            return {
                index: np.array(hdu.data)
                for index, hdu in enumerate(hdus)
                if hdu.is_image and not isinstance(hdu, fits.GroupsHDU) and hdu.data is not None and hdu.data.size
            }
    except (OSError, ImportError):
        return None


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_read_like_astropy_or_refused_with_a_reason(path):
    expected = images_of_astropy(path)
    if not any(squeezed(pixels).ndim in (2, 3) for pixels in (expected or {}).values()):
        with pytest.raises(ImageError, match=re.escape(path.name)):
            read_file(path)
        return
    started = time.perf_counter()
    planes = read_file(path, dtype=None)

    assert time.perf_counter() - started < 5
    first = squeezed(next(iter(expected.values())))
    assert planes.data.dtype == first.dtype.newbyteorder("=")
    assert np.array_equal(planes.data, first, equal_nan=first.dtype.kind == "f")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_image_of_a_file_can_be_chosen(path):
    for index, expected in (images_of_astropy(path) or {}).items():
        if squeezed(expected).ndim in (2, 3):
            pixels = read_file(path, data=index, mask=False, uncertainty=False).data
            assert np.array_equal(pixels, squeezed(expected).astype(np.float32), equal_nan=True)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_values_in_the_primary_header_are_those_of_astropy(path):
    if 0 not in (images_of_astropy(path) or {}):
        return
    header = read_file(path).header
    primary = fits.getheader(path)
    for keyword in ("OBJECT", "EXPTIME", "DATE-OBS", "FILTER", "INSTRUME", "CRVAL1"):
        assert header.get(keyword) == primary.get(keyword)


def squeezed(pixels):
    while pixels.ndim > 2 and pixels.shape[0] == 1:
        pixels = pixels[0]
    return pixels
