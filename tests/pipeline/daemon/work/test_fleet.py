"""Workers: whatever a step does costs one attempt of one image, is named, and leaves nothing behind."""

import asyncio
import importlib
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from etendue.images import Image
from etendue.pipeline import Pipeline
from etendue.pipeline.daemon.work.calls import CallError
from etendue.pipeline.daemon.work.fleet import Fleet, FleetClosedError
from etendue.pipeline.running.shipping import Chain, pack

from .conftest import GIB, Trial, fill, is_running


async def wait_until(condition, limit: float = 30.0) -> None:
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        await asyncio.sleep(0.02)


def outcomes_of(trial: Trial, *whats: str, **options) -> list:
    """One outcome for each OBJECT, taken one after another, with a harmless image after each."""

    async def use(fleet: Fleet) -> list:
        found = []
        for what in whats:
            found.append(await fleet.run(trial.work(trial.frame(what))))
            after = await fleet.run(trial.work(trial.frame("star")))
            assert after.status == "done", (what, after)
        return found

    return trial.run_alone(use, **options) if options else trial.run(use)


def test_what_a_step_raises_is_an_outcome_with_its_cause(trial):
    whats = ["star", "error card", "bad", "later", "leave", "interrupt", "garbage"]

    found = outcomes_of(trial, *whats)

    assert [outcome.cause for outcome in found] == ["", "other", "image", "transient", "other", "other", "other"]
    assert [outcome.status for outcome in found] == ["done", *["failed"] * 6]
    assert "KeyError" in found[1].error
    assert "perils.py" in found[1].traceback
    assert "SystemExit" in found[4].error
    assert "KeyboardInterrupt" in found[5].error
    assert "returned str" in found[6].error
    assert found[0].checksum == found[0].checksum.lower() != ""
    assert all(outcome.step == "Peril" for outcome in found[1:5])


def test_a_worker_that_ends_costs_one_attempt(trial):
    segfault, vanish, killed = outcomes_of(trial, "segfault", "vanish", "killed")

    assert {segfault.cause, vanish.cause, killed.cause} == {"died"}
    assert "SIGSEGV" in segfault.error
    assert "perils.py" in segfault.traceback  # where in the code it crashed
    assert "exit status 0" in vanish.error
    assert "SIGKILL" in killed.error
    assert [outcome.step for outcome in (segfault, vanish, killed)] == ["Peril"] * 3


