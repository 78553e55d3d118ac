"""When a group of calibration frames is complete, and what becomes of its frames."""

import pytest

from etendue.images import Image
from etendue.pipeline.daemon.queue import Filter, JobKind, JobState


def test_a_group_is_complete_by_count(bench, frames):
    night = bench(complete={"bias": 6})
    paths = frames("bias*")

    first = night.add(*paths[:4])
    night.tend()
    assert night.reasons(*first) == {"collecting: bias 4 of 6"}
    last = night.add(*paths[4:])
    night.settle()

    assert night.states(*first, *last) == {"done"}
    assert len(night.masters()) == 1
    assert night.reasons(*first, *last) == {f"in {night.masters()[0]}"}


def test_a_group_is_complete_when_no_more_come_in(bench, frames):
    night = bench(deadline=900)
    paths = frames("bias*")
    night.add(*paths[:3])
    night.tend()
    night.tend(800)
    night.add(*paths[3:5])
    night.tend()
    night.tend(800)
    night.work()
    assert night.masters() == []

    night.tend(101)
    (job,) = night.work()

    assert len(job.payload["frames"]) == 5


def test_the_deadline_goes_on_through_a_restart(bench, frames):
    night = bench(deadline=900)
    night.add(*frames("bias*"))
    night.tend()
    night.seconds += 500
    night.start()
    night.tend()
    assert night.work() == []

    night.tend(401)

    assert [job.kind for job in night.work()] == [JobKind.MASTERS]


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_set_changes_no_deadline(bench, frames, hours):
    night = bench(deadline=900)
    night.add(*frames("bias*"))
    night.tend()

    night.wall_ahead = 3600.0 * hours
    night.tend(890)
    assert night.work() == []
    night.tend(11)

    assert [job.kind for job in night.work()] == [JobKind.MASTERS]


def test_what_comes_in_is_new_whatever_the_clock_says(bench, frames):
    night = bench(deadline=900)
    night.tend()
    night.wall_ahead = 3600.0  # as if another machine, whose clock is wrong, had added it
    night.add(*frames("bias*"))

    night.tend()
    night.tend(890)

    assert night.work() == []


def test_a_clock_set_back_before_a_restart_costs_one_deadline(bench, frames):
    night = bench(deadline=900)
    night.add(*frames("bias*"))
    night.tend()
    night.wall_ahead = -3600.0
    night.start()
    night.tend()

    night.tend(901)

    assert [job.kind for job in night.work()] == [JobKind.MASTERS]


def test_too_few_frames_fail_visibly(bench, frames):
    night = bench(deadline=900, fewest={"flat": 5})
    jobs = night.add(*frames("flat_*1", "flat_*2", "flat_*3"))
    night.tend()

    night.tend(901)

    assert night.states(*jobs) == {"failed"}
    assert {night.job(job).error for job in jobs} == {"3 flats R, and it takes 5"}
    assert night.work() == []


def test_frames_that_failed_are_done_when_enough_come_in_late(bench, frames):
    night = bench(deadline=900, complete={"bias": 6})
    paths = frames("bias*")
    few = night.add(*paths[:2])
    night.tend()
    night.tend(901)
    assert night.states(*few) == {"failed"}

    late = night.add(*paths[2:])
    night.settle()

    assert night.states(*few, *late) == {"done"}
    assert Image.from_file(night.library / night.masters()[0]).header["NCOMBINE"] == 6


def test_late_frames_are_built_in_when_no_more_come(bench, frames):
    night = bench(deadline=900, complete={"bias": 5})
    paths = frames("bias*")
    first = night.add(*paths[:5])
    night.settle()
    (late,) = night.add(paths[5])
    night.tend()
    assert night.job(late).reason == (
        "late: the master bias has 5 frames; it is built again with 6 when none has come in for 15 min"
    )
    assert night.states(*first) == {"done"}
    assert night.work() == []

    night.tend(901)
    night.settle()

    assert night.states(*first, late) == {"done"}
    (name,) = night.masters()
    assert Image.from_file(night.library / name).header["NCOMBINE"] == 6
    assert len(night.built) == 2


def test_flats_wait_for_the_biases_that_are_being_collected(bench, frames):
    night = bench(complete={"bias": 6, "flat": 5}, bad_pixels=False, chain="steps: [{class: Calibration, dark: false}]")
    biases = frames("bias*")
    night.add(*biases[:4])
    flats = night.add(*frames("flat*"))
    night.tend()
    assert night.reasons(*flats) == {"flat R is complete with 5 frames; it waits for bias: collecting: bias 4 of 6"}
    assert night.work() == []

    night.add(*biases[4:])
    night.settle()

    assert night.states(*flats) == {"done"}
    assert len(night.built) == 1
    flat = next(name for name in night.masters() if name.startswith("flat"))
    used = [file.path for step in Image.from_file(night.library / flat).provenance for file in step.inputs]
    assert any("bias" in path for path in used)


