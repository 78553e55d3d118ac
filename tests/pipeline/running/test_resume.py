"""The journal, and runs that go on where an earlier one ended."""

import json
import os

import pytest

from etendue.pipeline import Pipeline
from etendue.pipeline.running import find_images, run_pipeline
from etendue.pipeline.running.journal import Journal, entries, identity
from etendue.pipeline.running.outcome import Outcome


def statuses(results):
    return [outcome.status for outcome in results.outcomes]


@pytest.fixture
def chain(hazards):
    return hazards.Add() | hazards.Hazard() | hazards.Keep()


def test_done_images_are_not_done_again(chain, make_frames, tmp_path):
    frames = make_frames("a", "nothing", "bad")
    run_pipeline(chain, frames, output=tmp_path / "out")
    product = tmp_path / "out" / "0000.fits"
    before = product.stat().st_mtime_ns

    again = run_pipeline(chain, frames, output=tmp_path / "out", resume=True)

    assert statuses(again) == ["resumed", "dropped", "failed"]
    assert product.stat().st_mtime_ns == before
    assert again[0].data[0, 0] == 1.0
    assert "1 done (1 by an earlier run)" in again.summary()


def test_what_changed_is_done_again(chain, hazards, make_frames, tmp_path):
    frames = make_frames("a", "b", "c")
    run_pipeline(chain, frames, output=tmp_path / "out")
    os.utime(frames[0])
    (tmp_path / "out" / "0001.fits").unlink()

    again = run_pipeline(chain, frames, output=tmp_path / "out", resume=True)
    other = run_pipeline(hazards.Add(number=2) | hazards.Keep(), frames, output=tmp_path / "out", resume=True)

    assert statuses(again) == ["done", "done", "resumed"]
    assert statuses(other) == ["done"] * 3


def test_another_way_of_reading_is_another_run(chain, make_frames, tmp_path):
    frames = make_frames("a")
    run_pipeline(chain, frames, output=tmp_path / "out")

    again = run_pipeline(chain, frames, output=tmp_path / "out", resume=True, read={"dtype": "float64"})

    assert statuses(again) == ["done"]


def test_without_resume_everything_is_done_again(chain, make_frames, tmp_path):
    frames = make_frames("a")
    run_pipeline(chain, frames, output=tmp_path / "out")

    assert statuses(run_pipeline(chain, frames, output=tmp_path / "out")) == ["done"]


def test_a_torn_line_costs_one_image(chain, make_frames, tmp_path):
    frames = make_frames("a", "b")
    run_pipeline(chain, frames, output=tmp_path / "out")
    journal = tmp_path / "out" / ".etendue" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-40])

    assert statuses(run_pipeline(chain, frames, output=tmp_path / "out", resume=True)) == ["resumed", "done"]
    assert statuses(run_pipeline(chain, frames, output=tmp_path / "out", resume=True)) == ["resumed", "resumed"]


def test_a_chain_with_memory_is_resumed_as_a_whole(hazards, make_frames, tmp_path):
    frames = make_frames("a", "b")
    chain = hazards.Count() | hazards.Keep()
    run_pipeline(chain, frames, output=tmp_path / "out")

    whole = run_pipeline(chain, frames, output=tmp_path / "out", resume=True)
    (tmp_path / "out" / "0001.fits").unlink()
    part = run_pipeline(chain, frames, output=tmp_path / "out", resume=True)

    assert statuses(whole) == ["resumed", "resumed"]
    assert statuses(part) == ["done", "done"]


def test_workers_resume_too(chain, make_frames, tmp_path):
    frames = make_frames("a", "b")
    run_pipeline(chain, frames[:1], output=tmp_path / "out")

    assert statuses(run_pipeline(chain, frames, output=tmp_path / "out", resume=True, workers=2)) == ["resumed", "done"]


def test_each_line_is_whole_json(tmp_path):
    source = tmp_path / "a.fits"
    source.write_bytes(b"x")
    outcome = Outcome(source, "failed", step="Näme", error='a "quoted"\nreason')

    with Journal(tmp_path / "out", "fingerprint") as journal:
        journal.append(outcome, identity(source))
        journal.append(outcome, identity(source))

    assert [json.loads(line)["fingerprint"] for line in journal.path.read_text().splitlines()] == ["fingerprint"] * 2
    assert [entry.outcome for entry in entries(journal.path)] == [outcome, outcome]


