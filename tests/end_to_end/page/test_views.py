"""All views: on a desk, on a phone, in the dark; without complaints of the browser and without internet."""

import time

from tests.end_to_end.page.conftest import PHONE
from tests.pipeline.web.demo_server import READ_TOKEN

VIEWS = {
    "now": ("#/now", "[data-tile=done]"),
    "jobs": ("#/jobs", ".joblist .window .row"),
    "nights": ("#/nights", ".card"),
    "night": ("#/nights/2026-03-20", ".plot"),
    "chains": ("#/chains", ".card"),
    "chain": ("#/chains/photometry", ".graph .node"),
    "editor": ("#/chains/photometry/edit", ".verdict .good"),
    "system": ("#/system", ".facts"),
    "job": ("#/job/301", ".canvas canvas[data-complete=true]"),
    "unknown": ("#/nowhere", "[data-tile=done]"),
}


def test_every_view_shows_what_it_is_for(busy, visit):
    page = visit(busy)
    for view, what in VIEWS.values():
        page.evaluate("(view) => { location.hash = view; }", view)
        page.locator(what).first.wait_for()


def test_a_phone_needs_no_sideways_scrolling(busy, visit):
    page = visit(busy, viewport=PHONE, is_mobile=True, has_touch=True, color_scheme="dark")
    wide = {}
    for name, (view, what) in VIEWS.items():
        page.evaluate("(view) => { location.hash = view; }", view)
        page.locator(what).first.wait_for()
        wide[name] = page.evaluate("document.documentElement.scrollWidth")

    assert wide == dict.fromkeys(VIEWS, PHONE["width"])


def test_the_colours_are_those_of_the_device_until_one_is_chosen(busy, visit):
    page = visit(busy, "#/system", color_scheme="dark")
    shade = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(shade)

    page.get_by_label("Colours").last.select_option("light")

    assert page.evaluate(shade) != dark
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "light"


def test_a_held_destination_stands_above_every_view(observatory, visit):
    since = time.time() - 300
    held = {"destination": "web", "reason": "<b>no room</b> on /data/web", "since": since, "jobs": 41}
    observatory.service.held = [held]
    page = visit(observatory, "#/jobs")

    words = "Destination web is held: <b>no room</b> on /data/web (41 jobs wait for it, all others go on; noticed 5 min"
    page.get_by_role("alert").filter(has_text=words).wait_for()


def test_files_that_are_not_complete_are_shown_with_their_source(busy, visit):
    source = visit(busy).locator(".thing", has_text="incoming").first

    source.get_by_text("2 files are not complete yet").wait_for()
    assert source.locator("ul.notes li").all_inner_texts() == ["cut.fits: truncated: the file ends at byte 5000"]


def test_nothing_is_there_yet(observatory, visit):
    page = visit(observatory)
    page.get_by_text("No failure waits for a person.").wait_for()
    for view, sentence in (("#/jobs", "No job yet."), ("#/nights", "No night yet.")):
        page.goto(f"{observatory.address}/{view}")
        page.get_by_text(sentence).wait_for()


def test_what_is_not_there_is_said(busy, visit):
    page = visit(busy, refusals=True)
    for view, sentence in {
        "#/job/999999": "no job 999999",
        "#/job/x": "There is no job 'x'",
        "#/chains/none": "There is no chain 'none'",
        "#/nights/yesterday": "A night is called like",
    }.items():
        page.evaluate("(view) => { location.hash = view; }", view)
        page.locator("#main").get_by_text(sentence).wait_for()


def test_without_a_token_nothing_is_seen(guarded, visit):
    guarded.fail("secret.fits")
    page = visit(guarded, "#/jobs", refusals=True)

    page.get_by_role("button", name="Give a token").first.wait_for()
    page.locator("#live").get_by_text("token needed").wait_for()

    assert "secret" not in page.content()


def test_a_wrong_token_is_told_and_the_enter_key_gives_a_right_one(guarded, visit):
    guarded.fail("secret.fits")
    page = visit(guarded, "#/jobs", refusals=True)

    for token, seen in (("wrong", "Nobody has this token"), (READ_TOKEN, "secret.fits")):
        page.get_by_role("button", name="Give a token").first.click()
        page.get_by_role("textbox", name="Token").fill(token)
        page.keyboard.press("Enter")
        page.locator("#main").get_by_text(seen).first.wait_for()


def test_numbers_for_programs_are_a_click_away_with_a_token(guarded, visit):
    page = visit(guarded, "#/system", refusals=True)
    page.get_by_role("button", name="Give a token").first.click()
    page.get_by_role("textbox", name="Token").fill(READ_TOKEN)
    page.keyboard.press("Enter")

    with page.expect_popup() as opened:
        page.get_by_role("link", name="/metrics").click()

    opened.value.get_by_text("etendue_info").first.wait_for()


def test_a_file_is_sent_from_the_page(observatory, visit, tmp_path):
    file = tmp_path / "from-the-page.fits"
    file.write_bytes(b"SIMPLE  =")
    page = visit(observatory)

    page.locator("input[type=file]").set_input_files(file)

    page.get_by_text("from-the-page.fits was taken.").wait_for()
    assert observatory.service.uploads[0][:3] == ("camera", "from-the-page.fits", b"SIMPLE  =")


def test_every_module_is_named_by_another(repository):
    """No file of the page lies idle."""
    static = repository / "pipeline" / "web" / "static"
    text = "".join(path.read_text() for path in static.rglob("*") if path.suffix in (".js", ".html"))

    idle = [path.name for path in static.rglob("*.*") if path.name not in text and path.name != "index.html"]

    assert idle == []
