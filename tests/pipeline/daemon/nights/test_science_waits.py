"""Science frames wait for the masters of their night that their chain looks for, visibly and not for ever."""

import numpy as np
import pytest

from etendue.images import Image
from etendue.pipeline.daemon.nights.decisions import note_decisions
from etendue.pipeline.daemon.queue import Filter, JobKind, JobState
from etendue.pipeline.web.clerk.masters import judge_master
from etendue.processors.calibration.library import set_status

ALL = {"bias": 6, "dark": 5, "flat": 5}
NO_CALIBRATION = "steps:\n  - class: SepSourceDetection\n  - class: SaveCatalog\n"
BIAS_ONLY = """
steps:
  - {class: Calibration, dark: false, flat: false, bad_pixels: false}
  - class: Save
"""


def test_a_frame_waits_for_a_group_that_is_being_collected(bench, frames):
    night = bench(chain=BIAS_ONLY, complete={"bias": 6})
    biases = frames("bias*")
    night.add(*biases[:4])
    (science,) = night.add(*frames("science_0001*"))
    night.tend()
    assert night.states(science) == {"waiting"}
    assert night.job(science).reason == "bias of 2026-03-20: its frames are being collected"

    night.add(*biases[4:])
    night.tend()
    assert "being built (job" in night.job(science).reason
    night.settle()

    assert night.states(science) == {"done"}


def test_it_waits_for_biases_of_the_morning_and_not_for_ever(bench, frames):
    night = bench(chain=BIAS_ONLY, wait=7200)
    (science,) = night.add(*frames("science_0001*"))
    night.tend()
    job = night.job(science)
    assert job.reason == "bias of 2026-03-20: no frames for it have come in"
    assert 0 <= job.deadline - (job.created + 7200) <= 60
    night.tend(7000)
    assert night.states(science) == {"waiting"}

    night.tend(201)

    assert night.states(science) == {"queued"}
    assert "takes the nearest masters: bias of 2026-03-20: no frames" in night.job(science).reason


def test_the_policy_may_be_to_fail(bench, frames):
    night = bench(chain=BIAS_ONLY, wait=7200, policy="fail")
    night.add(*frames("bias_0001", "bias_0002"))
    (science,) = night.add(*frames("science_0001*"))
    night.tend()

    night.tend(7201)

    assert night.states(science) == {"failed"}
    assert night.job(science).error == ("it lacks masters of its night: bias of 2026-03-20: 2 biases, and it takes 3")


def test_wait_of_zero_never_waits(bench, frames):
    night = bench(wait=0, complete=ALL)
    night.add(*frames("bias_0001"))

    (science,) = night.add(*frames("science_0001*"))

    assert night.states(science) == {"queued"}


@pytest.mark.parametrize(
    "chain", [NO_CALIBRATION, "steps: [{class: Calibration, bias: false, dark: false, flat: false}]"]
)
def test_a_chain_that_looks_for_no_masters_does_not_wait(bench, frames, chain):
    night = bench(chain=chain)
    night.add(*frames("bias_0001"))

    (science,) = night.add(*frames("science_0001*"))

    assert night.states(science) == {"queued"}


def test_kinds_that_the_chain_does_not_use_are_not_waited_for(bench, frames):
    night = bench(chain=BIAS_ONLY, complete=ALL)
    night.add(*frames("bias*"), *frames("dark_0001", "flat_*1"))
    night.settle()

    (science,) = night.add(*frames("science_0001*"))
    night.tend()

    assert night.states(science) == {"queued"}


def test_a_library_with_masters_of_this_night_lets_it_go(bench, frames):
    night = bench(chain=BIAS_ONLY, complete={"bias": 6})
    night.add(*frames("bias*"))
    night.settle()
    first, second = frames("science_0001*", "science_0002*")
    night.add(first)
    night.tend()

    (late,) = night.add(second)  # what the library has is known by now

    assert night.states(late) == {"queued"}


