"""Real nights, reduced as far as their calibrations allow."""

import numpy as np
import pytest

from etendue.images import Image
from etendue.pipeline import parse_pipeline
from etendue.pipeline.night import reduce_night

TRANSIT = """
name: hatp32
night:
  targets: {HAT-P-32: [424, 286]}   # pixel on the first frame: there are no coordinates
  variables: 0
steps:
  - class: Calibration
    on_missing: warn
    bad_pixels: null
    gain: 1.5
    read_noise: 10
  - class: SubtractBackground
  - class: SepSourceDetection
    subtract_background: false
    threshold: 5
  - class: SepPhotometry
    apertures: [2.5, 3, 4]
    annulus: [14, 22]
  - class: MeasureQuality
  - class: Save
"""


def test_a_frame_without_any_master_goes_as_far_as_it_can(shared_data, command, tmp_path):
    """SAAO 1 m: overscan, trim, gain and noise are known; nothing else is."""
    source = shared_data / "raw_night" / "ccdproc" / "a8280271.fits"
    if not source.exists():
        pytest.skip(f"{source} is not there")
    (tmp_path / "night").mkdir()
    (tmp_path / "night" / "a8280271.fits").symlink_to(source)

    refused = command("reduce", "night", "-o", "refused")
    result = command("reduce", "night", "-o", "out", "--set", "steps.Calibration.on_missing=warn")

    assert refused.exit_code == 1
    assert "Calibration: no bias for instrument STE3 CCD" in refused.output
    assert result.exit_code == 0, result.output
    lacking = "without these corrections: bias, dark, flat, bad_pixels, saturation"
    assert f"1 frame {lacking}" in result.output
    assert lacking in (tmp_path / "out" / "report.html").read_text()
    image = Image.from_file(tmp_path / "out" / "reduced" / "a8280271_reduced.fits")
    assert image.header["CALNOT"] == "bias, dark, flat, bad_pixels, saturation"
    assert [image.header[card] for card in ("CALBIAS", "CALDARK", "CALFLAT", "CALBPM")] == ["none"] * 4
    assert image.shape == (520, 512)
    assert image.unit == "electron"
    assert 15 < len(image.catalog) < 60


@pytest.fixture(scope="module")
def hatp32(shared_data, tmp_path_factory):
    """The night of a transit: 48 frames that drift by 270 pixels, without any calibration frame."""
    folder = shared_data / "timeseries" / "hatp32"
    if not folder.exists():
        pytest.skip(f"{folder} is not there")
    output = tmp_path_factory.mktemp("hatp32")
    return reduce_night(folder, parse_pipeline(TRANSIT), output=output, report=output / "report.html")


@pytest.mark.slow
def test_it_is_said_what_was_not_applied(hatp32):
    assert len(hatp32.science.done) == 48
    assert hatp32.notes == ["48 frames without these corrections: bias, dark, flat, saturation"]
    assert "without these corrections: bias, dark, flat" in (hatp32.output / "report.html").read_text()


@pytest.mark.slow
def test_warm_pixels_are_found_by_the_drift_of_the_stars(hatp32):
    (master,) = hatp32.masters

    assert (master.kind, master.status) == ("bad_pixels", "accepted")
    assert 0.001 < master.numbers["bad_fraction"] < 0.05


@pytest.mark.slow
def test_the_transit_has_the_depth_of_the_planet(hatp32):
    """In transit from 3:55 to 6:15 UTC.

    The planet's radius is 0.1508 of the star's (Hartman, J. D. et al. 2011, ApJ 742, 59). It hides 2.3 % of an even
    disk, and up to a sixth more of one that is darker at its limb.
    """
    (curve,) = hatp32.curves
    hours = np.array([time.hour + time.minute / 60 for time in curve.times])
    flux = 10 ** (-0.4 * curve.magnitude)
    known = np.isfinite(flux)
    inside = known & (hours > 4.1) & (hours < 6.1)
    outside = known & ((hours < 3.5) | (hours > 6.5))

    depth = 1 - np.mean(flux[inside]) / np.mean(flux[outside])
    error = np.hypot(*(np.std(flux[part]) / part.sum() ** 0.5 for part in (inside, outside)))

    assert depth > 8 * error
    assert 0.1508**2 - 2.5 * error < depth < 7 / 6 * 0.1508**2 + 2.5 * error
