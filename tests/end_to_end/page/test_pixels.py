"""What is said of the pixel under the pointer: it is the one that one sees there."""

import re

import numpy as np
import pytest
from astropy.coordinates import Angle
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from etendue.images import Image, PixelFlag
from tests.end_to_end.page.conftest import PHONE

WIDTH, HEIGHT = 60, 40
SPOTS = {(7, 3): 1001.0, (50, 5): 2002.0, (9, 33): 3003.0, (31, 22): 4004.0}
"""No two axes, signs or corners can be mixed up without one of these lying elsewhere."""

COORDINATES = {
    "CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "CRVAL1": 150.1, "CRVAL2": -0.01, "CRPIX1": 20.0,
    "CRPIX2": 31.0, "CD1_1": -2e-4, "CD1_2": 1e-4, "CD2_1": 1e-4, "CD2_2": 2e-4, "RADESYS": "ICRS",
    "A_ORDER": 2, "B_ORDER": 2, "A_2_0": 1e-3, "B_1_1": -2e-3,
}  # fmt: skip

BRIGHT = """() => {
    const canvas = document.querySelector('.canvas canvas');
    const ratio = canvas.width / canvas.clientWidth;
    const {data, width} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    const far = 6 * ratio;
    const groups = [];
    for (let at = 0; at < data.length; at += 4) {
        if (data[at] < 200) continue;
        const [x, y] = [at / 4 % width, Math.floor(at / 4 / width)];
        const near = ({left, right, bottom}) => x > left - far && x < right + far && y < bottom + far;
        let group = groups.find(near);
        if (!group) groups.push(group = {left: x, right: x, top: y, bottom: y});
        Object.assign(group, {left: Math.min(group.left, x), right: Math.max(group.right, x), bottom: y});
    }
    const box = canvas.getBoundingClientRect();
    const middle = (from, to) => (from + to + 1) / 2 / ratio;
    return groups.map(({left, right, top, bottom}) =>
        [box.left + middle(left, right), box.top + middle(top, bottom), (right - left + 1) / ratio]);
}"""
"""Middles and widths of the bright squares in the picture [px of the window]: what a person sees, and nothing else."""


@pytest.fixture
def spotted(observatory):
    """A page with an image of four bright pixels, each of which is a source; its number as a job."""
    data = np.zeros((HEIGHT, WIDTH), np.float32)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    for (x, y), value in SPOTS.items():
        data[y, x] = value
    mask[22, 31] = PixelFlag.SATURATED
    columns = zip(*[(float(x), float(y), value, 0.3, 0.3, 0.0) for (x, y), value in SPOTS.items()], strict=True)
    table = Table([*columns], names=("x", "y", "flux", "a", "b", "theta"))
    header = {**COORDINATES, "BUNIT": "electron"}
    path = observatory.service.products / "spots.fits"
    Image(data=data, mask=mask, uncertainty=data / 7, catalog=table, header=header).writeto(path)
    observatory.job = observatory.service.queue.product(observatory.service.add_product(path)).job
    return observatory


def seen(visit, observatory, **options):
    """The page of the image, in which the spots are white and all else is black."""
    page = visit(observatory, f"#/job/{observatory.job}", **options)
    page.get_by_label("Stretch").select_option("linear")
    for name, value in (("Black", "0"), ("White", "500")):
        page.get_by_label(name).fill(value)
        page.get_by_label(name).press("Enter")
    page.get_by_label("Sources").uncheck()
    page.locator(".canvas").scroll_into_view_if_needed()
    page.locator(".canvas canvas[data-complete=true]").wait_for()
    page.wait_for_function(f"() => ({BRIGHT})().length > 0")
    return page


def said_at(page, x, y):
    """What is said when the pointer is at a point of the window: position, value."""
    page.mouse.move(x, y)
    page.locator(".readout .value").wait_for()
    page.wait_for_function("() => document.querySelector('.readout .value')?.textContent.match(/^[1-4]00[1-4] /)")
    place = page.locator(".readout .place").inner_text()
    value = page.locator(".readout .value").inner_text()
    return tuple(map(float, re.findall(r"[xy] ([\d.]+)", place))), value


def drawn(page):
    """Wait until the picture shows the last movement, with all its pixels."""
    page.evaluate("() => new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))")
    page.locator(".canvas canvas[data-complete=true]").wait_for()


