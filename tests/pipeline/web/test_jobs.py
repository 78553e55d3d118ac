"""Jobs on the page: lists, one of them, and what a person does about them."""

import time
from typing import Any

import pytest

from etendue.pipeline.daemon.queue import JobState, Piece, Record
from etendue.pipeline.web.board import night_began
from tests.pipeline.web.demo import HOSTILE, TRACEBACK, DemoService


def failed(service: DemoService, label: str = "0042.fits", **record: Any) -> int:
    service.add(label)
    return service.end(JobState.FAILED, Record(error="every pixel is masked", traceback=TRACEBACK, **record))


def test_newest_jobs_come_first_page_by_page(service: DemoService, page: Any):
    numbers = [service.add(f"{index}.fits") for index in range(7)]

    seen, before = [], None
    while True:
        answer = page.get("/api/jobs", params={"limit": 3} | ({"before": before} if before else {})).json()
        seen.append([job["id"] for job in answer["jobs"]])
        before = answer["next"]
        if before is None:
            break

    assert [len(ids) for ids in seen] == [3, 3, 1]
    assert [number for ids in seen for number in ids] == numbers[::-1]
    assert answer["total"] == 7


def test_a_filter_chooses(service: DemoService, page: Any):
    number = failed(service, "a.fits")
    service.add("b.fits")
    service.add("M51.fits", chain="quicklook", night="2026-03-20")

    assert [job["id"] for job in page.get("/api/jobs?state=failed").json()["jobs"]] == [number]
    assert page.get("/api/jobs?state=failed&state=queued").json()["total"] == 3
    assert page.get("/api/jobs?chain=quicklook&night=2026-03-20&q=m51").json()["total"] == 1
    assert page.get("/api/jobs?q=masked").json()["total"] == 1


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=100000", "state=lost", "night=tonight", "limit=2&limit=3", "colour=red", "before=x", "q=%00"],
)
def test_a_wrong_question_is_told_so(page: Any, query: str):
    answer = page.get(f"/api/jobs?{query}")

    assert answer.status_code == 422
    assert answer.json()["error"]


def test_everything_about_a_failed_job(service: DemoService, page: Any):
    number = failed(service, step="SepSourceDetection", log="careful\n", timings=(("read", 0.1, "done"),))

    job = page.get(f"/api/jobs/{number}").json()

    assert (job["state"], job["step"], job["error"]) == ("failed", "SepSourceDetection", "every pixel is masked")
    assert job["traceback"] == TRACEBACK
    assert job["timings"] == [{"step": "read", "seconds": 0.1, "outcome": "done"}]
    assert [attempt["error"] for attempt in job["attempts_made"]] == ["every pixel is masked"]
    assert job["has_log"]
    assert page.get(f"/api/jobs/{number}/log").json()["log"] == "careful\n"


def test_the_chain_that_a_job_went_through_is_told(service: DemoService, page: Any):
    number = failed(service, fingerprint=service.chains["photometry"].fingerprint)

    assert '"box_size":64' in page.get(f"/api/jobs/{number}").json()["chain_text"]


def test_numbers_that_are_none_become_null(service: DemoService, page: Any):
    number = service.add("a.fits", facts={"fwhm": float("nan"), "list": [float("inf"), 1.5], "n_sources": 3})

    facts = page.get(f"/api/jobs/{number}").json()["facts"]

    assert facts == {"fwhm": None, "list": [None, 1.5], "n_sources": 3}


def test_html_in_a_name_stays_text(service: DemoService, page: Any):
    number = service.add(HOSTILE)

    answer = page.get(f"/api/jobs/{number}")

    assert answer.json()["label"] == HOSTILE
    assert answer.headers["content-type"] == "application/json"


def test_a_name_of_any_bytes_can_be_told(service: DemoService, page: Any):
    label = b"caf\xe9 \n.fits".decode("utf-8", "surrogateescape")
    number = service.add(label)

    job = page.get(f"/api/jobs/{number}").json()
    assert (job["label"][:3], job["label"][-6:]) == ("caf", "\n.fits")
    assert job["path"].endswith("caf� \n.fits")
    assert page.get("/api/jobs").json()["total"] == 1