def test_masters_of_another_night_do_not(bench, frames, changed):
    night = bench(chain=BIAS_ONLY, complete={"bias": 6})
    for path in (biases := frames("bias*")):
        changed(path, **{"DATE-OBS": "2026-03-17T22:00:00"})
    night.add(*biases)
    night.settle()

    (science,) = night.add(*frames("science_0001*"))
    night.tend()

    assert night.states(science) == {"waiting"}
    night.tend(7201)
    night.settle()
    assert night.states(science) == {"done"}
    assert Image.from_file(next((night.folder / "products").glob("*.fits"))).header["CALBIAS"] in night.masters()


def test_only_the_flat_of_its_own_filter_counts(bench, frames, changed):
    night = bench(complete={"flat": 3}, chain="steps: [{class: Calibration, bias: false, dark: false}]")
    for path in (flats := frames("flat_*1", "flat_*2", "flat_*3")):
        changed(path, FILTER="V")
    night.add(*flats)
    night.settle()

    (science,) = night.add(*frames("science_0001*"))
    night.tend()

    assert night.job(science).reason == "flat R of 2026-03-20: no frames for it have come in"


def test_a_master_that_waits_for_a_person_is_told_and_used_when_accepted(bench, frames):
    night = bench(chain="steps: [{class: Calibration, bias: false, dark: false}, {class: Save}]", complete={"flat": 5})
    flats = night.add(*_tilted(frames("flat*"), 0.0, "2026-03-18"))
    night.settle()
    flats = night.add(*_tilted(frames("flat*"), 0.3, None))
    (science,) = night.add(*frames("science_0001*"))
    night.settle()
    assert night.states(*flats) == {"done"}
    candidate = next(name for name in night.masters() if name.startswith("flat") and "2026-03-20" in name)
    assert "waits for a person" in night.job(flats[0]).reason
    assert f"{candidate} waits for a person, who may accept it: its illumination" in night.job(science).reason

    set_status(night.library / candidate, "accepted", "looked at")
    night.settle()

    assert night.states(science) == {"done"}
    product = next((night.folder / "products").glob("*.fits"))
    assert Image.from_file(product).header["CALFLAT"] == candidate


def test_what_a_person_decides_on_the_page_is_acted_on_by_every_daemon(bench, frames, any_queue):
    chain = "steps: [{class: Calibration, bias: false, dark: false}, {class: Save}]"
    night = bench(chain=chain, complete={"flat": 5}, queue=any_queue())
    night.add(*_tilted(frames("flat*"), 0.0, "2026-03-18"))
    night.settle()
    night.add(*_tilted(frames("flat*"), 0.3, None))
    (science,) = night.add(*frames("science_0001*"))
    night.settle()
    (name,) = (master["name"] for master in night.job(night.built[-1].id).facts["nights"]["masters"])
    other = bench(chain=chain, complete={"flat": 5}, queue=any_queue())
    other.tend()
    assert night.states(science) == {"waiting"}

    found = judge_master(library=str(night.library), name=name, status="accepted", because="by operator")
    note_decisions(night.queue, night.built[-1].id, {name: found["status"]})
    other.tend(1.0)  # it was told nothing

    assert night.states(science) == {"queued"}
    other.settle()
    assert Image.from_file(next((other.folder / "products").glob("*.fits"))).header["CALFLAT"] == name


def test_a_frame_that_cannot_be_read_is_left_to_its_chain(bench, frames):
    night = bench(chain=BIAS_ONLY)
    (path,) = frames("science_0001*")
    (science,) = night.add(path)
    path.unlink()

    night.tend()

    assert night.states(science) == {"queued"}


def test_a_person_may_release_a_frame(bench, frames):
    night = bench(chain=BIAS_ONLY)
    (science,) = night.add(*frames("science_0001*"))
    night.tend()
    night.queue.release([science])

    night.tend()

    assert night.states(science) == {"queued"}


def test_arcs_and_focus_frames_are_skipped(bench, frames, changed):
    night = bench()
    arc, focus = frames("science_0001*", "science_0002*")
    jobs = night.add(changed(arc, IMAGETYP="arc"), changed(focus, IMAGETYP="focus"))

    assert night.states(*jobs) == {"skipped"}
    assert all(night.job(job).reason for job in jobs)


