"""A person decides about a master that differs from the last one."""

import pytest

from etendue.processors.calibration.library import read_entry
from tests.pipeline.web.demo import CHANGE_TOKEN, READ_TOKEN
from tests.pipeline.web.masters import CANDIDATE, LAST, NIGHT, add_candidate


def status_of(observatory):
    return read_entry(observatory.service.settings.nights.library / CANDIDATE).status


@pytest.fixture
def night(observatory, visit):
    """The view of a night with a candidate."""
    add_candidate(observatory.service)
    page = visit(observatory, f"#/nights/{NIGHT}")
    page.get_by_role("button", name="Accept …").wait_for()
    return page


@pytest.mark.parametrize(
    ("word", "status", "then"), [("Accept", "accepted", "accepted"), ("Reject", "rejected", "not built")]
)
def test_it_is_decided_with_both_masters_in_sight(observatory, night, word, status, then):
    night.get_by_role("button", name=f"{word} …").click()
    dialog = night.get_by_role("dialog")
    for name in (CANDIDATE, LAST):
        dialog.get_by_text(name).wait_for()
    for which in ("The new master", "The last accepted master"):
        dialog.get_by_role("img", name=which).wait_for()
    dialog.get_by_text("its illumination differs by up to").wait_for()
    dialog.get_by_text("change of illumination").wait_for()
    dialog.get_by_label("Why").fill("the lamp <b>was</b> new")
    assert status_of(observatory) == "candidate"

    dialog.get_by_role("button", name=f"{word} it").click()

    night.get_by_text(f"flat R was {status}.").wait_for()
    night.locator(".master .state").get_by_text(then, exact=True).wait_for()
    assert night.get_by_role("button", name="Accept …").count() == 0
    assert status_of(observatory) == status
    library = observatory.service.settings.nights.library
    assert "by local: the lamp <b>was</b> new" in str(read_entry(library / CANDIDATE).header["HISTORY"])


def test_whoever_thinks_again_changes_nothing(observatory, night):
    night.get_by_role("button", name="Reject …").click()
    night.get_by_role("dialog").get_by_label("Why").wait_for()

    night.get_by_role("button", name="Cancel").click()

    night.get_by_role("dialog").wait_for(state="detached")
    night.get_by_role("button", name="Reject …").wait_for()
    assert status_of(observatory) == "candidate"


def test_a_token_for_reading_is_not_enough(guarded, visit):
    add_candidate(guarded.service)
    page = visit(guarded, f"#/nights/{NIGHT}", refusals=True)
    page.get_by_role("button", name="Give a token").first.click()
    page.get_by_role("textbox", name="Token").fill(READ_TOKEN)
    page.keyboard.press("Enter")

    page.get_by_role("button", name="Accept …").click()
    page.get_by_role("dialog").get_by_text("change of illumination").wait_for()
    page.get_by_role("button", name="Accept it").click()

    page.get_by_role("dialog").get_by_text("is for reading only").wait_for()
    assert status_of(guarded) == "candidate"
    page.get_by_role("textbox", name="Token").fill(CHANGE_TOKEN)
    page.keyboard.press("Enter")
    page.get_by_text("flat R was accepted.").wait_for()
    assert status_of(guarded) == "accepted"
