"""What goes wrong is said in a sentence, the other images go on, and nothing is half-written."""

import shutil
import subprocess
from pathlib import Path

import pytest

from etendue.images import Image

GOOD_CHAIN = """
- class: SubtractBackground
  box_size: 16
- class: Save
  filename: "{stem}_sky.fits"
"""


@pytest.fixture
def chain(write_chain):
    return write_chain(GOOD_CHAIN)


def refused(result, *words):
    """The command ended with 2, a sentence and no traceback."""
    stderr = result.stderr
    assert (getattr(result, "exit_code", None) or result.returncode) == 2, stderr
    assert "Traceback" not in stderr
    for word in words:
        assert word in stderr
    return True


def test_a_missing_file_is_refused_before_anything_runs(command, chain, write_frame, tmp_path):
    good = write_frame("good.fits")

    assert refused(command("run", chain, good, "night/0043.fits", "-o", "out"), "night/0043.fits", "no such file")
    assert not list(tmp_path.glob("out/*.fits"))


@pytest.mark.parametrize("damage", ["text", "truncated", "empty"])
def test_a_damaged_file_fails_and_the_others_go_on(command, chain, write_frame, tmp_path, damage):
    frames = [write_frame(f"night/{name}.fits", seed=seed) for seed, name in enumerate("abc")]
    whole = frames[1].read_bytes()
    frames[1].write_bytes({"text": b"Dear diary, clouds again.\n" * 9, "truncated": whole[:6000], "empty": b""}[damage])

    result = command("run", chain, "night", "-o", "out")

    assert result.exit_code == 1
    assert "2 done, 1 failed" in result.output
    assert "b.fits" in result.output
    assert "Traceback" not in result.output
    assert sorted(path.name for path in tmp_path.glob("out/[!.]*")) == ["a_sky.fits", "c_sky.fits"]


