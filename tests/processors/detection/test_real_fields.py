"""Frames of all kinds of cameras go through a chain without a stop, and give a catalogue each."""

import warnings

import numpy as np
import pytest

from etendue.images import Image
from etendue.processors.background import SubtractBackground
from etendue.processors.detection import SepSourceDetection
from etendue.processors.photometry import SepPhotometry

# Folder, fewest and most sources that a frame of it may have.
FIELDS = {
    "science/panoptes": (3, 2000),  # a Bayer matrix at 10"/px, star trails around the pole, a frame without header
    "science/tetra3_widefield": (15, 500),  # TIFF without header
    "timeseries/hatp32": (300, 2000),  # free-format headers, warm pixels, integer sky of 1.4 adu noise
}


@pytest.mark.parametrize("folder", FIELDS)
def test_every_frame_gives_a_catalogue(shared_data, run, folder):
    chain = (SubtractBackground(), SepSourceDetection(threshold=5), SepPhotometry(apertures=[3, 5], annulus=[8, 12]))
    fewest, most = FIELDS[folder]
    paths = sorted(path for path in (shared_data / folder).iterdir() if path.is_file())
    for path in paths:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.from_file(path)
        for step in chain:
            image = run(step, image)
        catalog = image.catalog
        assert fewest <= len(catalog) <= most, path.name
        assert np.isfinite(catalog["flux"]).all(), path.name
        measured = np.isfinite(catalog["flux_aper_1"])
        assert measured.mean() > 0.95, path.name
        assert (catalog["flags_aper_1"][~measured] != 0).all(), path.name
    assert len(paths) == {"science/panoptes": 6, "science/tetra3_widefield": 4, "timeseries/hatp32": 48}[folder]
