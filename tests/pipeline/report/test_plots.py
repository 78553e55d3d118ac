"""Plots of a night: every value is drawn where it belongs, and nothing from a file becomes markup."""

import re
import xml.etree.ElementTree as ElementTree
from datetime import UTC, datetime, timedelta

import pytest

from etendue.pipeline.report.plots import HEIGHT, LEFT, RIGHT, WIDTH, Points, plot, styles

START = datetime(2026, 3, 20, 21, tzinfo=UTC)


def points(values, **options):
    times = [START + timedelta(minutes=30 * k) for k in range(len(values))]
    return Points(options.pop("label", ""), times, values, **options)


def circles(drawn):
    root = ElementTree.fromstring(str(drawn.svg))
    return [(float(mark.get("cx")), float(mark.get("cy"))) for mark in root.iter("circle")]


def test_values_are_drawn_in_time_and_upwards():
    (x1, y1), (x2, y2), (x3, y3) = circles(plot("Seeing", "arcsec", [points([1.0, 2.0, 3.0])]))

    assert x2 - x1 == pytest.approx(x3 - x2, abs=0.2)
    assert y1 > y2 > y3
    assert all(LEFT <= x <= WIDTH - RIGHT for x in (x1, x2, x3))
    assert all(0 <= y <= HEIGHT for y in (y1, y2, y3))


def test_magnitudes_grow_downwards():
    (_, y1), (_, y2) = circles(plot("Star", "mag", [points([14.0, 15.0])], downwards=True))

    assert y2 > y1


def test_missing_values_are_left_out():
    drawn = plot("Seeing", "", [points([1.0, float("nan"), 3.0])])

    assert len(circles(drawn)) == 2
    assert "nan" not in str(drawn.svg)


def test_a_constant_and_a_single_value_can_be_drawn():
    assert len(circles(plot("Sky", "", [points([5.0, 5.0, 5.0])]))) == 3
    assert len(circles(plot("Sky", "", [points([0.0])]))) == 1


def test_error_bars_are_inside():
    drawn = plot("Star", "mag", [points([1.0, 1.1], errors=[0.5, 0.5])])

    ends = [
        float(end)
        for path in re.findall(r'd="(M[^"]+)" class="bar"', str(drawn.svg))
        for end in re.findall(r"[ V]([\d.]+)", path)
    ]
    assert len(ends) == 4
    assert all(0 <= end <= HEIGHT for end in ends)


def test_names_from_headers_are_escaped():
    drawn = plot("<b>", "x", [points([1.0, 2.0], names=["<script>", "b"])], summary="")

    assert "<script>" not in str(drawn.svg)
    ElementTree.fromstring(str(drawn.svg))


def test_the_axis_has_a_few_times_of_day():
    drawn = plot("Sky", "", [points(list(range(13)))])  # six hours

    assert re.findall(r">(\d\d:\d\d)<", str(drawn.svg)) == [
        "21:00",
        "22:00",
        "23:00",
        "00:00",
        "01:00",
        "02:00",
        "03:00",
    ]


def test_each_filter_has_its_own_colour_and_shape():
    found = styles(["B", "V", "R", "I", "clear", "Halpha"])

    assert len({color for color, _ in found.values()}) == 6
    assert len({shape for _, shape in found.values()}) == 4
