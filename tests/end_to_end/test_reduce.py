"""`etendue reduce` as a person types it."""

import json
import shutil

import pytest

from etendue.images import Image
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


def test_an_empty_folder_is_said_and_nothing_is_made(shell, tmp_path):
    (tmp_path / "empty").mkdir()

    result = shell("reduce", "empty", "-o", "out")

    assert result.returncode == 2
    assert "empty: no frames in this folder" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ["-o", "raw/night"],
            "raw/night: the raw frames of raw/night lie in this folder; choose another for the output",
        ),
        (["-o", "raw"], "raw: the raw frames of raw/night lie in this folder"),
        (["-o", "out", "-m", "raw/night"], "choose another for the library of masters"),
        (["-o", "a.txt"], "a.txt: this is a file"),
        (["-o", "out", "-m", "a.txt"], "a.txt: this is a file"),
    ],
)
def test_products_never_go_among_raw_frames_or_into_a_file(command, night, tmp_path, options, sentence):
    shutil.copytree(night, tmp_path / "raw" / "night")
    (tmp_path / "a.txt").write_text("notes")
    before = sorted(tmp_path.rglob("*"))

    result = command("reduce", "raw/night", *options)

    assert result.exit_code == 2
    assert sentence in result.stderr
    assert set(tmp_path.rglob("*")) - set(before) <= {tmp_path / "out"}


def test_the_output_may_lie_within_the_night(command, night, tmp_path):
    shutil.copytree(night, tmp_path / "night")

    first = command("reduce", "night", "-o", "night/out")
    again = command("reduce", "night", "-o", "night/out", "--resume")

    assert first.exit_code == again.exit_code == 0
    assert "13 frames: 3 bias, 3 dark, 3 flat, 4 science" in again.output
    assert "4 done (4 by an earlier run)" in again.output


def test_flats_of_another_size_make_no_master_and_science_says_so(command, night, tmp_path):
    shutil.copytree(night, tmp_path / "night")
    for path in (tmp_path / "night").glob("flat*"):
        image = Image.from_file(path)
        small = image.replace(data=image.data[:200, :200])
        for card in ("BIASSEC", "TRIMSEC", "DATASEC"):
            small.header.remove(card, ignore_missing=True)
        path.unlink()
        small.writeto(path)

    result = command("reduce", "night", "-o", "out")

    assert result.exit_code == 1
    assert "has 256 x 256 pixels, image flat_R_0001.fits 200 x 200 after preparation" in result.output
    assert "Calibration: no flat for filter R" in result.output


def test_a_frame_that_cannot_be_read_is_named_and_is_exit_code_1(command, night, tmp_path):
    shutil.copytree(night, tmp_path / "night")
    torn = tmp_path / "night" / "science_0002.fits"
    torn.write_bytes(torn.read_bytes()[:6000])

    result = command("reduce", "night", "-o", "out")

    assert result.exit_code == 1
    assert "science_0002.fits left alone: it cannot be read" in result.output
    assert "3 done" in result.output
    assert "science_0002.fits" in (tmp_path / "out" / "report.html").read_text()


def test_a_report_that_cannot_be_written_does_not_hide_the_rest(command, night, tmp_path):
    (tmp_path / "out" / "report.html").mkdir(parents=True)

    result = command("reduce", night, "-o", "out")

    assert result.exit_code == 1
    assert "4 done" in result.output
    assert "not written: out/report.html: Is a directory" in result.output
    assert "Traceback" not in result.output
