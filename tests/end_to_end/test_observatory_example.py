"""The observatory of the examples, served as the guide says: frames come in, and a reduced night comes out."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

FRAMES = 6


def etendue(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "etendue", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


def listed(cwd: Path) -> list[dict]:
    done = etendue("queue", "list", "observatory.yaml", "--json", "--limit", 200, cwd=cwd)
    return json.loads(done.stdout)["jobs"] if done.returncode == 0 else []


def wait_for(condition, process: subprocess.Popen, log: Path, seconds: float = 240.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.5)


@pytest.fixture
def observatory(repository, tmp_path):
    """The example's folder, with its daemon; and its log."""
    folder = tmp_path / "observatory"
    shutil.copytree(repository / "examples" / "observatory", folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "incoming").mkdir()
    log = folder / "daemon.jsonl"
    with log.open("wb") as stream:
        command = [sys.executable, "-m", "etendue", "serve", "observatory.yaml", "--port", "0"]
        process = subprocess.Popen(command, cwd=folder, stderr=stream, stdout=stream, start_new_session=True)
    yield folder, process, log
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.slow
def test_a_night_comes_in_and_is_reduced(observatory):
    folder, process, log = observatory
    telescope = [sys.executable, "telescope.py", "--frames", str(FRAMES), "--size", "384"]
    subprocess.run(telescope, cwd=folder, check=True, timeout=120, capture_output=True)

    def settled():
        jobs = listed(folder)
        science = [job for job in jobs if job["label"].startswith("science")]
        open_ones = [job for job in jobs if job["state"] in ("waiting", "queued", "running")]
        return len(science) == FRAMES and not open_ones

    wait_for(settled, process, log)

    jobs = listed(folder)
    ends = Counter(job["state"] for job in jobs if job["kind"] in ("image", "frame"))
    assert ends == {"done": FRAMES + 15}, [(job["label"], job["state"], job["error"], job["reason"]) for job in jobs]
    products = sorted(path.name for path in (folder / "reduced").iterdir() if not path.name.startswith("."))
    assert sum(name.endswith("_cat.fits") for name in products) == FRAMES
    assert len(list((folder / "masters").rglob("*.fits"))) == 4
    assert etendue("queue", "check", "observatory.yaml", cwd=folder).returncode == 0

    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    for line in log.read_text().splitlines():
        assert {"time", "level", "message", "daemon", "job", "image", "chain", "step"} <= json.loads(line).keys()
