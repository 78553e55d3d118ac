"""Worker processes: what dies, hangs or is killed costs one attempt of one image, and is named."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from etendue.images import Image
from etendue.pipeline import ConfigError, Pipeline
from etendue.pipeline.running import run_pipeline

SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {modules!r})
from hazards import Hazard, Keep
from etendue.pipeline.running import run_pipeline

if __name__ == "__main__":
    chain = Hazard(pause={pause}) | Keep()
    results = run_pipeline(
        chain, {folder!r}, output={output!r}, workers={workers},
        on_event=lambda event: print(event.kind, flush=True),
    )
    print(results.summary(), flush=True)
    sys.exit(130 if results.interrupted else 0)
"""


def children(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def wait_until(condition, limit: float = 20.0) -> bool:
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


@pytest.fixture
def start(hazards, make_frames, tmp_path):
    """A run in a process of its own, as soon as it has taken its first image."""
    started: list[subprocess.Popen[str]] = []

    def start_run(*objects: str, pause: float, workers: int) -> subprocess.Popen[str]:
        make_frames(*objects)
        script = tmp_path / "night.py"
        modules = str(Path(hazards.__file__).parent)
        folder, output = str(tmp_path / "raw"), str(tmp_path / "out")
        script.write_text(SCRIPT.format(modules=modules, pause=pause, folder=folder, output=output, workers=workers))
        process = subprocess.Popen(
            [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        for kind in iter(process.stdout.readline, ""):  # type: ignore[union-attr]
            if kind.strip() == "image":
                break
        return process

    yield start_run
    for process in started:
        process.kill()
        process.communicate()


def test_what_dies_hangs_or_fails_costs_only_itself(hazards, make_frames, tmp_path):
    frames = make_frames("a", "segfault", "b", "hang", "raise", "exit", "kill once", "c")
    marks = tmp_path / "marks"
    marks.mkdir()
    chain = hazards.Add() | hazards.Hazard(marks=str(marks)) | hazards.Keep()
    before = {child.pid for child in psutil.Process().children()}  # servers that other tests have started

    results = run_pipeline(chain, frames, output=tmp_path / "out", workers=2, timeout=2)

    done, segfault, _, hang, raised, left, killed, _ = results.outcomes
    assert [outcome.path for outcome in results.outcomes] == frames
    assert [outcome.status for outcome in results.outcomes] == [
        "done", "failed", "done", "failed", "failed", "failed", "done", "done",
    ]  # fmt: skip
    assert done.products == (tmp_path / "out" / "0000.fits",)
    assert segfault.step == "Hazard"
    assert "SIGSEGV" in segfault.error
    assert "2 times" in segfault.error
    assert "hazards.py" in segfault.traceback  # where in the code it crashed
    assert len(list(marks.glob("0001.fits.*"))) == 2
    assert hang.step == "Hazard"
    assert "within 2 s" in hang.error
    assert "KeyError" in raised.error
    assert "SystemExit" in left.error
    assert "SIGKILL" in killed.notes[0]
    assert "Hazard" in killed.notes[0]
    assert killed.notes[0] in results.summary()
    assert not [child for child in psutil.Process().children() if child.pid not in before]


def test_workers_do_the_same_work(hazards, make_frames, tmp_path):
    frames = make_frames("a", "b", "c")
    chain = hazards.Add(number=0.5) | hazards.Keep()

    inline = run_pipeline(chain, frames, output=tmp_path / "one")
    workers = run_pipeline(chain, frames, output=tmp_path / "two", workers=2)

    assert [image.data.tolist() for image in inline] == [image.data.tolist() for image in workers]
    assert [outcome.facts for outcome in inline.outcomes] == [outcome.facts for outcome in workers.outcomes]
    assert [a.step for a in workers[0].provenance] == [a.step for a in inline[0].provenance]


def test_printing_steps_disturb_nobody(hazards, make_frames, capfd):
    results = Pipeline.of(hazards.Hazard()).run(make_frames("print", "print"), workers=2)

    assert len(results.done) == 2
    assert capfd.readouterr().err.count("hello from a step") == 2


def test_a_steps_time_limit_holds_in_workers_and_what_was_left_out_is_told(hazards, make_frames, tmp_path):
    steps = [{"processor": hazards.Hazard(), "timeout": 0.3, "on_error": "warn"}, hazards.Keep()]

    results = run_pipeline(Pipeline(steps=steps), make_frames("hang", "c", "hang"), output=tmp_path / "out", workers=2)

    assert len(results.done) == 3
    assert [len(outcome.notes) for outcome in results.outcomes] == [1, 0, 1]
    assert results.outcomes[0].notes == ("went on without Hazard: not finished within 0.3 s",)
    assert "3 done (2 with warnings)" in results.summary()


def test_workers_are_replaced(hazards, make_frames, tmp_path):
    marks = tmp_path / "marks"
    marks.mkdir()
    chain = Pipeline.of(hazards.Hazard(marks=str(marks)))

    results = run_pipeline(chain, make_frames(*"abcd"), output=tmp_path / "out", workers=2, recycle_after=1)

    assert len(results.done) == 4
    assert len({mark.suffix for mark in marks.iterdir()}) == 4


def test_two_images_in_two_workers_cannot_write_one_product(hazards, make_frames, tmp_path):
    chain = Pipeline.of(hazards.Keep(filename="same.fits"))

    results = run_pipeline(chain, make_frames("a", "b"), output=tmp_path / "out", workers=2)

    assert sorted(outcome.status for outcome in results.outcomes) == ["done", "failed"]


def test_a_sequential_chain_has_one_worker(hazards, make_frames):
    images = Pipeline.of(hazards.Count()).run(make_frames(*"abcd"), workers=2)

    assert [image.header["SEEN"] for image in images] == [1, 2, 3, 4]


def test_what_a_dead_worker_remembered_is_lost_and_said(hazards, make_frames, tmp_path):
    (tmp_path / "marks").mkdir()
    chain = hazards.Count() | hazards.Hazard(marks=str(tmp_path / "marks"))

    results = chain.run(make_frames("a", "kill once", "c"), workers=2)

    assert [image.header["SEEN"] for image in results] == [1, 1, 2]
    assert "lost" in results.outcomes[1].notes[1]


def test_a_stack_in_a_worker_is_finished(hazards, make_frames, tmp_path):
    from etendue.pipeline import Stack

    chain = Stack(method="mean") | hazards.Keep(filename="stack.fits")

    run_pipeline(chain, make_frames("a", "b", "c"), output=tmp_path / "out", workers=2)

    assert Image.from_file(tmp_path / "out" / "stack.fits").data[0, 0] == 1.0


def test_a_function_of_a_function_cannot_travel(hazards, make_frames):
    def local(image: Image) -> Image:
        return image

    with pytest.raises(ConfigError, match="workers=1"):
        Pipeline.of(local).run(make_frames("a"), workers=2)


def test_a_processor_of_the_script_itself_travels(make_frames, tmp_path):
    frames = make_frames("a", "b")
    script = tmp_path / "script.py"
    script.write_text(
        "from etendue.images import Image\n"
        "from etendue.pipeline import Pipeline\n"
        "def invert(image: Image) -> Image:\n"
        "    return image.replace(data=-image.data)\n"
        "if __name__ == '__main__':\n"
        f"    images = Pipeline.of(invert).run({[str(frame) for frame in frames]!r}, workers=2)\n"
        "    print(images[1].data[0, 0], images[1].provenance[1].processor)\n"
    )

    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False)

    assert done.stdout.split() == ["-1.0", "__main__.invert"], done.stderr


def test_a_script_without_its_guard_is_told(make_frames, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from etendue.pipeline import Pipeline\n"
        "def same(image):\n"
        "    return image\n"
        f"Pipeline.of(same).run({[str(frame) for frame in make_frames('a')]!r}, workers=2)\n"
    )

    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode != 0
    assert "__name__ == '__main__'" in done.stderr


def test_ctrl_c_finishes_what_runs_and_starts_nothing_more(start, tmp_path):
    process = start(*["star"] * 20, pause=0.4, workers=2)

    os.kill(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=20)

    assert process.returncode == 130
    assert "Interrupted" in out
    products = {path.name for path in (tmp_path / "out").glob("*.fits")}
    journal = (tmp_path / "out" / ".etendue" / "journal.jsonl").read_text().splitlines()
    assert 2 <= len(products) < 20
    assert len(journal) == len(products)
    assert not list((tmp_path / "out").rglob("*.part"))


def test_a_second_ctrl_c_ends_what_runs(start):
    process = start("star", "hang", "hang", "star", pause=0.0, workers=2)

    os.kill(process.pid, signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None
    os.kill(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=20)

    assert "Interrupted" in out
    assert process.returncode == 130


def test_workers_end_with_their_parent(start):
    process = start(*["star"] * 20, pause=0.5, workers=2)
    workers = children(process)
    assert len(workers) == 2

    os.kill(process.pid, signal.SIGKILL)
    process.wait()

    assert wait_until(lambda: not any(worker.is_running() and worker.status() != "zombie" for worker in workers), 5)


def test_a_worker_that_is_killed_from_outside_is_replaced(start):
    process = start(*["star"] * 8, pause=0.3, workers=2)

    children(process)[0].kill()
    out, _ = process.communicate(timeout=30)

    assert "8 done" in out
    assert "SIGKILL" in out
