"""One process: order, failures, products, notebooks."""

import asyncio
import time
from pathlib import Path

import numpy as np
import pytest

from etendue.images import Image, ImageError
from etendue.pipeline import ConfigError, Pipeline
from etendue.pipeline.running import arun_pipeline, run_pipeline


def test_outcomes_are_in_the_order_of_the_input(hazards, make_frames, tmp_path):
    frames = make_frames("a", "bad", "c")[::-1]

    results = run_pipeline(Pipeline.of(hazards.Hazard()), frames, output=tmp_path / "out")

    assert [outcome.path for outcome in results.outcomes] == frames
    assert [outcome.status for outcome in results.outcomes] == ["done", "failed", "done"]


def test_a_failure_names_its_step_and_reason(hazards, make_frames, tmp_path):
    chain = hazards.Add() | hazards.Hazard()

    (outcome,) = run_pipeline(chain, make_frames("raise"), output=tmp_path / "out").failed

    assert outcome.step == "Hazard"
    assert "KeyError" in outcome.error
    assert "no such card" in outcome.traceback
    assert [step for step, _, _ in outcome.timings] == ["read", "Add", "Hazard"]


def test_a_step_that_exits_costs_its_image_only(hazards, make_frames, tmp_path):
    results = run_pipeline(Pipeline.of(hazards.Hazard()), make_frames("exit", "b"), output=tmp_path / "out")

    assert [outcome.status for outcome in results.outcomes] == ["failed", "done"]


def test_a_truncated_file_among_good_ones(hazards, make_frames, tmp_path):
    frames = make_frames("a", "b", "c")
    frames[1].write_bytes(frames[1].read_bytes()[:2900])

    results = run_pipeline(hazards.Add() | hazards.Keep(), frames, output=tmp_path / "out")

    assert [outcome.status for outcome in results.outcomes] == ["done", "failed", "done"]
    assert results.failed[0].step == "read"
    assert "0001.fits" in results.failed[0].error
    assert sorted(path.name for path in (tmp_path / "out").glob("*")) == [".etendue", "0000.fits", "0002.fits"]


def test_an_image_that_ends_on_the_way_is_no_failure(hazards, make_frames, tmp_path):
    results = run_pipeline(Pipeline.of(hazards.Hazard()), make_frames("nothing"), output=tmp_path / "out")

    assert len(results.dropped) == 1
    assert results.dropped[0].step == "Hazard"
    assert not results.failed


def test_results_are_the_images(hazards, make_frames):
    images = Pipeline.of(hazards.Add(number=10)).run(make_frames("a", "b"))

    assert len(images) == 2
    assert [image.data[0, 0] for image in images] == [10.0, 11.0]
    assert images[-1].header["OBJECT"] == "b"


def test_a_kept_image_goes_with_the_results(hazards, make_frames):
    images = Pipeline.of(hazards.Add()).run(make_frames("a"))
    kept = images.outcomes[0].kept
    assert kept is not None
    assert kept.exists()

    del images

    assert not kept.exists()


def test_without_a_copy_the_results_say_what_to_do(hazards, make_frames):
    images = run_pipeline(Pipeline.of(hazards.Add()), make_frames("a"))

    with pytest.raises(ImageError, match="Save"):
        images[0]


def test_images_in_memory(hazards):
    given = [Image(data=np.zeros((4, 4), np.float32), name=f"{i}") for i in range(2)]

    images = Pipeline.of(hazards.Add(number=2)).run(given)

    assert [image.data[0, 0] for image in images] == [2.0, 2.0]
    assert given[0].data[0, 0] == 0.0


def test_images_in_memory_do_not_travel(hazards):
    with pytest.raises(ConfigError, match="workers=1"):
        Pipeline.of(hazards.Add()).run([Image(data=np.zeros((4, 4)))], workers=2)


def test_two_images_cannot_write_one_product(hazards, make_frames, tmp_path):
    chain = Pipeline.of(hazards.Keep(filename="same.fits"))

    results = run_pipeline(chain, make_frames("a", "b"), output=tmp_path / "out")

    assert [outcome.status for outcome in results.outcomes] == ["done", "failed"]
    assert "0000.fits" in results.failed[0].error
    assert Image.from_file(tmp_path / "out" / "same.fits").header["OBJECT"] == "a"


def test_two_images_in_memory_cannot_write_one_product(hazards, tmp_path):
    given = [Image(data=np.zeros((4, 4), np.float32)) for _ in range(2)]

    results = run_pipeline(Pipeline.of(hazards.Keep(filename="same.fits")), given, output=tmp_path)

    assert [outcome.status for outcome in results.outcomes] == ["done", "failed"]


def test_raw_input_is_never_overwritten(hazards, make_frames, tmp_path):
    frames = make_frames("a", "b")
    before = [frame.read_bytes() for frame in frames]
    crossing = Pipeline.of(hazards.Keep(filename="0001.fits"))  # image a would overwrite the raw file of b

    for chain in (Pipeline.of(hazards.Add(), hazards.Keep()), crossing):
        results = run_pipeline(chain, frames, output=tmp_path / "raw")
        assert len(results.failed) == 2
        assert "raw input" in results.failed[0].error

    assert [frame.read_bytes() for frame in frames] == before


def test_provenance_begins_with_the_file(hazards, make_frames):
    (frame,) = make_frames("a")

    (image,) = Pipeline.of(hazards.Add()).run([frame])

    read, add = image.provenance
    assert read.processor == "read"
    assert read.inputs[0].path == str(frame)
    assert len(read.inputs[0].sha256) == 64
    assert add.step == "Add"


