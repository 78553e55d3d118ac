"""`etendue reduce` as a person types it."""

import json

import pytest

from etendue.processors.simulation import simulate_night


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw") / "night"
    simulate_night(folder, seed=5, frames=4, size=256, biases=3, darks=3, flats=3, filters=("R",))
    return folder


def test_a_night_is_reduced_and_the_report_is_named(command, night, tmp_path):
    result = command("reduce", night, "-o", "out")

    assert result.exit_code == 0, result.output
    assert "13 frames: 3 bias, 3 dark, 3 flat, 4 science" in result.output
    assert "flat R" in result.output
    assert "4 done" in result.output
    assert (tmp_path / "out" / "report.html").exists()
    assert result.output.rstrip().endswith("Report: out/report.html")


def test_two_workers_and_resume(shell, night, tmp_path):
    first = shell("reduce", night, "-o", "out", "-w", "2")
    again = shell("reduce", night, "-o", "out", "-w", "2", "--resume")

    assert first.returncode == 0, first.stderr
    assert again.returncode == 0, again.stderr
    assert "built before" in again.stdout
    assert "4 done (4 by an earlier run)" in again.stdout


def test_json_is_for_machines(command, night):
    result = command("reduce", night, "-o", "out", "--json")

    found = json.loads(result.stdout)
    assert found["frames"] == {"bias": 3, "dark": 3, "flat": 3, "science": 4}
    assert [master["status"] for master in found["masters"]] == ["accepted"] * 4
    assert found["science"]["done"] == 4


def test_a_failed_frame_is_exit_code_1(command, night, tmp_path):
    lonely = tmp_path / "lonely"
    lonely.mkdir()
    (lonely / "a.fits").symlink_to(night / "science_0001.fits")

    result = command("reduce", lonely, "-o", "out")

    assert result.exit_code == 1
    assert "Calibration: no bias" in result.output


def test_a_missing_folder_is_said_in_a_sentence(shell):
    result = shell("reduce", "nowhere", "-o", "out")

    assert result.returncode == 2
    assert "nowhere: there is no such file or folder" in result.stderr
    assert "Traceback" not in result.stderr
