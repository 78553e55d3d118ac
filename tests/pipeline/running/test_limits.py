"""Memory that images share, disks that are full, and what is told while a run goes on."""

import asyncio
import io
import os
import subprocess
from pathlib import Path

import pytest
from rich.console import Console

from etendue.pipeline import ConfigError, Pipeline
from etendue.pipeline.running import Event, Outcome, run_pipeline
from etendue.pipeline.running.memory import Budget, working_memory
from etendue.pipeline.running.pool import remove_unfinished
from etendue.pipeline.running.progress import progress_reporter
from etendue.pipeline.running.results import spell


def test_images_wait_for_memory():
    budget = Budget(100)

    assert budget.admit(1, 60)
    assert not budget.admit(2, 60)
    budget.release(1)
    assert budget.admit(2, 60)


def test_an_image_too_large_for_the_budget_runs_alone():
    budget = Budget(100)

    assert budget.admit(1, 500)
    assert not budget.admit(2, 1)


def test_a_missing_file_needs_no_memory(tmp_path):
    assert working_memory(tmp_path / "missing.fits") == 0


def test_a_small_budget_takes_one_image_at_a_time(hazards, make_frames, tmp_path):
    marks = tmp_path / "marks"
    marks.mkdir()
    chain = Pipeline.of(hazards.Hazard(marks=str(marks), pause=0.2))

    results = run_pipeline(chain, make_frames(*"abcd"), output=tmp_path / "out", workers=2, memory=1)

    assert len(results.done) == 4
    assert results.seconds > 0.8


@pytest.fixture
def tiny_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_a_failure_that_says_so(hazards, make_frames, tiny_disk):
    (tiny_disk / "ballast").write_bytes(bytes(44 * 1024))
    chain = Pipeline.of(hazards.Keep())

    results = run_pipeline(chain, make_frames(*"abcd"), output=tiny_disk)

    assert results.failed
    assert "No space left" in results.failed[0].error
    assert {outcome.products[0] for outcome in results.done} == set(tiny_disk.glob("*.fits"))
    assert not list(tiny_disk.rglob("*.part"))


def test_what_a_dead_process_left_is_removed(tmp_path):
    left, later = tmp_path / ".a.fits.12ab34cd.part", tmp_path / ".b.fits.12ab34cd.part"
    product, foreign = tmp_path / "c.fits", tmp_path / ".film.part"
    for path, when in ((left, 1000), (later, 2000), (product, 1000), (foreign, 1000)):
        path.touch()
        os.utime(path, (when, when))

    remove_unfinished(tmp_path, 990, 1010)

    assert not left.exists()
    assert later.exists()
    assert product.exists()
    assert foreign.exists()


def test_progress_lines_tell_failures_and_how_far_it_is():
    text = io.StringIO()
    tell = progress_reporter(Console(file=text, width=60))
    failed = Outcome(Path("0007.fits"), "failed", step="Save", error="the disk is full [and] red")

    tell(Event("started", None, 0, 0, 3))
    tell(Event("image", Outcome(Path("a"), "done"), 1, 0, 3, 1.0, "photometry"))
    tell(Event("image", failed, 1, 1, 3, 12.0, "photometry"))
    tell(Event("finished", None, 2, 1, 3))

    assert text.getvalue().splitlines() == [
        "  0007.fits  Save: the disk is full [and] red",
        "photometry: 2/3 in 12.0 s",
    ]


def test_progress_on_a_terminal_is_a_bar():
    text = io.StringIO()
    tell = progress_reporter(Console(file=text, force_terminal=True, width=100))

    tell(Event("started", None, 0, 0, 2))
    tell(Event("image", Outcome(Path("a"), "failed"), 0, 1, 2))
    tell(Event("finished", None, 1, 1, 2))

    assert "1 failed" in text.getvalue()
    assert "━" in text.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0123, "12 ms"), (3.94, "3.9 s"), (59.99, "1 min 00 s"), (250, "4 min 10 s"), (7500, "2 h 05 min")],
)
def test_times_are_spelt_as_people_read_them(seconds, text):
    assert spell(seconds) == text


def test_cancelling_ends_the_workers(hazards, make_frames):
    import psutil

    from etendue.pipeline.running import arun_pipeline

    chain = Pipeline.of(hazards.Hazard(pause=30))

    async def begin_and_cancel():
        task = asyncio.create_task(arun_pipeline(chain, make_frames("a", "b"), workers=2))
        await asyncio.sleep(2.5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    before = {child.pid for child in psutil.Process().children()}  # servers that other tests have started
    asyncio.run(begin_and_cancel())

    assert not [child for child in psutil.Process().children() if child.pid not in before]


def test_a_short_run_prints_no_line_beside_its_summary():
    text = io.StringIO()
    tell = progress_reporter(Console(file=text, width=60))

    tell(Event("image", Outcome(Path("0007.fits"), "failed", step="Save", error="the disk is full"), 0, 1, 2, 1.0))
    tell(Event("image", Outcome(Path("0008.fits"), "done"), 1, 1, 2, 12.0))

    assert text.getvalue() == ""


def test_an_option_that_no_reader_has_is_refused_before_the_run(hazards, make_frames, tmp_path):
    with pytest.raises(ConfigError, match="read: no reader has an option 'maks'"):
        run_pipeline(Pipeline.of(hazards.Keep()), make_frames("a"), output=tmp_path / "out", read={"maks": "DQ"})
