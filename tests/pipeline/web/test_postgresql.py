"""The page on a queue in PostgreSQL, which several machines may share."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from etendue.pipeline.daemon.queue import JobQueue, JobState, Record
from tests.pipeline.web.conftest import Page
from tests.pipeline.web.demo import DemoService
from tests.pipeline.web.serving import Served, serving
from tests.pipeline.web.test_events import first, told


@pytest.fixture
def shared(tmp_path: Path, postgresql: Any) -> Iterator[DemoService]:
    """A service on a database of its own."""
    url = postgresql.new_database()
    with closing(DemoService(tmp_path, queue_url=url)) as service:
        yield service
    postgresql.drop_database(url)


@pytest.fixture
def served_elsewhere(shared: DemoService) -> Iterator[Served]:
    with serving(shared) as made:
        yield made


def test_questions_are_answered_alike(shared: DemoService):
    page = Page(shared, **{"X-Etendue": "1"})
    shared.add("M51 100%.fits", night="2026-03-20", facts={"fwhm": float("nan")})
    number = shared.end(JobState.FAILED, Record(error="bad\x00byte", log="said", timings=(("read", 0.5, "done"),)))

    assert page.get("/api/jobs?q=m51&state=failed").json()["total"] == 1
    assert page.get("/api/jobs?q=100%25").json()["total"] == 1
    assert page.get("/api/jobs?q=10_%25").json()["total"] == 0
    assert page.get("/api/jobs?q=%00").status_code == 422
    assert page.get(f"/api/jobs/{number}").json()["facts"] == {"fwhm": None}
    assert page.get(f"/api/jobs/{number}/log").json()["log"] == "said"
    assert page.get("/api/now").json()["counts"]["failed"] == 1
    assert page.get("/api/nights").json()["nights"][0]["counts"] == {"failed": 1}
    assert page.post(f"/api/jobs/{number}/retry").json()["changed"] == 1
    assert page.get("/metrics").status_code == 200
    shared.close()


def test_what_another_daemon_changes_is_told(served_elsewhere: Served):
    stream = told(served_elsewhere)
    first(stream, "now")
    number = served_elsewhere.service.add("a.fits")
    elsewhere = JobQueue.open(served_elsewhere.service.queue_url)
    elsewhere.drop([number])
    elsewhere.close()

    assert first(stream, "job", id=number, state="dropped")
    stream.close()
