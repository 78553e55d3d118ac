"""A night that is stopped in the middle, gently or not, and resumed: nothing is done twice, nothing is half."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from etendue.images import Image
from etendue.processors.simulation import simulate_night

pytestmark = pytest.mark.slow

CHAIN = """
steps:
  - class: Calibration
  - class: slow.wait
  - class: Save
"""

SLOW = """
import time
from etendue.images import Image
def wait(image: Image) -> Image:
    time.sleep(0.2)
    return image
"""

COUNT = 5


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw") / "night"
    simulate_night(folder, seed=2, frames=COUNT, size=256, biases=10, darks=10, flats=10, filters=("R",))
    return folder


def stopped(arguments: list, how: signal.Signals, when: str, folder: Path) -> tuple[int, str]:
    """Start the command, send it a signal as soon as such a file is there, and wait for its end."""
    with (folder / "said").open("w") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "etendue", *map(str, arguments)], cwd=folder, stdout=said, stderr=said
        )
        deadline = time.monotonic() + 60
        while process.poll() is None and not any(folder.glob(when)) and time.monotonic() < deadline:
            time.sleep(0.002)
        os.kill(process.pid, how)
        code = process.wait(timeout=60)
    return code, (folder / "said").read_text()


def finished(output: Path) -> dict[Path, int]:
    """What is done, and when it was written: masters, and products in the journal."""
    journal = output / "reduced" / ".etendue" / "journal.jsonl"
    lines = journal.read_text().splitlines() if journal.exists() else []
    products = [Path(product) for line in lines for product in json.loads(line)["outcome"]["products"]]
    return {path: path.stat().st_mtime_ns for path in [*(output / "masters").glob("*.fits"), *products]}


@pytest.mark.parametrize("when", ["out/masters/bias*.fits", "out/reduced/science_0002*.fits"])
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_night_goes_on_where_it_was(raw, shell, tmp_path, how, when):
    (tmp_path / "chain.yaml").write_text(CHAIN)
    (tmp_path / "slow.py").write_text(SLOW)
    arguments = ["reduce", raw, "-p", "chain.yaml", "-o", "out"]
    output = tmp_path / "out"

    code, said = stopped(arguments, how, when, tmp_path)
    before = finished(output)
    resumed = shell(*arguments, "--resume")

    assert code == (130 if how is signal.SIGINT else -signal.SIGKILL), said
    assert how is signal.SIGKILL or "Interrupted" in said
    assert "Traceback" not in said
    assert len(before) >= (1 if "masters" in when else 4)
    assert resumed.returncode == 0, resumed.stderr
    assert f"{COUNT} done" in resumed.stdout
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(list((output / "reduced").glob("*.fits"))) == COUNT
    assert not list(output.rglob(".*.part"))
    for path in output.rglob("*.fits"):
        assert Image.from_file(path).safe_data is not None


def test_what_a_killed_run_was_writing_is_removed(raw, shell, tmp_path):
    (tmp_path / "chain.yaml").write_text(CHAIN.replace("  - class: slow.wait\n", ""))
    half = tmp_path / "out" / "masters" / ".bias_2026-03-20.fits.0123abcd.part"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"SIMPLE")

    result = shell("reduce", raw, "-p", "chain.yaml", "-o", "out", "--resume")

    assert result.returncode == 0, result.stderr
    assert not half.exists()