@pytest.mark.parametrize("number", ["999", "99999999999999999999999999", "-1", "x", "1.5"])
def test_a_job_that_is_not_there(page: Any, number: str):
    answer = page.get(f"/api/jobs/{number}")

    assert answer.status_code == 404
    assert answer.json()["error"]


# --- what a person does ---------------------------------------------------------------------------------------------


def test_a_failed_job_is_tried_again(service: DemoService, page: Any):
    number = failed(service)

    answer = page.post(f"/api/jobs/{number}/retry")

    assert answer.json() == {"changed": 1, "jobs": []}
    assert service.queue.get(number).state is JobState.QUEUED


def test_a_done_job_is_not_tried_again_but_can_be_done_again(service: DemoService, page: Any):
    service.add("a.fits")
    number = service.end(JobState.DONE, Record())

    assert page.post(f"/api/jobs/{number}/retry").status_code == 409
    again = page.post(f"/api/jobs/{number}/requeue").json()["jobs"]

    assert service.queue.get(again[0]).generation == 1


def test_a_job_is_dropped(service: DemoService, page: Any):
    number = service.add("a.fits")

    assert page.post(f"/api/jobs/{number}/drop").json()["changed"] == 1
    assert service.queue.get(number).state is JobState.DROPPED
    assert page.post("/api/jobs/999/drop").status_code == 404


def test_all_failed_jobs_of_a_chain_are_tried_again(service: DemoService, page: Any):
    for _ in range(3):
        failed(service)

    assert page.post("/api/jobs/retry", json={"states": ["failed"], "chain": "quicklook"}).json()["changed"] == 0
    assert page.post("/api/jobs/retry", json={"states": ["failed"], "chain": "photometry"}).json()["changed"] == 3


def test_nobody_drops_everything_by_mistake(service: DemoService, page: Any):
    number = service.add("a.fits")

    assert page.post("/api/jobs/drop", json={}).status_code == 422
    assert page.post("/api/jobs/drop", json={"q": ""}).status_code == 422
    assert page.post("/api/jobs/drop", json={"ids": [number], "chain": "photometry"}).status_code == 422
    assert service.queue.get(number).state is JobState.QUEUED