def test_flats_of_the_evening_are_built_again_with_the_biases_of_the_morning(bench, frames):
    night = bench(complete={"bias": 6, "flat": 5}, bad_pixels=False, chain="steps: [{class: Calibration, dark: false}]")
    flats = night.add(*frames("flat*"))
    night.settle()
    assert night.states(*flats) == {"waiting"}
    (reason,) = night.reasons(*flats)
    assert reason.startswith("flat R was not built: no bias")

    biases = night.add(*frames("bias*"))
    night.settle()

    assert night.states(*flats, *biases) == {"done"}
    assert [name[:4] for name in night.masters()] == ["bias", "flat"]


def test_what_cannot_be_built_fails_after_the_wait(bench, frames):
    night = bench(complete={"flat": 5}, wait=3600)
    flats = night.add(*frames("flat*"))
    night.settle()

    night.tend(3601)

    assert night.states(*flats) == {"failed"}
    assert "no bias" in night.job(flats[0]).error


def test_a_frame_that_was_repaired_makes_a_new_master(bench, frames, raw_night):
    night = bench(complete={"bias": 6}, deadline=900)
    paths = frames("bias*")
    content = paths[0].read_bytes()
    jobs = night.add(*paths)
    paths[0].write_bytes(b"")
    night.settle()
    assert night.states(jobs[0]) == {"failed"}

    paths[0].write_bytes(content)
    (again,) = night.add(paths[0])
    night.tend()
    night.tend(901)
    night.settle()

    assert again != jobs[0]
    assert night.states(again) == {"done"}
    assert Image.from_file(night.library / night.masters()[0]).header["NCOMBINE"] == 6


def test_a_person_who_retries_a_frame_has_the_master_built_again(bench, frames):
    night = bench(complete={"bias": 6}, deadline=900)
    paths = frames("bias*")
    jobs = night.add(*paths)
    hidden = paths[0].rename(paths[0].with_suffix(".away"))
    night.settle()
    assert night.states(jobs[0]) == {"failed"}

    hidden.rename(paths[0])
    night.queue.retry([jobs[0]])
    night.tend()
    night.tend(901)
    night.settle()

    assert night.states(*jobs) == {"done"}
    assert Image.from_file(night.library / night.masters()[0]).header["NCOMBINE"] == 6


def test_a_frame_that_a_person_has_dropped_makes_no_master(bench, frames):
    night = bench(deadline=900)
    jobs = night.add(*frames("bias*"))
    night.queue.drop([jobs[0]])
    night.tend()
    night.tend(901)
    night.settle()

    assert night.states(jobs[0]) == {"dropped"}
    assert Image.from_file(night.library / night.masters()[0]).header["NCOMBINE"] == 5


def test_frames_of_unknown_type_are_skipped_and_say_why(bench, frames, changed):
    night = bench()
    (path,) = frames("bias_0001")
    changed(path, IMAGETYP="thing")

    (job,) = night.add(path)

    assert night.states(job) == {"skipped"}
    assert "add a rule to frame_types" in night.job(job).reason


def test_a_frame_gets_its_type_when_a_rule_was_added_and_a_person_retries_it(bench, frames, changed):
    from etendue.pipeline.night.frame_types import frame_rules

    night = bench(complete={"bias": 6})
    paths = frames("bias*")
    changed(paths[0], IMAGETYP="thing")
    (unknown,) = night.add(paths[0])
    rule = frame_rules([{"type": "bias", "when": {"IMAGETYP": "thing"}}])[0]
    night.settings = night.settings.model_copy(update={"frame_types": (rule,)})
    night.start()
    night.queue.retry([unknown])

    night.add(*paths[1:])
    night.settle()

    assert night.states(unknown) == {"done"}
    assert "job" in night.job(unknown).reason
    assert Image.from_file(night.library / night.masters()[0]).header["NCOMBINE"] == 6


def test_a_frame_without_a_date_fails(bench, frames):
    night = bench()
    (path,) = frames("bias_0001")
    image = Image.from_file(path, dtype=None)
    for card in [card for card in image.header if card.startswith(("DATE", "MJD", "JD"))]:
        del image.header[card]
    image.writeto(path)

    (job,) = night.add(path)

    assert night.states(job) == {"failed"}
    assert "DATE-OBS" in night.job(job).error


def test_a_job_that_fails_is_shown_by_its_frames_and_can_be_retried(bench, frames):
    night = bench(complete={"bias": 6})
    jobs = night.add(*frames("bias*"))
    night.library.rmdir()
    night.library.write_text("not a folder")
    night.settle()
    (masters,) = night.queue.search(Filter(kind=JobKind.MASTERS)).jobs
    assert masters.state is JobState.FAILED
    assert night.states(*jobs) == {"waiting"}
    assert f"job {masters.id}" in night.job(jobs[0]).reason

    night.library.unlink()
    night.queue.retry([masters.id])
    night.settle()

    assert night.states(*jobs) == {"done"}


def test_a_clerk_that_takes_its_time_holds_up_no_later_look(bench, frames):
    night = bench(complete={"bias": 5})
    ask = night.keeper.library._asked

    async def slowly(function, arguments):
        night.seconds += 2.0  # it loads its libraries, say
        return await ask(function, arguments)

    night.keeper.library._asked = slowly
    biases = night.add(*frames("bias*")[:5])
    night.tend()
    assert len(night.work()) == 1
    night.tend()

    assert night.states(*biases) == {"done"}