def test_a_folders_frames_are_found_and_products_are_not(chain, make_frames, tmp_path):
    frames = make_frames("a", "b")
    folder = frames[0].parent
    (folder / ".hidden.fits").write_bytes(b"")
    (folder / ".0002.fits.12ab.part").write_bytes(b"")
    (folder / "notes.txt").write_text("seeing was good")
    run_pipeline(chain, folder, output=folder / "reduced")

    assert find_images([folder]) == frames
    assert find_images([folder / "reduced"]) == [folder / "reduced" / "0000.fits", folder / "reduced" / "0001.fits"]


def test_products_beside_the_raw_files_are_not_taken_for_raw(hazards, make_frames, tmp_path):
    frames = make_frames("a", "b")
    folder = frames[0].parent
    chain = Pipeline.of(hazards.Keep(filename="{}_reduced.fits"))
    run_pipeline(chain, folder, output=folder)

    assert find_images([folder], output=folder) == frames


def test_all_wrong_paths_are_told_at_once(tmp_path):
    from etendue.pipeline import ConfigError

    (tmp_path / "empty").mkdir()

    with pytest.raises(ConfigError) as caught:
        find_images([tmp_path / "empty", tmp_path / "missing.fits"])

    assert "no frames" in str(caught.value).splitlines()[0]
    assert "no such file" in str(caught.value).splitlines()[1]


def test_a_named_file_counts_once(make_frames):
    (frame,) = make_frames("a")

    assert find_images([frame, frame.parent, str(frame)]) == [frame]


def test_links_in_circles_are_followed_once(make_frames):
    (frame,) = make_frames("a")
    (frame.parent / "night").symlink_to(frame.parent)

    assert find_images([frame.parent]) == [frame]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_resumed_run_does_not_write_over_what_an_earlier_one_did(hazards, make_frames, tmp_path, workers):
    frames = make_frames("a", "b")
    chain = Pipeline.of(hazards.Keep(filename="all.fits"))
    run_pipeline(chain, frames, output=tmp_path / "out")
    before = (tmp_path / "out" / "all.fits").read_bytes()

    again = run_pipeline(chain, frames, output=tmp_path / "out", resume=True, workers=workers)

    assert statuses(again) == ["resumed", "failed"]
    assert "all.fits was already written for 0000.fits" in again.failed[0].error
    assert (tmp_path / "out" / "all.fits").read_bytes() == before


def test_images_of_one_name_are_told_apart(hazards, make_frames, tmp_path, monkeypatch):
    (frame,) = make_frames("a")
    other = tmp_path / "other" / frame.name
    other.parent.mkdir()
    other.write_bytes(frame.read_bytes())
    monkeypatch.chdir(tmp_path)

    results = run_pipeline(Pipeline.of(hazards.Keep()), [frame, other], output=tmp_path / "out")

    assert f"  {other.relative_to(tmp_path)}  Keep: " in results.summary()
    assert f"was already written for {frame} " in results.failed[0].error


def test_two_ways_to_write_a_path_are_one_image(make_frames):
    (frame,) = make_frames("a")
    assert find_images([frame, frame.parent / ".." / frame.parent.name / frame.name]) == [frame]


def test_masks_and_weights_in_files_of_their_own_are_no_images(make_frames):
    frames = make_frames("a", "b", "c", "d")
    names = ("n_ooi_r.fits", "n_ood_r.fits", "n_oow_r.fits", "alone_ood_r.fits")
    image, mask, weight, alone = (
        frame.rename(frame.with_name(name)) for frame, name in zip(frames, names, strict=True)
    )

    assert find_images([image.parent], read={"layout": "community_pipeline"}) == [alone, image]
    assert find_images([mask], read={"layout": "community_pipeline"}) == [mask]
    assert find_images([image.parent]) == sorted([image, mask, weight, alone])
