"""Server-sent events: what happens is told at once, to everybody, and to nobody too much."""

import json
from collections.abc import Generator, Iterator
from typing import Any

import httpx
import pytest

from etendue.pipeline.daemon.queue import JobQueue, JobState, QueueBusyError, Record
from etendue.pipeline.web import events
from etendue.pipeline.web.events import UNREAD, Listener
from tests.pipeline.web.serving import WAIT, Served


def told(served: Served) -> Generator[tuple[str, Any]]:
    """Events of a page, as they come."""
    with (
        httpx.Client(base_url=served.address, timeout=WAIT) as client,
        client.stream("GET", "/api/events") as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        kind = ""
        for line in answer.iter_lines():
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield kind, json.loads(line.removeprefix("data: "))


def first(stream: Iterator[tuple[str, Any]], kind: str, **wanted: Any) -> Any:
    for found, data in stream:
        if found == kind and all(data[key] == value for key, value in wanted.items()):
            return data
    raise AssertionError(f"no {kind} was told")


def test_a_new_job_is_told(served: Served):
    stream = told(served)
    first(stream, "now")

    number = served.do(served.service.change(served.service.add, "0042.fits"))

    assert first(stream, "job", id=number)["label"] == "0042.fits"
    stream.close()


def test_what_another_program_changes_is_told_too(served: Served):
    stream = told(served)
    number = served.service.add("a.fits")
    first(stream, "now")
    elsewhere = JobQueue.open(f"sqlite:///{served.service.folder / 'state' / 'queue.db'}")
    elsewhere.drop([number])
    elsewhere.close()

    assert first(stream, "job", id=number, state="dropped")
    stream.close()


def test_a_queue_that_is_away_for_a_moment_is_told_in_a_sentence(served: Served, monkeypatch, caplog):
    away = iter([QueueBusyError("the queue's server cannot be reached")])

    def sometimes_away(*arguments: Any, **options: Any) -> Any:
        for error in away:
            raise error
        return JobQueue.version(served.service.queue)

    stream = told(served)
    first(stream, "now")
    monkeypatch.setattr(served.service.queue, "version", sometimes_away)
    number = served.do(served.service.change(served.service.add, "0042.fits"))

    assert first(stream, "job", id=number)
    stream.close()
    (said,) = [record for record in caplog.records if "could not be told" in record.message]
    assert said.message == "the page could not be told what has changed: the queue's server cannot be reached"
    assert said.exc_info is None


def test_what_happens_now_follows_a_change(served: Served):
    stream = told(served)
    first(stream, "now")
    service = served.service
    served.do(service.change(service.add, "a.fits"))
    served.do(service.change(service.end, JobState.FAILED, Record(error="bad")))

    while first(stream, "now")["counts"]["failed"] != 1:
        pass
    stream.close()


def test_many_changes_at_once_are_told_as_one(served: Served):
    stream = told(served)
    first(stream, "now")
    service = served.service

    def add_many() -> None:
        with service.queue.batch():
            for index in range(300):
                service.add(f"{index}.fits")

    served.do(service.change(add_many))

    numbers = set()
    for kind, data in stream:
        if kind == "changed":
            break
        if kind == "job":
            numbers.add(data["id"])
    assert len(numbers) <= events.MOST_AT_ONCE
    stream.close()


def test_the_end_of_the_daemon_ends_the_stream(served: Served):
    stream = told(served)
    first(stream, "now")
    # The fixture asks that the server ends in time although somebody listens.
    assert served.service


def test_who_reads_nothing_is_told_to_look_anew():
    listener = Listener()
    for index in range(3 * UNREAD):
        listener.tell(b"event: job\ndata: %d\n\n" % index)

    import asyncio

    first_message = asyncio.run(listener.next())

    assert listener._unread.qsize() <= UNREAD
    assert first_message == events.encoded("changed", "{}")


def test_too_many_listeners_are_refused(served: Served, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(events, "MOST_LISTENERS", 1)
    stream = told(served)
    first(stream, "now")

    answer = httpx.get(f"{served.address}/api/events", timeout=WAIT)

    assert answer.status_code == 503
    assert "listen already" in answer.json()["error"]
    stream.close()
