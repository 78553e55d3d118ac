"""A person decides about a master on the page."""

import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from etendue.images import Image
from etendue.pipeline.daemon.nights.view import SEEN
from etendue.processors.calibration.library import read_entry, set_status
from tests.pipeline.web.conftest import Page
from tests.pipeline.web.demo import READ_TOKEN, DemoService
from tests.pipeline.web.masters import CANDIDATE, LAST, NIGHT, add_candidate, flat


@pytest.fixture
def candidate(service: DemoService) -> str:
    """Address of the masters of a job that has built a candidate."""
    return f"/api/jobs/{add_candidate(service)}/masters"


def status_of(service: DemoService, name: str = CANDIDATE) -> str:
    return read_entry(service.settings.nights.library / name).status  # type: ignore[union-attr]


def shown(page: Page) -> dict[str, Any]:
    """The master as the view of its night has it."""
    return page.get(f"/api/nights/{NIGHT}").json()["masters"][0]


def test_it_is_compared_with_the_last_one(service: DemoService, page: Page, candidate: str):
    told = page.get(f"{candidate}/comparison", params={"name": CANDIDATE}).json()

    assert (told["name"], told["kind"], told["status"], told["passed"]) == (CANDIDATE, "flat", "candidate", False)
    assert told["compared_with"] == LAST
    assert told["figures"]["illumination"] == pytest.approx(0.1, abs=0.01)  # from -10 % to +10 %
    assert "illumination differs by up to" in told["reasons"][0]


def test_pictures_of_both_have_the_same_levels(page: Page, candidate: str):
    pictures = {}
    for which in ("new", "last"):
        answer = page.get(f"{candidate}/picture", params={"name": CANDIDATE, "which": which, "size": 64})
        assert answer.headers["content-type"] == "image/png"
        pictures[which] = np.asarray(Pillow.open(io.BytesIO(answer.content)), dtype=float)

    assert pictures["new"].shape == (64, 64)
    left, right = ({name: p[28:36, part].mean() for name, p in pictures.items()} for part in (slice(8), slice(-8, 64)))
    assert left["new"] < left["last"] - 20
    assert right["new"] > right["last"] + 20


@pytest.mark.parametrize(("word", "status"), [("accept", "accepted"), ("reject", "rejected")])
def test_a_decision_is_that_of_the_command_line(
    service: DemoService, page: Page, candidate: str, word: str, status: str
):
    before = Image.from_file(service.settings.nights.library / CANDIDATE)  # type: ignore[union-attr]

    answer = page.post(f"{candidate}/{word}", json={"name": CANDIDATE, "reason": "neuer Filter: größer\nund heller"})

    assert answer.json() == {"name": CANDIDATE, "status": status}
    after = Image.from_file(service.settings.nights.library / CANDIDATE)  # type: ignore[union-attr]
    assert status_of(service) == status
    assert np.array_equal(before.data, after.data)
    assert f"{status}: by local: neuer Filter: gr??er und heller" in str(after.header["HISTORY"])
    assert shown(page)["status"] == {"accepted": "accepted", "rejected": "not built"}[status]
    assert "a person" in shown(page)["reasons"][0]
    job = service.queue.get(int(candidate.split("/")[3]))
    assert job.facts[SEEN] != job.id  # the keeper of the nights does what follows


def test_what_was_not_looked_at_is_not_judged(service: DemoService, page: Page, candidate: str):
    base = page.get(f"{candidate}/comparison", params={"name": CANDIDATE}).json()["base"]
    again = flat(0.3, NIGHT, seed=5)
    again.header["MSTATUS"] = "candidate"
    again.writeto(service.settings.nights.library / CANDIDATE)  # type: ignore[union-attr]

    answer = page.post(f"{candidate}/accept", json={"name": CANDIDATE, "base": base})

    assert answer.status_code == 409
    assert "look at it again" in answer.json()["error"]
    assert (status_of(service), shown(page)["status"]) == ("candidate", "candidate")


def test_somebody_else_was_faster(service: DemoService, page: Page, candidate: str):
    set_status(service.settings.nights.library / CANDIDATE, "rejected", "at the terminal")  # type: ignore[union-attr]

    answer = page.post(f"{candidate}/accept", json={"name": CANDIDATE})

    assert answer.status_code == 409
    assert answer.json()["error"].endswith("cannot be accepted: it is rejected already")
    assert status_of(service) == "rejected"
    assert shown(page)["status"] == "not built"  # and the page knows it from now on


def test_saying_it_twice_is_no_error(page: Page, candidate: str):
    for _ in range(2):
        assert page.post(f"{candidate}/accept", json={"name": CANDIDATE}).status_code == 200


@pytest.mark.parametrize("name", [LAST, "../queue.db", "/etc/passwd", "nothing.fits", f"./{CANDIDATE}", "a\ud800b"])
def test_only_what_the_job_has_built_can_be_named(service: DemoService, page: Page, candidate: str, name: str):
    body = json.dumps({"name": name})
    answer = page.post(f"{candidate}/reject", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code in (404, 422)
    assert (status_of(service), status_of(service, LAST)) == ("candidate", "accepted")


def test_a_file_that_has_gone_is_told(service: DemoService, page: Page, candidate: str):
    (service.settings.nights.library / CANDIDATE).unlink()  # type: ignore[union-attr]

    for answer in (
        page.post(f"{candidate}/accept", json={"name": CANDIDATE}),
        page.get(f"{candidate}/comparison", params={"name": CANDIDATE}),
        page.get(f"{candidate}/picture", params={"name": CANDIDATE}),
    ):
        assert answer.status_code == 404


def test_a_library_that_is_closed_is_told(service: DemoService, page: Page, candidate: str, monkeypatch: Any):
    from etendue.pipeline.web.clerk import masters

    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(masters, "set_status", refuse)
    answer = page.post(f"{candidate}/accept", json={"name": CANDIDATE})

    assert answer.status_code == 503
    assert f"{CANDIDATE} cannot be written: Permission denied" in answer.json()["error"]
    assert shown(page)["status"] == "candidate"


def test_who_may_only_read_decides_nothing(tmp_path: Any, open_page: Any):
    service = DemoService(tmp_path, tokens=True)
    try:
        address = f"/api/jobs/{add_candidate(service)}/masters"
        reader = open_page(service, Authorization=f"Bearer {READ_TOKEN}")
        assert reader.get(f"{address}/comparison", params={"name": CANDIDATE}).status_code == 200
        assert reader.post(f"{address}/accept", json={"name": CANDIDATE}).status_code == 403
        assert open_page(service).get(f"{address}/comparison", params={"name": CANDIDATE}).status_code == 401
        assert status_of(service) == "candidate"
    finally:
        service.close()
