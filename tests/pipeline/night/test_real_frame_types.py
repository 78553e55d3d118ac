"""Frames of real cameras: the truth is in the notes that came with them."""

import pytest

from etendue.images.io import read_fits_header
from etendue.pipeline.night.frame_types import classify, why_unknown

KAST = {"b1": "arc", "b11": "flat", "b12": "flat", "b13": "flat", "b21": "bias", "b22": "bias", "b23": "bias",
        "b24": "science", "b27": "science"}  # fmt: skip

OTHERS = {
    "raw_night/ccdproc/a8280271.fits": "science",
    "raw_night/ccdproc/flat-mef.fits": "flat",
    "raw_night/ccdproc/science-mef.fits": "science",
    "raw_night/ccdproc/sip-wcs.fit": "science",
    "odd_fits/msumastro/aspen_trimmed.fit": "flat",
    "odd_fits/msumastro/biastest1.fit": "bias",
    "odd_fits/msumastro/darktest1.fit": "dark",
    "odd_fits/msumastro/celestron_nightscape_10100_astro_fx_v106.fit": "science",
    "odd_fits/msumastro/maximdl_5_21_header.fit": "science",
    "odd_fits/msumastro/maximdl_6_18_header.fit": "science",
    "odd_fits/msumastro/uint16_no_pointing.fit": "science",
    "timeseries/hatp32/HATP-32171220013343.FITS.gz": "science",
}

UNKNOWN = ["odd_fits/msumastro/neon-on-dome-10-sec-high-res-though-scope.fit", "science/panoptes/noheader.fits"]


@pytest.mark.parametrize(("name", "expected"), KAST.items())
def test_kast_whose_obstype_misleads(shared_data, name, expected):
    path = shared_data / "raw_night" / "shane_kast_blue_2015" / f"{name}.fits.gz"

    assert classify(read_fits_header(path)) == expected


@pytest.mark.parametrize(("name", "expected"), OTHERS.items())
def test_frames_of_other_cameras(shared_data, name, expected):
    assert classify(read_fits_header(shared_data / name)) == expected


@pytest.mark.parametrize("name", UNKNOWN)
def test_frames_that_do_not_say_are_unknown(shared_data, name):
    header = read_fits_header(shared_data / name)

    assert classify(header) is None
    assert "no card with the type" in why_unknown(header) or "says neither" in why_unknown(header)
