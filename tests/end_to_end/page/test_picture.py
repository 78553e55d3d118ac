"""The picture of a product, and its sources."""

import pytest

from etendue.pipeline.daemon.queue import Filter


@pytest.fixture
def picture(busy, visit):
    """The page of a reduced frame, when its picture and sources are there."""
    (job,) = busy.service.queue.search(Filter(text="field-1")).jobs
    page = visit(busy, f"#/job/{job.id}")
    page.locator(".canvas canvas[data-complete=true]").wait_for()
    page.wait_for_function("() => document.querySelector('.canvas canvas').sources !== undefined")
    return page


def position_of(page, index):
    """Where a source is in the window [px]."""
    return page.evaluate(
        """(k) => {
            const canvas = document.querySelector('.canvas canvas');
            const [x, y] = canvas.scene.toScreen(canvas.sources.x[k], canvas.sources.y[k]);
            const box = canvas.getBoundingClientRect();
            return [box.left + x, box.top + y];
        }""",
        index,
    )


def isolated(page):
    """A bright source that has no neighbour, well inside the picture."""
    return page.evaluate(
        """() => {
            const {x, y} = document.querySelector('.canvas canvas').sources;
            return x.findIndex((x0, k) => x0 > 60 && x0 < 450 && y[k] > 60 && y[k] < 450
                && x.every((x1, j) => j === k || Math.hypot(x1 - x0, y[j] - y[k]) > 40));
        }"""
    )


def test_stars_are_where_the_catalogue_has_them(picture):
    """The pixel under a bright source is brighter than the sky beside it, whatever the axes are."""
    k = isolated(picture)
    picture.get_by_label("Sources").uncheck()
    picture.wait_for_timeout(300)
    star, sky = picture.evaluate(
        """(k) => {
            const canvas = document.querySelector('.canvas canvas');
            const [x, y] = canvas.scene.toScreen(canvas.sources.x[k], canvas.sources.y[k]);
            const context = canvas.getContext('2d', {willReadFrequently: true});
            const mean = (left, top) => {
                const pixels = context.getImageData(left - 1, top - 1, 3, 3).data;
                return pixels.reduce((sum, value, i) => i % 4 < 3 ? sum + value / 27 : sum, 0);
            };
            return [mean(x, y), mean(x + 18, y + 18)];
        }""",
        k,
    )

    assert star > 1.5 * sky


def test_a_click_on_a_source_shows_its_row(picture):
    k = isolated(picture)
    number = picture.evaluate("(k) => document.querySelector('.canvas canvas').sources.row[k]", k)
    picture.locator(".canvas").scroll_into_view_if_needed()

    picture.mouse.click(*position_of(picture, k))

    row = picture.locator(f".catalogue .row[data-source='{number}'][aria-selected=true]")
    row.wait_for()
    assert row.is_visible()
    picture.locator("dl.source").get_by_text("flux", exact=True).wait_for()


def test_a_click_on_a_row_shows_its_source(picture):
    row = picture.locator(".catalogue .row").nth(3)
    number = int(row.get_attribute("data-source"))

    row.click()

    k = picture.evaluate("(row) => document.querySelector('.canvas canvas').sources.row.indexOf(row)", number)
    x, y = position_of(picture, k)
    box = picture.locator(".canvas").bounding_box()
    assert abs(x - box["x"] - box["width"] / 2) < 2
    assert abs(y - box["y"] - box["height"] / 2) < 2


def test_the_position_under_the_pointer_is_said(picture):
    box = picture.locator(".canvas").bounding_box()
    picture.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)

    said = picture.locator(".readout")
    said.get_by_text("x ").wait_for()

    numbers = [float(part) for part in said.inner_text().replace("x", "").replace("y", "").split()[:2]]
    assert numbers == pytest.approx([255.5, 255.5], abs=1.5)


def test_the_wheel_zooms_where_the_pointer_is(picture):
    scene = "document.querySelector('.canvas canvas').scene"
    box = picture.locator(".canvas").bounding_box()
    at = [box["width"] * 0.55, box["height"] * 0.4]
    before = picture.evaluate(f"(at) => [{scene}.zoom, ...{scene}.toImage(...at)]", at)

    picture.mouse.move(box["x"] + at[0], box["y"] + at[1])
    picture.mouse.wheel(0, -400)
    picture.wait_for_function(f"(zoom) => {scene}.zoom > zoom * 1.5", arg=before[0])

    after = picture.evaluate(f"(at) => {scene}.toImage(...at)", at)
    assert after == pytest.approx(before[1:], abs=1)


def test_dragging_moves_the_picture_with_the_pointer(picture):
    scene = "document.querySelector('.canvas canvas').scene"
    box = picture.locator(".canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    before = picture.evaluate(f"[{scene}.x, {scene}.y, {scene}.zoom]")

    picture.mouse.move(x, y)
    picture.mouse.down()
    picture.mouse.move(x + 30, y + 20, steps=5)
    picture.mouse.up()

    after = picture.evaluate(f"[{scene}.x, {scene}.y]")
    assert after[0] == pytest.approx(before[0] - 30 / before[2], abs=0.5)
    assert after[1] == pytest.approx(before[1] + 20 / before[2], abs=0.5)


def test_another_stretch_shows_another_picture(picture):
    pixels = "document.querySelector('.canvas canvas').toDataURL()"
    before = picture.evaluate(pixels)

    picture.get_by_label("Stretch").select_option("linear")

    picture.wait_for_function(f"(before) => {pixels} !== before", arg=before)
    picture.get_by_label("White").fill("5000")
    picture.get_by_label("White").press("Enter")
    with picture.expect_response(lambda answer: "high=6000" in answer.url):
        picture.get_by_label("White").fill("6000")
        picture.get_by_label("White").press("Enter")


def test_keys_go_from_source_to_source(picture):
    picture.locator(".canvas canvas").focus()

    picture.keyboard.press("n")
    picture.keyboard.press("n")

    assert picture.locator(".catalogue .row[aria-selected=true]").count() == 1
    assert "#/job/" in picture.url
    picture.keyboard.press("1")
    assert "#/job/" in picture.url
    assert picture.evaluate("document.querySelector('.canvas canvas').scene.zoom") == pytest.approx(1)


def test_products_are_downloaded(picture):
    with picture.expect_download() as download:
        picture.locator(".viewer-head").get_by_role("link", name="Download").click()

    assert download.value.suggested_filename == "field-1_reduced.fits"
