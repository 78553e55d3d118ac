"""Headers of real instruments: times, coordinates, geometry."""

import gzip
import warnings
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_area

from etendue.images import Image, ImageError, Section
from etendue.images.keywords import KEYWORDS, header_value


def first_header(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(path) as hdus:
            hdu = next((hdu for hdu in hdus if hdu.is_image and hdu.header.get("NAXIS", 0) >= 2), hdus[0])
            return hdu.header.copy()


def test_times_of_a_night_with_time_zones(shared_data):
    files = sorted((shared_data / "timeseries" / "hatp32").glob("*.gz"))
    assert len(files) == 48
    for path in files:
        header = first_header(path)
        image = Image(header=header)

        # FILENAME is the month, day, hour, minute and second of the start in GMT, give or take a second.
        name = header["FILENAME"].partition(".")[0].removeprefix("HATP-32")
        stamp = datetime.strptime(f"20{name[:2]}-{name[2:]}", "%Y-%m%d%H%M%S").replace(tzinfo=UTC)
        assert image.observation_time is not None
        assert abs(image.observation_time - stamp) < timedelta(seconds=2)
        assert image.exposure_time == 60
        assert image.ra == pytest.approx(31.04, abs=0.7)
        assert image.dec == pytest.approx(46.69, abs=0.7)
        assert image.temperature is not None
        assert -8 < image.temperature < 5


def test_every_property_of_every_header_is_a_value_or_a_clear_error(shared_data):
    paths = [path for pattern in ("*.fits", "*.fits.gz", "*.fz", "*.fit") for path in shared_data.rglob(pattern)]
    seen, unnamed = 0, []
    for path in paths:
        if path.stat().st_size > 30e6 or "transients" in path.parts:
            continue
        try:
            header = first_header(path)
        except (OSError, ValueError, TypeError, KeyError, IndexError, EOFError, gzip.BadGzipFile):
            continue  # astropy cannot read it either: tests/images/io looks at these
        seen += 1
        for name in KEYWORDS:
            try:
                header_value(header, name, label=path.name)
            except ImageError as error:
                unnamed += [] if path.name in str(error) else [str(error)]
        try:
            _ = Image(header=header).wcs
        except ImageError as error:
            unnamed += [] if "celestial coordinates" in str(error) else [str(error)]
    assert unnamed == []
    assert seen > 40


@pytest.mark.parametrize(
    "name",
    [
        "science/panoptes/solved.fits.fz",
        "science/photutils_datasets/spitzer_example_image.fits",
        "raw_night/ccdproc/sip-wcs.fit",
    ],
)
def test_geometry_keeps_sky_positions_of_real_frames(shared_data, name):
    header = first_header(shared_data / name)
    height, width = header.get("ZNAXIS2", header["NAXIS2"]), header.get("ZNAXIS1", header["NAXIS1"])
    image = Image(np.zeros((height, width), np.float32), header)
    x, y = np.array([20.0, width / 2, width - 60.0]), np.array([30.0, height / 3, height - 50.0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        truth = WCS(fits.Header(image.header.cards, copy=True)).celestial
        expected = truth.pixel_to_world(x, y)
        assert image.pixel_scale == pytest.approx(3600 * np.sqrt(proj_plane_pixel_area(truth)), rel=1e-6)
    moves = [
        (image, x, y),
        (image.crop(Section(10, width - 10, 20, height - 5)), x - 10, y - 20),
        (image.bin(3), (x + 0.5) / 3 - 0.5, (y + 0.5) / 3 - 0.5),
        (image.flip(x=True), width - 1 - x, y),
        (image.flip(y=True).bin(2), (x + 0.5) / 2 - 0.5, (height - 1 - y + 0.5) / 2 - 0.5),
        (image.shift(7, -4), x + 7, y - 4),
    ]
    for moved, new_x, new_y in moves:
        wcs = moved.wcs
        assert wcs is not None
        assert wcs.pixel_to_world(new_x, new_y).separation(expected).arcsec.max() < 1e-5


def test_shane_kast_headers(shared_data):
    image = Image(header=first_header(shared_data / "raw_night" / "shane_kast_blue_2015" / "b27.fits.gz"))

    assert image.exposure_time == 1200
    assert image.observation_time is not None
    assert image.observation_time.date().isoformat() in ("2015-05-20", "2015-05-21")