def test_frames_are_done_again_with_better_masters(bench, frames):
    night = bench(chain=BIAS_ONLY, complete={"bias": 5}, reprocess=True)
    biases = frames("bias*")
    night.add(*biases[:5])
    science = night.add(*frames("science*"))
    night.settle()
    assert night.states(*science) == {"done"}

    night.add(biases[5])
    night.tend()
    night.tend(901)
    night.settle()

    images = night.queue.search(Filter(kind=JobKind.IMAGE), limit=100).jobs
    assert len(images) == 2 * len(science)
    assert {job.state for job in images} == {JobState.DONE}
    masters = {job.id: job.facts["masters"]["bias"] for job in images}
    assert len({masters[job] for job in science}) == 1
    assert {masters[job.id] for job in images if job.id not in science}.isdisjoint({masters[job] for job in science})


def test_nothing_is_done_again_for_the_same_masters(bench, frames):
    night = bench(complete=ALL, reprocess=True)
    night.add(*frames("*"))
    night.settle()
    (masters,) = night.queue.search(Filter(kind=JobKind.MASTERS)).jobs

    night.queue.requeue([masters.id])
    night.settle()

    assert len(night.built) == 2
    assert night.queue.search(Filter(kind=JobKind.IMAGE)).total == 6


def test_frames_that_failed_for_lack_of_masters_are_tried_again(bench, frames):
    night = bench(chain=BIAS_ONLY, complete={"bias": 6}, wait=3600, policy="fail", reprocess=True)
    (science,) = night.add(*frames("science_0001*"))
    night.tend()
    night.tend(3601)
    assert night.states(science) == {"failed"}

    night.add(*frames("bias*"))
    night.settle()

    assert night.states(science) == {"done"}


def test_without_reprocessing_what_is_done_stays(bench, frames):
    night = bench(chain=BIAS_ONLY, complete={"bias": 5})
    biases = frames("bias*")
    night.add(*biases[:5], *frames("science*"))
    night.settle()

    night.add(biases[5])
    night.tend()
    night.tend(901)
    night.settle()

    assert night.queue.search(Filter(kind=JobKind.IMAGE)).total == 6


def test_a_keeper_that_starts_anew_goes_on_where_the_last_one_was(bench, frames):
    night = bench(complete=ALL)
    paths = frames("*")
    for start in range(0, len(paths), 3):
        night.add(*paths[start : start + 3])
        night.start()
        night.tend()
        night.start()
        for job in night.queue.claim(night.me, limit=1):  # a daemon that dies in the middle
            night.queue.give_back(job.id, job.token, "killed")
    night.start()

    night.settle()

    assert {job.state for job in night.queue.search(Filter(), limit=100).jobs} == {JobState.DONE}


def test_two_daemons_build_a_group_once(bench, frames, any_queue):
    one = bench(complete=ALL, queue=any_queue())
    other = bench(complete=ALL, queue=any_queue())
    paths = frames("*")
    for number, path in enumerate(paths):
        (one if number % 2 else other).add(path)

    for _ in range(10):
        for night in (one, other):
            night.seconds += 6
        _both_tend(one, other)
        one.work()
        other.work()

    jobs = one.queue.search(Filter(), limit=100).jobs
    assert {job.state for job in jobs} == {JobState.DONE}
    assert [job.kind for job in jobs].count(JobKind.MASTERS) == 1


def _both_tend(one, other):
    """Both look at the queue before either writes."""
    import asyncio

    async def together():
        await asyncio.gather(one.keeper.tend(), other.keeper.tend())

    class Slow(type(one.keeper._ledger)):
        async def read(self, function, *arguments, **options):
            result = function(*arguments, **options)
            await asyncio.sleep(0)
            return result

    for night in (one, other):
        night.keeper._ledger.__class__ = Slow
    asyncio.run(together())


def _tilted(paths, slope, date):
    """Flats with a gradient in their illumination, taken on another date."""
    tilted = []
    for path in paths:
        image = Image.from_file(path)
        ramp = np.linspace(1 - slope, 1 + slope, image.shape[1])
        image = image.replace(data=(1000 + (image.data - 1000.0) * ramp).astype(np.uint16))
        if date is not None:
            image.header["DATE-OBS"] = image.header["DATE-OBS"].replace("2026-03-20", date).replace("2026-03-21", date)
        new = path.with_name(f"{date or 'tonight'}_{path.name}")
        image.writeto(new)
        tilted.append(new)
    return tilted
