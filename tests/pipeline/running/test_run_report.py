"""The report: everything a person asks in the morning, in one file that needs nothing else."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from etendue.images import Image
from etendue.pipeline import Pipeline
from etendue.pipeline.report.curves import HEIGHT, curve
from etendue.pipeline.report.thumbnails import MOST, thumbnails
from etendue.pipeline.running import run_pipeline

EVIL = "<script>alert(1)</script>"


class Page(HTMLParser):
    """Tags, addresses and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if value and name in ("src", "href", "action")]

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def page(hazards, make_frames, tmp_path):
    frames = make_frames("NGC 1", EVIL, "bad", "raise", "nothing")
    strange = frames[0].rename(frames[0].with_name("<img src=x onerror=alert(1)>.fits"))
    chain = Pipeline(name=f"night {EVIL}", steps=(hazards.Add(), hazards.Hazard()))
    results = run_pipeline(chain, [strange, *frames[1:]], output=tmp_path / "out", keep=True)
    return Page(results.write_report(tmp_path / "out" / "report.html").read_text())


def test_nothing_that_a_header_or_name_says_becomes_markup(page):
    assert "script" not in page.tags
    assert EVIL in page.text
    assert page.tags.count("img") == 2  # the two thumbnails


def test_it_needs_nothing_from_outside(page):
    assert page.addresses
    assert all(address.startswith("data:image/jpeg;base64,") for address in page.addresses)
    assert "link" not in page.tags
    assert "http" not in re.sub(r"\s", "", page.text)


def test_it_tells_what_failed_where_and_why(page):
    assert "in Hazard" in page.text
    assert "every pixel is masked" in page.text
    assert "no such card" in page.text
    assert "Traceback" in page.text


def test_it_shows_steps_and_chain(page):
    assert "Time per step" in page.text
    assert "Add" in page.text
    assert "numpy " in page.text


def test_pictures_are_few_and_small(hazards, make_frames, tmp_path):
    large = tmp_path / "large.fits"
    Image(data=np.random.default_rng(1).normal(size=(900, 700)).astype(np.float32)).writeto(large)
    results = Pipeline.of(hazards.Add()).run([large, *make_frames(*["a"] * 40)])

    made = thumbnails(results.outcomes)

    assert len(made) == MOST
    assert made[0].name == "large.fits"
    assert made[-1].name == "0039.fits"
    assert max(len(picture.source) for picture in made) < 80_000


def test_a_saved_picture_is_taken_with_its_marks(tmp_path, make_stars):
    from etendue.processors import find_processor

    frame = tmp_path / "stars.fits"
    make_stars([(20, 20)]).writeto(frame)
    results = Pipeline.of(find_processor("SavePicture")()).run([frame], output=tmp_path / "out")

    assert len(thumbnails(results.outcomes)) == 1


def test_a_curve_rises_upwards():
    drawn = curve("FWHM", "px", [2.0, None, 4.0])

    (x0, y0), (x1, y1) = drawn.points
    assert x1 > x0
    assert y1 < y0 < HEIGHT
    assert (drawn.low, drawn.middle, drawn.high) == (2.0, 3.0, 4.0)


def test_a_run_of_nothing_but_failures_has_a_report(hazards, make_frames, tmp_path):
    run_pipeline(
        Pipeline.of(hazards.Hazard()), make_frames("bad"), output=tmp_path / "out", report=tmp_path / "report.html"
    )

    assert "every pixel is masked" in (tmp_path / "report.html").read_text()