def test_a_folder_without_frames_is_refused(command, chain, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("clouds")

    assert refused(command("run", chain, "empty", "-o", "out"), "empty", "no frames")


def test_an_unknown_chain_is_refused(command, write_frame):
    assert refused(command("run", "fotometry", write_frame("a.fits"), "-o", "out"), "fotometry", "photometry")


def test_all_mistakes_of_a_chain_are_told_at_once_like_a_compiler_does(command, write_chain, write_frame, tmp_path):
    chain = write_chain("- class: SubtractBackgrond\n- class: SubtractBackground\n  box_sise: 16\n  sigma: wide")

    result = command("run", chain, write_frame("a.fits"), "-o", "out")

    assert refused(result, "did you mean 'SubtractBackground'?", "did you mean 'box_size'?", "chain.yaml:5:", "sigma")
    assert all(line.startswith(str(chain)) or line.startswith("chain.yaml:") for line in result.stderr.splitlines())
    assert not list(tmp_path.glob("out/*.fits"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--workers", "0"], ["--workers"]),
        (["--workers", "many"], ["--workers"]),
        (["--var", "treshold=3"], ["treshold"]),
        (["--var", "threshold"], ["--var name=value"]),
        (["--set", "steps.SubtractBackgrond.box_size=3"], ["SubtractBackground"]),
        (["--set", "steps.SubtractBackground.box_sise=3"], ["box_size"]),
        (["--set", "steps.SubtractBackground.box_size=wide"], ["box_size"]),
        (["--memory", "lots"], ["--memory", "4GB"]),
        (["--timeout", "soon"], ["--timeout"]),
        (["--wrokers", "2"], ["--workers"]),
    ],
)
def test_wrong_arguments_are_refused(command, chain, write_frame, arguments, words):
    assert refused(command("run", chain, write_frame("a.fits"), "-o", "out", *arguments), *words)


def test_output_that_is_a_file_is_refused(command, chain, write_frame, tmp_path):
    (tmp_path / "out").write_text("precious")

    assert refused(command("run", chain, write_frame("a.fits"), "-o", "out"), "-o out", "is a file")
    assert (tmp_path / "out").read_text() == "precious"


def test_output_below_a_file_is_refused(command, chain, write_frame, tmp_path):
    (tmp_path / "file").write_text("precious")

    assert refused(command("run", chain, write_frame("a.fits"), "-o", "file/out"), "-o file/out", "cannot be made")


def test_a_step_that_raises_is_named_with_its_reason(command, write_chain, write_frame, tmp_path):
    (tmp_path / "mysteps.py").write_text(
        "from etendue.images import Image\n"
        "def look_up(image: Image) -> Image:\n"
        '    """Look something up that only M 1 has."""\n'
        '    return {"M 1": image}[image.header["OBJECT"]]\n'
    )
    chain = write_chain("- class: mysteps.look_up" + GOOD_CHAIN)
    frames = [write_frame("a.fits"), write_frame("b.fits", OBJECT="M 2")]

    result = command("run", chain, *frames, "-o", "out")

    assert result.exit_code == 1
    assert "b.fits  look_up: KeyError: 'M 2'" in result.output
    assert "Traceback" not in result.output
    assert [path.name for path in tmp_path.glob("out/*.fits")] == ["a_sky.fits"]


def test_raw_input_is_never_overwritten(command, write_chain, write_frame):
    frame = write_frame("night/a.fits")
    before = frame.read_bytes()
    chain = write_chain(GOOD_CHAIN.replace("{stem}_sky.fits", "{stem}.fits"))

    result = command("run", chain, frame, "-o", "night")

    assert result.exit_code == 1
    assert "never overwritten" in result.output
    assert frame.read_bytes() == before


def test_products_of_other_names_may_lie_beside_raw_input(command, chain, write_frame):
    frame = write_frame("night/a.fits")
    before = frame.read_bytes()

    assert command("run", chain, "night", "-o", "night").exit_code == 0
    again = command("run", chain, "night", "-o", "night")

    assert again.exit_code == 0
    assert "1 image" in again.output, "products of the first run are not input of the second"
    assert frame.read_bytes() == before
    assert sorted(path.name for path in frame.parent.glob("*.fits")) == ["a.fits", "a_sky.fits"]


@pytest.fixture
def tiny_disk(tmp_path):
    """A folder on a file system of 64 kB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = shutil.which("mount")
    if (
        mount is None
        or subprocess.run(
            [mount, "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_fails_the_image_and_leaves_nothing_half_written(command, chain, write_frame, tiny_disk):
    frame = write_frame("a.fits", shape=(256, 256))

    result = command("run", chain, frame, "-o", tiny_disk)

    assert result.exit_code in (1, 2)
    assert "Traceback" not in result.output
    assert "the disk is full" in result.output
    assert not [path for path in tiny_disk.rglob("*") if path.suffix in (".fits", ".part")]


def test_a_read_only_disk_is_named(command, chain, write_frame, tiny_disk):
    subprocess.run(["mount", "-o", "remount,ro", tiny_disk], check=True)

    result = command("run", chain, write_frame("a.fits"), "-o", tiny_disk)

    assert result.exit_code in (1, 2)
    assert "Traceback" not in result.output
    assert "ead-only" in result.output


def test_the_real_command_ends_with_2_and_one_line(shell, tmp_path):
    result = shell("run", "photometry", "nofile.fits", "-o", "out")

    assert refused(result)
    assert result.stderr.splitlines() == ["nofile.fits: there is no such file or folder"]
    assert result.stdout == ""


def test_debug_shows_the_traceback(shell):
    result = shell("run", "photometry", "nofile.fits", "-o", "out", "--debug")

    assert "Traceback" in result.stderr


@pytest.mark.parametrize("arguments", [["info"], ["show", "-o", "x.png"], ["replay", "-o", "out"]])
def test_commands_on_one_file_say_what_is_wrong_with_it(command, tmp_path, arguments):
    (tmp_path / "notes.fits").write_text("Dear diary, clouds again.\n")
    name, *options = arguments

    assert refused(command(name, "nofile.fits", *options), "nofile.fits", "no such file")
    assert refused(command(name, ".", *options), "folder")
    assert refused(command(name, "notes.fits", *options), "notes.fits")


def test_pictures_have_a_known_suffix(command, write_frame):
    assert refused(command("show", write_frame("a.fits"), "-o", "a.bmp"), "a.bmp", ".png or .jpg")


def test_a_raw_frame_cannot_be_replayed(command, write_frame):
    assert refused(command("replay", write_frame("a.fits"), "-o", "out"), "a.fits", "PROVENANCE")


def test_a_picture_never_takes_the_place_of_its_image(command, tmp_path):
    picture = tmp_path / "a.png"
    picture.write_bytes(Image(data=[[1.0, 2.0], [3.0, 4.0]]).to_png())

    assert refused(command("show", "a.png", "-o", "a.png"), "a.png", "overwritten")


def test_validation_lists_the_problems_of_each_chain(command, write_chain):
    good = write_chain("- class: SubtractBackground", name="good.yaml")
    bad = write_chain("- class: SepPhotometry", name="bad.yaml")

    result = command("validate", good, bad)

    assert refused(result, "bad.yaml", "catalog")
    assert f"{good}: 1 step, no problems" in result.stdout
    assert Path(bad).name not in result.stdout


def test_a_chain_that_writes_nothing_says_so(command, write_chain, write_frame):
    result = command("run", write_chain("- class: SubtractBackground"), write_frame("a.fits"), "-o", "out")

    assert result.exit_code == 0
    assert "Nothing was written: the chain has no step Save" in result.output


def test_a_refused_run_leaves_no_folder(command, chain, tmp_path):
    assert refused(command("run", chain, "nofile.fits", "-o", "out"), "nofile.fits")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("output", ["folder", "file/etendue.schema.json"])
def test_a_schema_that_cannot_be_written_is_named(command, tmp_path, output):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()

    assert refused(command("schema", "-o", output), f"-o {output}: the schema cannot be written there")


def test_a_missing_extension_is_answered_with_those_there_are(command, write_chain, write_frame):
    chain = write_chain(GOOD_CHAIN, head="read: {data: SCI}\n")

    result = command("run", chain, write_frame("a.fits"), "-o", "out")

    assert result.exit_code == 1
    assert "there is no extension 'SCI'; the file has HDU 0" in result.output