def agrees(page):
    """Every bright square that one sees is the pixel that is said of it; how many there are, and how wide."""
    drawn(page)
    spots = page.evaluate(BRIGHT)
    for across, down, _ in spots:
        (x, y), value = said_at(page, across, down)
        column, row = round(x), round(y)
        assert value.startswith(f"{SPOTS[column, row]:g} electron")
        assert (x, y) == pytest.approx((column, row), abs=0.15)
        assert ("saturated" in value) == ((column, row) == (31, 22))
        page.get_by_label("Sources").check()
        page.mouse.click(across, down)
        page.locator(".catalogue .row[aria-selected=true]").wait_for()
        chosen = page.locator(".catalogue .row[aria-selected=true]").inner_text().split()
        assert [float(word) for word in chosen[1:3]] == [column, row]
        page.get_by_label("Sources").uncheck()
        page.keyboard.press("Escape")
    return len(spots), spots[0][2]


@pytest.mark.parametrize("ratio", [1, 2])
def test_picture_value_and_source_agree(spotted, visit, ratio):
    page = seen(visit, spotted, device_scale_factor=ratio)
    count, width = agrees(page)
    assert count == 4

    (across, down, _) = page.evaluate(BRIGHT)[0]  # the topmost: y = 33
    page.mouse.move(across + 20, down + 12)
    page.mouse.wheel(0, -300)
    page.wait_for_function(f"(width) => ({BRIGHT})()[0]?.[2] > 1.2 * width", arg=width)
    assert agrees(page)[0] >= 1

    page.mouse.move(across, down)
    page.mouse.down()
    page.mouse.move(across + 61, down + 37, steps=4)
    page.mouse.up()
    assert agrees(page)[0] >= 1


def test_the_place_on_the_sky_is_said(spotted, visit):
    page = seen(visit, spotted)
    across, down, _ = page.evaluate(BRIGHT)[0]

    (x, y), _ = said_at(page, across, down)

    page.locator(".readout .sky").wait_for()
    words = page.locator(".readout .sky").inner_text().replace("−", "-")
    ra, dec = WCS(fits.Header(COORDINATES)).all_pix2world(x, y, 0)
    found = re.search(r"RA (\S+) (\S+)°\s+Dec (\S+) (\S+)°\s*ICRS", words)
    assert Angle(found[1], "hourangle").deg == pytest.approx(float(ra), abs=0.0051 * 15 / 3600)
    assert Angle(found[3], "deg").deg == pytest.approx(float(dec), abs=0.051 / 3600)
    assert [float(found[2]), float(found[4])] == pytest.approx([float(ra), float(dec)], abs=0.51e-5)


def test_another_plane_has_other_values(spotted, visit):
    page = seen(visit, spotted)
    across, down, _ = page.evaluate(BRIGHT)[0]
    said_at(page, across, down)

    page.get_by_label("Plane").select_option("uncertainty")
    page.mouse.move(across + 1, down)

    page.locator(".readout .value").get_by_text("429").wait_for()  # a seventh
    page.mouse.move(across, 5)
    page.get_by_text("x, y are 0-based").wait_for()


def test_a_tap_says_what_is_there_until_the_next(spotted, visit):
    page = seen(visit, spotted, viewport=PHONE, is_mobile=True, has_touch=True)
    across, down, _ = page.evaluate(BRIGHT)[-1]

    page.touchscreen.tap(across, down)

    said = page.locator(".readout .value")
    said.get_by_text("1001").wait_for()
    page.get_by_role("button", name="Zoom in").tap()
    page.locator(".canvas canvas[data-complete=true]").wait_for()
    assert said.inner_text().startswith("1001 electron")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


def test_the_position_is_said_when_the_daemon_does_not_answer(spotted, visit):
    page = seen(visit, spotted, refusals=True)
    across, down, _ = page.evaluate(BRIGHT)[0]
    page.route("**/pixel?*", lambda route: route.fulfill(status=503, json={"error": "the clerk is away"}))

    page.mouse.move(across, down)

    page.locator(".readout").get_by_text("The clerk is away").wait_for()
    assert re.match(r"x [\d.]+\s+y [\d.]+", page.locator(".readout").inner_text())
    page.unroute("**/pixel?*")
    assert said_at(page, across + 1, down)[1].startswith("3003 electron")


def test_the_daemon_is_asked_for_one_pixel_at_a_time(spotted, visit):
    page = seen(visit, spotted)
    across, down, _ = page.evaluate(BRIGHT)[0]
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "/pixel?" in request.url else None)
    begin = page.evaluate("performance.now()")

    for step in range(150):
        page.mouse.move(across + step, down + step % 7)
    said_at(page, across, down)

    assert 2 <= len(asked) <= 2 + (page.evaluate("performance.now()") - begin) / 100
