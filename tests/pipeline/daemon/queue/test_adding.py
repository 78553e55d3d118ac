"""Jobs are added once, and newer versions of a file take the place of older ones."""

import os
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etendue.pipeline.daemon.queue import Added, Filter, JobKind, JobState, Record
from etendue.pipeline.daemon.queue.database.paths import from_text, place_of, to_text

ODD_NAMES = [
    b"/night/two words.fits",
    b"/night/line\nbreak.fits",
    "/night/Größe ★.fits".encode(),
    b"/night/not utf-8 \xff\xfe.fits",
    b"/night/back\\slash\\x41.fits",
    b"/night/-rf",
    b"/night/'; DROP TABLE jobs; --.fits",
    b"/night/" + b"x" * 4000,
]


def test_the_same_key_is_one_job(queue, new_job):
    first = queue.add([new_job(1), new_job(2), new_job(1)])
    second = queue.add([new_job(2), new_job(3)])

    assert [added.new for added in first] == [True, True, False]
    assert first[0].id == first[2].id
    assert second[0] == Added(first[1].id, False)
    assert second[1].new
    assert queue.counts()[JobState.QUEUED] == 3


def test_a_job_comes_back_as_it_was_added(queue, new_job):
    given = new_job(
        7,
        kind=JobKind.FRAME,
        destination="archive",
        priority=-3,
        state=JobState.WAITING,
        reason="collecting: bias 4 of 10",
        deadline=1.5e9,
        night="2026-03-20",
        instrument="cam #1",
        facts={"object_name": "M 31", "exposure_time": 60.0, "list": [1, None]},
        payload={"frames": ["a", "b"]},
        memory=2**40,
        generation=2,
    )
    (added,) = queue.add([given])

    job = queue.get(added.id)

    for field in fields(given):
        if field.name != "order":
            assert getattr(job, field.name) == getattr(given, field.name), field.name
    assert (job.attempts, job.interruptions, job.owner, job.token, job.manifest) == (0, 0, "", "", ())


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_name_of_a_file_comes_back(queue, new_job, name):
    path = Path(os.fsdecode(name))

    (added,) = queue.add([new_job(1, path=path, label=path.name)])

    assert os.fsencode(queue.get(added.id).path) == name
    assert queue.known("camera", [path]) == {path: (2880, 10**18 + 1)}


@given(st.binary(min_size=1).filter(lambda name: b"\0" not in name))
def test_names_as_text_are_reversible_and_unique(name):
    text = to_text(os.fsdecode(name))

    text.encode("utf-8")
    assert os.fsencode(from_text(text)) == name
    assert -(2**63) <= place_of(Path(os.fsdecode(name))) < 2**63


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
def test_only_backslashes_change_in_names_of_utf8(name):
    assert to_text(name) == name.replace("\\", "\\\\")


def test_text_that_no_database_keeps_is_made_harmless(queue, claimed):
    job = claimed(1, label="nul \0 and half \ud800", facts={"object_name": "\0\udcff"})

    queue.finish(job.id, job.token, JobState.FAILED, Record(error="a\0b", traceback="\udc80", log="\0"))

    found = queue.get(job.id)
    assert found.label == "nul ␀ and half \\ud800"
    assert (found.error, found.traceback, found.log) == ("a␀b", "\\udc80", "␀")
    assert found.facts == {"object_name": "\0\udcff"}


def test_a_newer_version_of_a_file_replaces_one_that_has_not_begun(queue, new_job):
    queued, waiting = new_job(1), new_job(2, state=JobState.WAITING)
    old = queue.add([queued, waiting])
    new = queue.add([replace(job, key=f"new {job.key}", size=5760) for job in (queued, waiting)])

    for before, after in zip(old, new, strict=True):
        job = queue.get(before.id)
        assert (job.state, job.reason) == (JobState.SKIPPED, f"replaced by a newer file (job {after.id})")
        assert queue.get(after.id).state in (JobState.QUEUED, JobState.WAITING)
    assert queue.known("camera", [queued.path]) == {queued.path: (5760, queued.mtime_ns)}


def test_a_running_job_is_left_to_finish_when_its_file_is_replaced(queue, daemon, new_job, claimed):
    job = claimed(1)
    (newer,) = queue.add([new_job(1, size=5760)])

    assert queue.get(job.id).state is JobState.RUNNING
    assert queue.claim(daemon, limit=5) == [], "both would write the same products"
    queue.finish(job.id, job.token, JobState.DONE, Record())
    assert [again.id for again in queue.claim(daemon, limit=5)] == [newer.id]


def test_other_chains_and_sources_are_not_touched_by_a_newer_version(queue, new_job):
    others = queue.add([new_job(1, chain="guiding"), new_job(1, source="upload", key="u")])

    queue.add([new_job(1, size=5760)])

    assert [queue.get(other.id).state for other in others] == [JobState.QUEUED, JobState.QUEUED]


def test_a_broken_newer_version_replaces_too(queue, new_job):
    (old,) = queue.add([new_job(1)])

    (broken,) = queue.add([new_job(1, size=100, state=JobState.FAILED, reason="it ends after 100 bytes")])

    assert queue.get(old.id).state is JobState.SKIPPED
    assert queue.get(broken.id).error == "it ends after 100 bytes"


def test_a_file_that_becomes_again_what_it_was_is_done_again(queue, daemon, new_job):
    first, second = new_job(1), new_job(1, size=5760)
    ids = []
    for version in (first, second):
        ids += [added.id for added in queue.add([version])]
        (job,) = queue.claim(daemon, limit=1)
        queue.finish(job.id, job.token, JobState.DONE, Record())

    (again,) = queue.add([first])
    (once,) = queue.add([first])

    assert again.new
    assert again.id not in ids
    assert once == Added(again.id, False) or queue.search().total == 3
    job = queue.get(again.id)
    assert (job.state, job.generation, job.size) == (JobState.QUEUED, 1, first.size)
    assert queue.known("camera", [first.path]) == {first.path: (first.size, first.mtime_ns)}


def test_known_knows_only_the_source_that_is_asked_for(queue, new_job):
    queue.add([new_job(1), new_job(2, source="upload")])
    paths = [new_job(number).path for number in (1, 2, 3)]

    assert set(queue.known("camera", paths)) == {paths[0]}
    assert queue.known("camera", []) == {}


def test_five_thousand_files_at_once(queue, new_job):
    jobs = [new_job(number) for number in range(5000)]

    added = queue.add(jobs)

    assert len({one.id for one in added}) == 5000
    assert all(one.new for one in added)
    assert len(queue.known("camera", [job.path for job in jobs])) == 5000
    assert queue.search(Filter(source="camera"), limit=1).total == 5000


def test_nothing_is_added_of_nothing(queue):
    assert queue.add([]) == []


def test_a_file_that_was_given_up_as_replaced_and_is_as_it_was_gets_a_new_job(queue, daemon, claimed, new_job):
    job = claimed(1)
    queue.finish(job.id, job.token, JobState.SKIPPED, Record(cause="replaced", error="the file was replaced"))

    (again,) = queue.add([new_job(1)])
    (once,) = queue.add([new_job(1)])

    assert again.new
    assert again.id != job.id
    assert not once.new
    assert len(queue.search(Filter()).jobs) == 2