def test_it_runs_where_a_loop_runs_already(hazards, make_frames):
    frames = make_frames("a")

    async def cell_of_a_notebook():
        return Pipeline.of(hazards.Add()).run(frames)

    assert len(asyncio.run(cell_of_a_notebook())) == 1


def test_the_loop_stays_responsive(hazards, make_frames):
    chain = Pipeline.of(hazards.Hazard(pause=0.3))

    async def watch() -> float:
        run = asyncio.create_task(arun_pipeline(chain, make_frames("a")))
        longest = 0.0
        while not run.done():
            begin = time.perf_counter()
            await asyncio.sleep(0.001)
            longest = max(longest, time.perf_counter() - begin)
        return longest

    assert asyncio.run(watch()) < 0.2


def test_an_image_may_take_too_long(hazards, make_frames, tmp_path):
    chain = Pipeline.of(hazards.Hazard(pause=0.5))

    results = run_pipeline(chain, make_frames("a"), output=tmp_path / "out", timeout=0.1)

    assert results.failed[0].step == "Hazard"
    assert "0.1 s" in results.failed[0].error


def test_a_sequential_chain_sees_the_images_in_order(hazards, make_frames):
    images = Pipeline.of(hazards.Count()).run(make_frames("a", "b", "c"))

    assert [image.header["SEEN"] for image in images] == [1, 2, 3]


def test_a_stack_is_finished_at_the_end_of_the_run(hazards, make_frames, tmp_path):
    from etendue.pipeline import Stack

    chain = Stack(method="mean") | hazards.Add(number=100) | hazards.Keep(filename="stack.fits")

    results = run_pipeline(chain, make_frames("a", "b", "c"), output=tmp_path / "out")

    assert [outcome.status for outcome in results.outcomes] == ["dropped"] * 3 + ["done"]
    assert Image.from_file(tmp_path / "out" / "stack.fits").data[0, 0] == 101.0


def test_events_tell_how_far_it_is(hazards, make_frames):
    events = []

    run_pipeline(Pipeline.of(hazards.Hazard()), make_frames("a", "bad"), on_event=events.append)

    assert [event.kind for event in events] == ["started", "image", "image", "finished"]
    assert [(event.done, event.failed, event.total) for event in events][-1] == (1, 1, 2)


def test_summary_names_every_failure(hazards, make_frames, tmp_path):
    results = run_pipeline(Pipeline.of(hazards.Hazard()), make_frames("a", "bad"), output=tmp_path / "out")

    first, second = results.summary().splitlines()

    assert first.startswith("1 done, 1 failed in ")
    assert second == "  0001.fits  Hazard: every pixel is masked"


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"timeout": 0}, {"recycle_after": 0}, {"resume": True}])
def test_wrong_arguments_are_refused_before_anything_runs(hazards, make_frames, wrong):
    with pytest.raises(ConfigError):
        run_pipeline(Pipeline.of(hazards.Add()), make_frames("a"), **wrong)


def test_a_file_in_place_of_the_output_folder(hazards, make_frames, tmp_path):
    (tmp_path / "out").write_text("a file")

    with pytest.raises(ConfigError, match="another output folder"):
        run_pipeline(Pipeline.of(hazards.Keep()), make_frames("a"), output=tmp_path / "out")


def test_step_times_count_what_ran(hazards, make_frames):
    results = Pipeline.of(hazards.Add(), hazards.Hazard()).run(make_frames("a", "bad"))

    table = results.step_times()

    assert list(table["step"]) == ["read", "Add", "Hazard"]
    assert list(table["images"]) == [2, 2, 2]
    assert table["seconds"].unit == "s"


def test_products_go_to_the_current_folder_without_output(hazards, make_frames, tmp_path, monkeypatch):
    frames = make_frames("a")
    monkeypatch.chdir(tmp_path)

    run_pipeline(Pipeline.of(hazards.Keep()), frames)

    assert (tmp_path / "0000.fits").exists()
    assert not Path(".etendue").exists()


def test_a_catalogue_in_fits_is_not_taken_for_the_image(make_stars, tmp_path):
    from etendue.processors import find_processor

    make_stars([(20, 20)]).writeto(tmp_path / "stars.fits")
    save = find_processor("SaveCatalog")(filename="{stem}_cat.fits")
    chain = find_processor("SepSourceDetection")() | save

    (image,) = chain.run(tmp_path / "stars.fits", output=tmp_path / "out")

    assert (tmp_path / "out" / "stars_cat.fits").exists()
    assert image.shape == (64, 64)


def test_times_of_steps_within_steps_stand_below_them(hazards, make_frames):
    from etendue.pipeline import Fork

    fork = Fork(chains={"one": [hazards.Add()]})

    table = Pipeline.of(hazards.Add(), fork).run(make_frames("a")).step_times()

    assert list(table["step"]) == ["read", "Add", "Fork", "Fork/one/Add"]


def test_what_a_killed_run_left_is_removed(hazards, make_frames, tmp_path):
    import platform

    left = tmp_path / "out" / ".etendue" / f"run-{platform.node()}-999999999-abc"
    left.mkdir(parents=True)

    run_pipeline(Pipeline.of(hazards.Add()), make_frames("a"), output=tmp_path / "out")

    assert not left.exists()


def test_a_failure_does_not_say_its_file_twice(hazards, make_frames, tmp_path):
    frames = make_frames("a")
    frames[0].write_text("this is a text")

    results = run_pipeline(Pipeline.of(hazards.Add()), frames, output=tmp_path / "out")

    assert results.summary().count("0000.fits") == 1
