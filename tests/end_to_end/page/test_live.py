"""What changes shows up by itself."""

import time

from etendue.pipeline.daemon.queue import JobState, Record


def test_a_new_job_appears_without_reloading(observatory, visit):
    page = visit(observatory, "#/jobs")
    page.get_by_text("No job yet").wait_for()
    page.locator("#live[data-state=live]").wait_for()

    observatory.add("m51-0001.fits")

    row = page.locator(".joblist .window .row")
    row.get_by_text("m51-0001.fits").wait_for()
    assert row.locator(".cell.state").inner_text() == "queued"


def test_a_new_job_is_there_in_a_second(observatory, visit):
    """The best of three: what else the machine does is not the page's fault."""
    page = visit(observatory, "#/jobs")
    page.locator("#live[data-state=live]").wait_for()
    times = []
    for index in range(3):
        begin = time.monotonic()
        observatory.add(f"quick-{index}.fits")
        page.get_by_text(f"quick-{index}.fits").wait_for()
        times.append(time.monotonic() - begin)

    assert min(times) < 1


def test_a_row_follows_its_job(observatory, visit):
    page = visit(observatory, "#/jobs")
    page.locator("#live[data-state=live]").wait_for()
    number = observatory.add("m51-0002.fits")
    page.get_by_text("m51-0002.fits").wait_for()

    observatory.service.end(JobState.DONE, Record(seconds=1.5))
    observatory.tell(number)

    page.locator(".joblist .row[data-state=done]").get_by_text("1.50 s").wait_for()


def test_a_row_leaves_a_filter_that_it_does_not_fit_any_more(observatory, visit):
    number = observatory.add("m51-0003.fits")
    page = visit(observatory, "#/jobs?state=queued")
    page.locator("#live[data-state=live]").wait_for()
    page.get_by_text("m51-0003.fits").wait_for()

    observatory.service.end(JobState.DONE, Record(seconds=1.5))
    observatory.tell(number)

    page.get_by_text("No job fits this filter").wait_for()


def test_numbers_of_now_follow(observatory, visit):
    page = visit(observatory)
    page.locator("#live[data-state=live]").wait_for()

    observatory.fail("broken.fits")

    page.locator("[data-tile=failed] b").get_by_text("1", exact=True).wait_for()
    page.locator(".late").get_by_text("every pixel is masked").wait_for()
    page.wait_for_function("() => document.title.startsWith('(1 failed)')")


def test_the_page_comes_back_when_the_daemon_does(observatory, visit):
    page = visit(observatory, "#/jobs", refusals=True)
    page.locator("#live[data-state=live]").wait_for()

    page.context.set_offline(True)
    page.evaluate("import('/static/core/live.js').then((live) => live.reconnect())")
    page.locator("#live[data-state=lost]").wait_for()
    observatory.service.add("while-away.fits")
    page.context.set_offline(False)

    page.locator("#live[data-state=live]").wait_for()
    page.get_by_text("while-away.fits").wait_for()
