"""`etendue simulate night`."""

from typer.testing import CliRunner

from etendue.images import Image
from etendue.pipeline.cli import app


def simulate(*arguments):
    return CliRunner().invoke(app, ["simulate", "night", *map(str, arguments)])


def test_a_night_is_written_with_its_truth(tmp_path):
    result = simulate(tmp_path / "raw", "--frames", 2, "--size", 64, "--seed", 3)

    assert result.exit_code == 0, result.output
    assert "36 raw frames of 64 × 64 px, 2 of them science" in result.output
    assert len(list((tmp_path / "raw").glob("*.fits"))) == 36
    assert Image.from_file(tmp_path / "raw" / "science_0002.fits").shape == (64, 96)
    assert (tmp_path / "raw" / "truth" / "frames.ecsv").is_file()


def test_frames_of_another_night_are_not_mixed_in(tmp_path):
    (tmp_path / "science_0003.fits").touch()

    result = simulate(tmp_path, "--frames", 2, "--size", 64)

    assert result.exit_code != 0
    assert [path.name for path in tmp_path.glob("*.fits")] == ["science_0003.fits"]


def test_more_frames_than_a_night_has_room_for_are_refused(tmp_path):
    result = simulate(tmp_path, "--frames", 9000, "--size", 64)

    assert result.exit_code != 0
    assert not list(tmp_path.glob("*.fits"))
