"""The report of a night: one file that needs nothing else and tells everything."""

import re

import pytest

from etendue.pipeline import parse_pipeline
from etendue.pipeline.night import reduce_night
from etendue.processors.simulation import simulate_night

CHAIN = """
steps:
  - class: Calibration
  - class: SubtractBackground
  - class: SepSourceDetection
    subtract_background: false
  - class: SepPhotometry
    apertures: [3]
    annulus: [10, 16]
  - class: MeasureQuality
  - class: Save
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Of a night with an unknown frame, a damaged one, and one of another filter without flats."""
    folder = tmp_path_factory.mktemp("night")
    raw = folder / "<night> & Co"
    simulate_night(raw, seed=2, frames=9, size=256, biases=4, darks=4, flats=4, filters=("R",))
    from etendue.images import Image

    image = Image.from_file(raw / "science_0003.fits")
    image.header["FILTER"] = "V"
    image.writeto(raw / "science_0003.fits")
    image.header["IMAGETYP"] = "<i>wobble</i>"
    image.writeto(raw / "wobble.fits")
    results = reduce_night(raw, parse_pipeline(CHAIN), output=folder / "out", report=folder / "report.html")
    assert len(results.science.done) == 8
    return (folder / "report.html").read_text()


def test_it_needs_no_other_file(page):
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "<script" not in page


def test_it_is_made_for_a_phone_and_the_dark(page):
    assert 'name="viewport"' in page
    assert "prefers-color-scheme: dark" in page


def test_masters_have_a_picture_and_their_comparison(page):
    assert page.count('<div class="master">') == 4
    assert page.count("first of its kind") == 4
    assert page.count('alt="flat R"') == 1


def test_failures_stand_with_their_reason(page):
    assert "science_0003.fits" in page
    assert re.search(r"no flat .*filter V", page)


def test_unknown_frames_are_listed(page):
    assert "wobble.fits" in page
    assert "a type that no rule knows" in page


@pytest.mark.parametrize("title", ["Seeing", "Sky level", "Limiting magnitude", "Sources", "Airmass"])
def test_the_night_is_drawn(page, title):
    assert re.search(rf"<h3>{title}", page)


def test_what_headers_and_names_say_does_not_become_markup(page):
    assert "<i>wobble" not in page
    assert "<night>" not in page