def test_a_chain_is_paused_and_goes_on(service: DemoService, page: Any):
    page.post("/api/pause", json={"chain": "photometry", "reason": "bad flats"})

    paused = page.get("/api/now").json()["paused"]
    assert [(pause["chain"], pause["reason"], pause["who"]) for pause in paused] == [
        ("photometry", "bad flats", "local")
    ]
    assert [chain["name"] for chain in page.get("/api/chains").json()["chains"] if chain["paused"]] == ["photometry"]

    page.post("/api/resume", json={"chain": "photometry"})
    assert page.get("/api/now").json()["paused"] == []
    assert page.post("/api/pause", json={"chain": "nothing"}).status_code == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 422),
        (b'{"chain": "\\ud800"}', 422),
        (b'{"chain": "a\\u0000"}', 422),
        (b'{"nonsense": 1}', 422),
        (b"[" * 100_000, 422),
        (b'{"reason": "' + b"x" * 3_000_000 + b'"}', 413),
        (b"\xff\xfe", 422),
    ],
)
def test_a_body_that_is_none_is_refused(page: Any, body: bytes, status: int):
    answer = page.post("/api/pause", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == status
    assert answer.json()["error"]


# --- now --------------------------------------------------------------------------------------------------------


def test_now_counts_what_ended_since_noon(service: DemoService, page: Any):
    service.add("a.fits")
    service.end(JobState.DONE, Record(timings=(("read", 0.25, "done"),)))
    failed(service)
    service.add("waiting.fits")

    now = page.get("/api/now").json()

    assert (now["counts"]["done"], now["counts"]["failed"], now["counts"]["queued"]) == (1, 1, 1)
    assert set(now["counts"]) == {state.value for state in JobState}
    assert (now["today"]["done"], now["today"]["failed"], now["today"]["per_hour"]) == (1, 1, 1)
    assert now["steps"] == [{"chain": "photometry", "step": "read", "count": 1, "median": 0.25, "p95": 0.25}]
    assert 0 <= now["oldest_queued"] < 60
    assert [daemon["self"] for daemon in now["daemons"]] == [True]


@pytest.mark.parametrize(
    ("now", "noon", "began"),
    [
        ("2026-03-20T11:59:59", 12.0, "2026-03-19T12:00:00"),
        ("2026-03-20T12:00:00", 12.0, "2026-03-20T12:00:00"),
        ("2026-03-20T23:00:00", 19.5, "2026-03-20T19:30:00"),
        ("2026-03-20T01:00:00", 0.0, "2026-03-20T00:00:00"),
    ],
)
def test_a_night_begins_at_noon(now: str, noon: float, began: str):
    from datetime import datetime

    def seconds(text: str) -> float:
        return datetime.fromisoformat(text + "+00:00").timestamp()

    assert night_began(seconds(now), noon) == seconds(began)


def test_readiness_says_why_not(service: DemoService, page: Any):
    assert page.get("/readyz").json() == {"ready": True, "reasons": []}

    service.reasons = ["destination products: no space left on device"]
    answer = page.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["reasons"] == service.reasons


def test_a_locked_queue_is_told_as_something_that_passes(service: DemoService, page: Any, monkeypatch):
    from etendue.pipeline.daemon.queue import QueueBusyError

    def busy(*_: object, **__: object) -> None:
        raise QueueBusyError("somebody else has locked the queue")

    monkeypatch.setattr(service.queue, "search", busy)
    answer = page.get("/api/jobs")

    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert answer.json()["error"] == "somebody else has locked the queue"


def test_a_mistake_of_ours_is_logged_and_tells_nothing_of_the_inside(
    service: DemoService, page: Any, monkeypatch, caplog
):
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("inner secret")

    monkeypatch.setattr(service.queue, "search", broken)
    answer = page.get("/api/jobs")

    assert answer.status_code == 500
    assert "inner secret" not in answer.text
    assert "inner secret" in caplog.text


def test_nights_are_summed_up(service: DemoService, page: Any):
    service.add("a.fits", night="2026-03-20", instrument="Camera A")
    service.add("b.fits", night="2026-03-20", instrument="Camera B")
    service.add("c.fits", night="2026-03-21", instrument="Camera A")

    nights = page.get("/api/nights").json()["nights"]

    assert [night["night"] for night in nights] == ["2026-03-21", "2026-03-20"]
    assert nights[1]["instruments"] == ["Camera A", "Camera B"]
    assert nights[1]["counts"] == {"queued": 2}
    assert page.get("/api/nights/yesterday").status_code == 404


def test_board_asks_the_queue_once_for_many(service: DemoService):
    import asyncio

    from etendue.pipeline.web.board import Board

    asked = []
    original = service.queue.counts
    service.queue.counts = lambda: asked.append(time.time()) or original()  # type: ignore[method-assign]

    async def many() -> None:
        board = Board(service)
        await asyncio.gather(*(board.now() for _ in range(20)))

    asyncio.run(many())

    assert len(asked) == 1


def two_runs(service: DemoService) -> tuple[int, int]:
    """Two runs of an image; the newer one has not made old.png again."""
    path, numbers = service.incoming / "a.fits", []
    for names in (("a.fits", "old.png"), ("a.fits",)):
        service.add("a.fits", path=path)
        pieces = tuple(Piece(f"x/{name}", "products", name, 5) for name in names)
        numbers.append(service.end(JobState.DONE, Record(log="hm", timings=(("read", 0.1, "done"),)), pieces))
    return numbers[0], numbers[1]


def test_both_runs_say_what_is_outdated(service: DemoService, page: Any):
    old, new = two_runs(service)

    for number in (old, new):
        (file,) = page.get(f"/api/jobs/{number}").json()["outdated"]
        assert (file["name"], file["job"], file["newest"], file["kind"]) == ("old.png", old, new, "picture")
        assert f"job {new} has done a newer version" in file["reason"]


def test_a_job_says_that_its_details_were_removed(service: DemoService, page: Any):
    number, _ = two_runs(service)
    assert not page.get(f"/api/jobs/{number}").json()["pruned"]

    service.queue.prune([number], 9e9)

    job = page.get(f"/api/jobs/{number}").json()
    assert job["pruned"]
    assert (job["timings"], job["attempts_made"], job["has_log"]) == ([], [], False)
    assert page.get(f"/api/jobs/{number}/log").json()["log"] == ""
