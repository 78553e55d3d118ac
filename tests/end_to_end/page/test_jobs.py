"""Lists of jobs, and one of them."""

from etendue.pipeline.daemon.queue import JobState, Piece, Record
from tests.pipeline.web.demo_server import HOSTILE


def test_a_failed_job_says_why_and_is_retried(observatory, visit):
    number = observatory.fail("0042.fits")
    page = visit(observatory, f"#/job/{number}")

    trouble = page.locator(".trouble")
    trouble.get_by_text("every pixel is masked").first.wait_for()
    assert "SepSourceDetection" in trouble.inner_text()
    trouble.locator("summary").click()
    trouble.get_by_text("etendue/pipeline/step.py").wait_for()
    page.get_by_role("tab", name="Log").click()
    page.get_by_text("98 % of the pixels are masked").wait_for()
    page.get_by_role("button", name="Retry").click()

    page.locator(".head .state[data-state=queued]").wait_for()
    assert observatory.service.queue.get(number).state == "queued"


def test_a_quiet_end_says_why_and_is_no_alarm(observatory, visit):
    number = observatory.add("0042.fits")
    observatory.service.end(JobState.SKIPPED, Record(step="Select", error="the step returned no image"))
    page = visit(observatory, f"#/job/{number}")

    page.locator(".trouble.quiet").get_by_text("Select: the step returned no image").wait_for()
    assert page.locator(".trouble").get_attribute("role") == "status"


def test_dropping_asks_first(observatory, visit):
    number = observatory.fail("0042.fits")
    page = visit(observatory, f"#/job/{number}")

    page.get_by_role("button", name="Drop").click()
    page.get_by_role("button", name="Cancel").click()
    assert observatory.service.queue.get(number).state == "failed"
    page.get_by_role("button", name="Drop", exact=True).click()
    page.get_by_role("button", name="Drop it").click()

    page.locator(".head .state[data-state=dropped]").wait_for()
    assert observatory.service.queue.get(number).state == "dropped"


def test_all_failures_are_retried_at_once(observatory, visit):
    numbers = [observatory.fail(f"{index}.fits") for index in range(3)]
    page = visit(observatory, "#/jobs?state=failed")

    page.get_by_text("3 jobs").wait_for()
    page.get_by_role("button", name="Retry all").click()
    page.get_by_role("button", name="Retry them").click()

    page.get_by_text("No job fits this filter").wait_for()
    assert all(observatory.service.queue.get(number).state == "queued" for number in numbers)


def test_everything_is_paused_and_goes_on(observatory, visit):
    page = visit(observatory)

    page.get_by_role("button", name="Pause all").click()
    page.get_by_label("Why?").fill("dome is opening")
    page.keyboard.press("Enter")
    alarm = page.locator("#alarms").get_by_text("dome is opening")
    alarm.wait_for()
    assert [pause.reason for pause in observatory.service.queue.paused()] == ["dome is opening"]

    page.locator("#alarms").get_by_role("button", name="Resume").click()
    alarm.wait_for(state="detached")
    assert observatory.service.queue.paused() == []


def test_the_filter_is_in_the_address(busy, visit):
    page = visit(busy, "#/jobs")
    page.get_by_role("searchbox", name="Search").fill("frame-0012")
    page.get_by_text("10 jobs").wait_for()

    page.get_by_role("button", name="failed").click()
    page.get_by_text("1 job", exact=True).wait_for()
    address = page.url
    assert "q=frame-0012" in address
    again = visit(busy, address.split("/", 3)[3])

    again.get_by_text("1 job", exact=True).wait_for()
    assert again.get_by_role("searchbox", name="Search").input_value() == "frame-0012"


def test_names_from_outside_are_text_and_nothing_else(busy, visit):
    page = visit(busy, "#/jobs?q=onerror")
    row = page.locator(".joblist .window .row").first
    row.wait_for()

    assert HOSTILE in row.inner_text()
    row.locator("a").click()
    page.get_by_role("heading", level=1).get_by_text(HOSTILE).wait_for()
    assert page.locator("#main img, #main script").count() == 0
    assert "broken" not in page.title().replace(HOSTILE, "")


def test_html_in_a_header_is_text(busy, visit):
    page = visit(busy, f"#/job/{busy.service.queue.search(_field()).jobs[0].id}?tab=header")

    page.locator("tr", has_text="OBSERVER").get_by_text("<b>O'Brien</b>").wait_for()
    page.get_by_role("searchbox", name="Search in the header").fill("observer")
    assert page.locator(".cards tr:visible").count() == 1


def test_only_rows_in_sight_exist(observatory, visit):
    observatory.service.add_many(600)
    page = visit(observatory, "#/jobs")
    page.get_by_text("600 jobs").wait_for()
    rows = page.locator(".joblist .window .row")
    rows.first.wait_for()

    for _ in range(40):
        page.mouse.wheel(0, 4000)
        page.wait_for_timeout(50)
        if page.get_by_text("frame-00000.fits").count():
            break
    page.get_by_text("frame-00000.fits").wait_for()
    assert rows.count() < 100


def test_what_one_looks_at_stays_while_jobs_come_in(observatory, visit):
    observatory.service.add_many(200)
    page = visit(observatory, "#/jobs")
    page.locator("#live[data-state=live]").wait_for()
    page.locator(".joblist .window .row").first.wait_for()
    page.mouse.wheel(0, 1500)
    looked_at = page.get_by_text("frame-00150.fits")
    looked_at.wait_for()
    page.wait_for_timeout(200)
    before = looked_at.bounding_box()["y"]

    observatory.add("new.fits")

    page.get_by_role("button", name="1 new job above").wait_for()
    assert abs(looked_at.bounding_box()["y"] - before) < 2
    page.get_by_role("button", name="1 new job above").click()
    page.get_by_text("new.fits").wait_for()


def test_the_keyboard_is_enough(busy, visit):
    page = visit(busy)
    page.locator("[data-tile]").first.wait_for()

    page.keyboard.press("2")
    page.locator(".joblist .window .row").first.wait_for()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.locator(".job .head h1").wait_for()
    page.keyboard.press("/")

    page.locator(".joblist").wait_for()
    page.wait_for_function("() => document.activeElement.type === 'search'")


def test_an_old_job_says_what_is_not_there_any_more(observatory, visit):
    service, numbers = observatory.service, []
    for names in (("a.txt", "old.txt"), ("a.txt",)):
        service.add("a.fits", path=service.incoming / "a.fits")
        pieces = tuple(Piece(f"x/{name}", "products", name, 5) for name in names)
        numbers.append(service.end(JobState.DONE, Record(log="hm", timings=(("read", 0.1, "done"),)), pieces))
    service.queue.prune(numbers[:1], 9e9)
    page = visit(observatory, f"#/job/{numbers[0]}")

    page.get_by_role("region", name="What happened").get_by_text("were removed, so long after its end").wait_for()
    outdated = page.get_by_role("region", name="Outdated files (1)")
    assert "old.txt" in outdated.inner_text()
    assert f"job {numbers[1]} has done a newer version of the file" in outdated.inner_text()
    page.get_by_role("tab", name="Log").click()
    assert page.get_by_text("were removed, so long after its end").count() == 2
    page.goto(f"{observatory.address}/#/job/{numbers[1]}")
    page.get_by_role("region", name="What happened").get_by_text("read").wait_for()
    outdated.get_by_role("link", name=f"job {numbers[0]}").wait_for()


def _field():
    from etendue.pipeline.daemon.queue import Filter

    return Filter(text="field-1")