def test_memory_without_end_is_refused_and_nobody_else_suffers(trial):
    arrays, objects, shared = outcomes_of(trial, "arrays", "objects", "shared", limit=GIB // 2)

    assert [arrays.cause, objects.cause, shared.cause] == ["memory"] * 3
    assert "MemoryError" in arrays.error
    assert "MemoryError" in objects.error
    assert "a worker may take" in shared.error
    assert shared.step == "Peril"


def test_what_hangs_is_ended_after_its_time(trial):
    async def use(fleet: Fleet):
        return await fleet.run(trial.work(trial.frame("hang"), timeout=1.0))

    outcome = trial.run(use)

    assert outcome.cause == "time"
    assert outcome.step == "Peril"
    assert "within 1 s" in outcome.error


def test_a_forked_child_that_comes_back_ends_and_does_not_speak(trial):
    (outcome,) = outcomes_of(trial, "child_returns")

    assert outcome.status == "done"
    assert len(outcome.products) == 1


def test_processes_that_a_step_leaves_are_ended(trial, tmp_path):
    lingering, elsewhere = tmp_path / "lingering", tmp_path / "elsewhere"

    async def use(fleet: Fleet):
        first = await fleet.run(trial.work(trial.frame(f"child_lingers {lingering}")))
        worker = int(lingering.read_text())
        await wait_until(lambda: not is_running(worker))  # replaced at once, with all that it has started
        second = await fleet.run(trial.work(trial.frame(f"child_elsewhere {elsewhere}")))
        child = int(elsewhere.read_text())
        await wait_until(lambda: not is_running(child))
        return first, second

    first, second = trial.run(use)

    assert first.status == "done"
    assert second.cause == "died"
    assert "exit status 7" in second.error


def test_what_steps_say_is_kept_with_their_own_job(trial):
    talks, star = outcomes_of(trial, "talks M31", "star")

    assert "printed M31" in talks.log
    assert "written to 1" in talks.log
    assert "INFO peril: logged M31" in talks.log
    assert "warned" in talks.log
    assert star.log == ""


def test_a_flood_of_words_is_cut_in_its_middle(trial):
    (outcome,) = outcomes_of(trial, "floods")

    assert len(outcome.log) < 25_000
    assert outcome.log.startswith("xxx")
    assert "bytes are left out" in outcome.log
    assert outcome.log.endswith("the end\n")


def test_a_step_that_goes_to_another_folder_takes_nobody_along(trial, tmp_path):
    (outcome, after) = outcomes_of(trial, f"goes {tmp_path}", "says_where")

    assert outcome.status == "done"
    assert after.log.strip() == str(Path.cwd())


def test_changed_code_is_used_by_fresh_workers_and_images_in_work_are_finished(trial, perils, monkeypatch):
    module = Path(perils.__file__).with_name("edited.py")
    version = "from perils import Peril\n\n\nclass Edited(Peril):\n    def process(self, image):\n        {}\n"
    say = version.format("print('{}')\n        return super().process(image)")
    module.write_text(say.format("first"))
    chain = pack(Pipeline.of(importlib.import_module("edited").Edited(), perils.Write()))

    async def use(fleet: Fleet):
        first = await fleet.run(trial.work(trial.frame("star"), chain=chain))
        task = asyncio.create_task(fleet.run(trial.work(trial.frame("pauses"), chain=chain)))
        await wait_until(lambda: any(step == "Edited" for job, step in trial.steps[3:]))
        old = {fact.pid for fact in fleet.facts()}
        module.write_text(say.format("the second version"))
        fleet.renew()
        second = await task
        third = await fleet.run(trial.work(trial.frame("star"), chain=chain))
        await wait_until(lambda: not any(map(is_running, old)))
        return first, second, third

    found = trial.run_alone(use, workers=2)

    assert [outcome.status for outcome in found] == ["done"] * 3
    assert [outcome.log.strip() for outcome in found] == ["first", "first", "the second version"]


def test_workers_that_are_being_made_ready_while_code_changes_are_renewed_too(trial):
    async def use(fleet: Fleet):
        await wait_until(lambda: fleet.facts())
        (first,) = fleet.facts()
        fleet.renew()
        outcome = await fleet.run(trial.work(trial.frame("star")))
        await wait_until(lambda: not is_running(first.pid))
        return outcome.status, len(fleet.facts())

    assert trial.run_alone(use) == ("done", 1)


def test_closed_streams_disturb_nobody(trial):
    closes, opens, talks = outcomes_of(trial, "closes", "closes_and_opens", "talks again")

    assert [closes.status, opens.status, talks.status] == ["done"] * 3
    assert opens.products[0].read_text() == "precious"  # nothing of ours was written into it
    assert "printed again" in talks.log


def test_steps_are_told_as_they_begin(trial):
    outcomes_of(trial, "star")

    assert [step for _, step in trial.steps] == ["read", "Peril", "Write"] * 2


def test_products_wait_in_the_staging_folder(trial):
    async def use(fleet: Fleet):
        work = trial.work(trial.frame("star"))
        return work, await fleet.run(work)

    work, outcome = trial.run(use)

    assert outcome.products == (work.staging / f"{work.path.stem}.fits",)
    assert Image.from_file(outcome.products[0]).data[0, 0] == int(work.path.stem)
    assert not list(trial.destination.glob("*.fits"))


def test_a_file_that_is_another_one_than_was_seen_is_not_taken(trial):
    async def use(fleet: Fleet):
        work = trial.work(trial.frame("star"))
        before = replace(work, identity=(work.identity[0], work.identity[1] - 1))
        gone = trial.work(trial.frame("star"))
        gone.path.unlink()
        return await fleet.run(before), await fleet.run(gone)

    before, gone = trial.run(use)

    assert before.cause == "replaced"
    assert gone.cause == "missing"
    assert not before.products


def test_a_chain_can_begin_with_an_empty_image(trial):
    async def use(fleet: Fleet):
        return await fleet.run(trial.work(None))

    outcome = trial.run(use)

    assert outcome.step == "Write"  # it came as far as there: an empty image cannot be written
    assert outcome.cause == "image"
    assert outcome.path == Path("tick")


def test_workers_know_several_chains_and_say_when_one_cannot_be_built(trial, perils):
    other = pack(Pipeline.of(perils.Write()))
    broken = Chain('{"steps": [{"class": "nowhere.Step"}]}', fingerprint="broken")

    async def use(fleet: Fleet):
        path = trial.frame("bad")
        works = [trial.work(path, chain=replace(other, fingerprint="other")) for _ in range(2)]
        works += [trial.work(path, chain=broken), trial.work(path, chain=broken), trial.work(path)]
        return [await fleet.run(work) for work in works]

    found = trial.run(use)

    assert [outcome.status for outcome in found] == ["done", "done", "failed", "failed", "failed"]
    assert [outcome.cause for outcome in found[2:]] == ["other", "other", "image"]
    assert "cannot be rebuilt" in found[3].error


def test_old_workers_are_replaced_without_a_gap(trial):
    async def use(fleet: Fleet):
        await wait_until(lambda: fleet.facts())
        first = fleet.facts()[0].pid
        for _ in range(3):
            assert (await fleet.run(trial.work(trial.frame("star")))).status == "done"
        await wait_until(lambda: first not in [fact.pid for fact in fleet.facts()])
        return fleet.facts()

    assert len(trial.run_alone(use, recycle_after=2)) == 1


def test_cancelling_ends_the_worker_before_it_returns(trial):
    async def use(fleet: Fleet):
        task = asyncio.create_task(fleet.run(trial.work(trial.frame("hang"))))
        await wait_until(lambda: any(step == "Peril" for _, step in trial.steps))
        (fact,) = [fact for fact in fleet.facts() if fact.job is not None]
        assert fact.step == "Peril"
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not is_running(fact.pid)
        return await fleet.run(trial.work(trial.frame("star")))

    assert trial.run(use).status == "done"


def test_what_does_not_fit_into_memory_waits_its_turn(trial):
    async def use(fleet: Fleet):
        large = asyncio.create_task(fleet.run(trial.work(trial.frame("hang"), memory=3 * GIB, timeout=2.0)))
        await wait_until(lambda: fleet.used == 3 * GIB)
        assert fleet.free == 1
        assert not fleet.admits(2 * GIB)
        other = asyncio.create_task(fleet.run(trial.work(trial.frame("star"), memory=2 * GIB)))
        assert (await large).cause == "time"
        return await other

    assert trial.run_alone(use, workers=2).status == "done"


def test_closing_leaves_no_process_and_the_work_undone(trial):
    async def use(fleet: Fleet):
        task = asyncio.create_task(fleet.run(trial.work(trial.frame("hang"))))
        await wait_until(lambda: any(step == "Peril" for _, step in trial.steps))
        pids = [fact.pid for fact in fleet.facts()]
        await fleet.close(grace=0.1)
        with pytest.raises(FleetClosedError):
            await task
        with pytest.raises(FleetClosedError):
            await fleet.run(trial.work(trial.frame("star")))
        return pids

    assert not any(map(is_running, trial.run_alone(use)))


def test_functions_are_called_by_name_only(trial):
    functions = {"root": "math:sqrt", "size": "os.path:getsize", "content": f"{__name__}:content", "end": "os:_exit"}

    async def use(fleet: Fleet):
        assert await fleet.call("content", {"length": 3}, timeout=60) == {"length": 3, "bytes": b"\n\0\xff"}
        for name, arguments, kind, cause in (
            ("system", {}, "LookupError", "other"),
            ("size", {"filename": "/nowhere"}, "FileNotFoundError", "other"),
            ("end", {"status": 5}, "WorkerDiedError", "died"),
        ):
            with pytest.raises(CallError) as caught:
                await fleet.call(name, arguments, timeout=60)
            assert (caught.value.kind, caught.value.cause) == (kind, cause)

    trial.run_alone(use, functions=functions)


def content(length: int) -> dict:
    return {"length": length, "bytes": b"\n\0\xff"}


def test_workers_are_made_ready_for_a_chain(trial):
    from etendue.pipeline import load_pipeline

    chain = replace(pack(load_pipeline("photometry")), fingerprint="photometry")

    async def use(fleet: Fleet):
        fleet.expect([chain])
        await wait_until(lambda: fleet._crew._idle, 120)
        return fleet._crew._idle[0].known

    assert trial.run_alone(use) == {"photometry"}


def test_the_limit_holds_for_a_step_together_with_its_children(trial):
    (outcome,) = outcomes_of(trial, "brood")

    assert outcome.cause == "memory"
    assert "a worker may take 1.07 GB" in outcome.error


def test_a_full_disk_is_not_the_images_fault(trial, disk):
    trial.destination = disk

    async def use(fleet: Fleet):
        work = trial.work(trial.frame("full"))
        found = [await fleet.run(work)]
        shutil.rmtree(work.staging)
        work = trial.work(trial.frame("star"))
        fill(disk / "filler")
        found.append(await fleet.run(work))
        return found

    full, star = trial.run(use)

    assert full.cause == star.cause == "storage"
    assert "No space left" in full.error
    assert str(disk) in star.error
