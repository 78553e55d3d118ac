"""What the commands do and print when all is well."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from etendue import __version__
from etendue.images import Image

CHAIN = """
- class: SubtractBackground
  box_size: 16
- class: SepSourceDetection
  threshold: 5
- class: Save
  filename: "{stem}_reduced.fits"
"""


@pytest.fixture
def chain(write_chain):
    return write_chain(CHAIN, head="name: little\n")


@pytest.fixture
def product(command, chain, write_frame, tmp_path):
    """A frame that went through the chain."""
    assert command("run", chain, write_frame("a.fits"), "-o", "out").exit_code == 0
    return tmp_path / "out" / "a_reduced.fits"


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_version_and_help_come_without_heavy_imports(option):
    code = (
        "import sys\n"
        "from etendue.pipeline.cli import app\n"
        f"try: app(['{option}'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'numpy', 'astropy', 'pydantic', 'yaml'} & set(sys.modules)))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout.splitlines()[-1] == "[]"


def test_version_is_that_of_the_package(shell):
    assert shell("--version").stdout == f"etendue {__version__}\n"


def test_a_run_says_what_it_does_and_what_became_of_it(command, chain, write_frame):
    frames = [write_frame(f"night/{name}.fits", seed=seed) for seed, name in enumerate("ab")]

    result = command("run", chain, frames[0].parent, "-o", "out", "--report")

    lines = result.output.splitlines()
    assert result.exit_code == 0
    assert lines[0] == "little: 3 steps, 2 images, 1 worker"
    assert any(line.startswith("2 done in ") and line.endswith("-> out/") for line in lines)
    assert lines[-1] == "Report: out/report.html"
    assert "\x1b" not in result.output, "no colours and no bars when piped"


def test_machines_get_json_and_nothing_else(shell, chain, write_frame):
    frame = write_frame("a.fits")

    result = shell("run", chain, frame, "-o", "out", "--json")
    told = json.loads(result.stdout)

    assert result.returncode == 0
    assert (told["done"], told["failed"], told["output"]) == (1, 0, "out")
    assert told["images"][0]["path"].endswith("a.fits")
    assert told["images"][0]["products"][0].endswith("a_reduced.fits")
    assert told["images"][0]["facts"]["n_sources"] == 3


def test_settings_and_variables_reach_the_steps(command, write_chain, write_frame, tmp_path):
    chain = write_chain(CHAIN.replace("threshold: 5", "threshold: ${limit}"), head="vars: {limit: 5}\n")
    frame = write_frame("a.fits")

    result = command(
        "run", chain, frame, "-o", "out", "--var", "limit=7.5", "--set", "steps.SubtractBackground.box_size=32"
    )

    assert result.exit_code == 0
    steps = {a.step: a.parameters for a in Image.from_file(tmp_path / "out" / "a_reduced.fits").provenance}
    assert steps["SepSourceDetection"]["threshold"] == 7.5
    assert steps["SubtractBackground"]["box_size"] == 32


def test_a_resumed_run_leaves_out_what_is_done(command, chain, write_frame, tmp_path):
    first = write_frame("night/a.fits")
    command("run", chain, "night", "-o", "out")
    written = (tmp_path / "out" / "a_reduced.fits").stat().st_mtime_ns
    write_frame("night/b.fits", seed=2)

    result = command("run", chain, "night", "-o", "out", "--resume", "--json")

    told = json.loads(result.stdout)
    assert [image["status"] for image in told["images"]] == ["resumed", "done"]
    assert (tmp_path / "out" / "a_reduced.fits").stat().st_mtime_ns == written
    assert first.exists()


@pytest.mark.slow
def test_ctrl_c_ends_with_130_and_the_run_can_be_resumed(write_chain, write_frame, tmp_path):
    (tmp_path / "mysteps.py").write_text(
        "import time\nfrom etendue.images import Image\n"
        "def wait(image: Image) -> Image:\n    time.sleep(0.3)\n    return image\n"
    )
    chain = write_chain("- class: mysteps.wait\n- class: Save\n  filename: '{stem}_out.fits'")
    frames = [write_frame(f"night/{number:02d}.fits", seed=number) for number in range(30)]
    process = subprocess.Popen(
        [sys.executable, "-m", "etendue", "run", chain, "night", "-o", "out"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("out/*.fits")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)

    assert process.returncode == 130, stdout + stderr
    assert "Traceback" not in stderr
    products = list(tmp_path.glob("out/*.fits"))
    assert 0 < len(products) < len(frames)
    assert all(Image.from_file(product).safe_data is not None for product in products)


def test_a_chain_is_drawn(command, chain):
    text = command("graph", chain)
    mermaid = command("graph", chain, "--mermaid")

    assert text.exit_code == mermaid.exit_code == 0
    assert text.stdout.index("SubtractBackground") < text.stdout.index("SepSourceDetection") < text.stdout.index("Save")
    assert mermaid.stdout.startswith(("flowchart", "graph"))


def test_built_in_chains_are_known_by_name(command):
    result = command("validate", "photometry", "quicklook")

    assert result.exit_code == 0, result.stderr
    assert result.stdout.count("no problems") == 2


def test_the_schema_is_json_and_goes_to_a_file(command, tmp_path):
    printed = command("schema")
    written = command("schema", "-o", "etendue.schema.json")

    assert json.loads(printed.stdout) == json.loads((tmp_path / "etendue.schema.json").read_text())
    assert "yaml-language-server: $schema=etendue.schema.json" in written.stdout


def test_processors_are_listed_by_kind_with_a_line_each(command):
    lines = command("processors").stdout.splitlines()

    at = lines.index("detection")
    assert any(line.startswith("  SepSourceDetection ") for line in lines[at + 1 :])
    assert all(line == line.rstrip() for line in lines)


def test_a_processor_is_explained_with_types_defaults_and_yaml(command):
    result = command("processors", "SubtractBackground")

    assert "reads  data, mask?" in result.stdout
    (row,) = [line for line in result.stdout.splitlines() if line.startswith("box_size")]
    assert row.split(maxsplit=5)[:5] == ["box_size", "integer", ">", "0", "64"]
    assert "side of a mesh box [px]" in row
    assert "  - class: SubtractBackground\n    box_size: 64" in result.stdout


def test_the_yaml_of_every_processor_without_required_parameters_is_a_valid_chain(command, tmp_path):
    from etendue.pipeline.config import parse_pipeline

    listed = json.loads(command("processors", "--json").stdout)["processors"]
    for name in (name for group in listed.values() for name in group):
        text = command("processors", name).stdout.partition("in a chain\n")[2]
        if "…" not in text:
            assert parse_pipeline(text, check=False).steps[0].class_name == name


def test_a_name_that_is_nearly_right_is_suggested(command):
    result = command("processors", "SubtractBackgrond")

    assert result.exit_code == 2
    assert "did you mean 'SubtractBackground'?" in result.stderr


def test_info_tells_planes_header_catalogue_and_history(command, product):
    result = command("info", product)

    assert result.exit_code == 0
    for words in ("64 × 80", "exposure time", "10 s", "EXPTIME", "catalogue of 3 sources", "what was done"):
        assert words in result.stdout


def test_info_as_json_has_the_numbers(command, product):
    told = json.loads(command("info", product, "--json").stdout)

    assert told["planes"]["data"]["shape"] == [64, 80]
    assert told["header"]["exposure_time"] == {"value": 10.0, "unit": "s", "card": "EXPTIME"}
    assert told["catalog"]["rows"] == 3
    assert [entry["step"] for entry in told["provenance"]][1:] == ["SubtractBackground", "SepSourceDetection", "Save"]


def test_info_counts_the_reasons_of_a_mask(command, tmp_path):
    Image(data=np.ones((2, 3), "f4"), mask=np.array([[4, 4, 12], [0, 0, 0]], np.uint8)).writeto(tmp_path / "a.fits")

    told = json.loads(command("info", "a.fits", "--json").stdout)

    assert told["planes"]["mask"]["masked"] == 3
    assert told["planes"]["mask"]["flags"] == {"SATURATED": 3, "COSMIC_RAY": 1}


def test_info_survives_a_frame_of_nothing(command, tmp_path):
    Image(data=np.full((2, 3), np.nan, "f4")).writeto(tmp_path / "a.fits")

    assert "no finite value" in command("info", "a.fits").stdout


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_show_makes_a_picture_with_row_0_at_the_bottom(command, tmp_path, suffix):
    from PIL import Image as Picture

    data = np.zeros((40, 60), "f4")
    data[:20] = 100
    Image(data=data).writeto(tmp_path / "a.fits")

    result = command("show", "a.fits", "-o", f"a.{suffix}", "--stretch", "linear")

    assert result.exit_code == 0, result.stderr
    with Picture.open(tmp_path / f"a.{suffix}") as picture:
        assert picture.size == (60, 40)
        grey = np.asarray(picture.convert("L"))
    assert grey[-5:].mean() > 200 > 50 > grey[:5].mean()


def test_show_marks_the_sources(command, product, tmp_path):
    from PIL import Image as Picture

    command("show", product, "-o", "plain.png")
    result = command("show", product, "-o", "marked.png", "--sources")

    assert "3 sources" in result.stdout
    with Picture.open(tmp_path / "plain.png") as plain, Picture.open(tmp_path / "marked.png") as marked:
        assert np.any(np.asarray(plain.convert("RGB")) != np.asarray(marked.convert("RGB")))


def test_marking_the_sources_of_a_frame_without_catalogue_is_refused(command, write_frame):
    result = command("show", write_frame("a.fits"), "-o", "a.png", "--sources")

    assert result.exit_code == 2
    assert "catalog" in result.stderr


def test_a_product_is_made_again(command, product, tmp_path):
    result = command("replay", product, "-o", "again")

    assert result.exit_code == 0, result.output
    again = Image.from_file(tmp_path / "again" / "a_reduced.fits")
    assert np.array_equal(again.data, Image.from_file(product).data)


@pytest.mark.parametrize("words", [["simulate"], ["simulate", "field"]])
def test_simulated_frames_have_their_truth_beside_them(command, tmp_path, words):
    result = command(*words, "sky", "--frames", "2", "--size", "64", "--seed", "3")

    assert result.exit_code == 0, result.output
    frames = sorted((tmp_path / "sky").glob("*.fits"))
    assert len(frames) == 2
    assert Image.from_file(frames[0]).shape == (64, 64)
    assert len(list((tmp_path / "sky" / "truth").iterdir())) == 2


@pytest.mark.slow
def test_the_demo_ends_well_and_says_what_lies_where(shell, tmp_path):
    result = shell("demo", "--frames", "30", "--size", "512")

    assert result.returncode == 0, result.stdout + result.stderr
    assert (tmp_path / "demo" / "reduced" / "report.html").stat().st_size > 10_000
    for title in ("masters", "images", "catalogues", "pictures", "report"):
        (line,) = [line for line in result.stdout.splitlines() if line.strip().startswith(f"{title} ")]
        assert (tmp_path / line.split()[1]).is_file()
    compared = dict(re.split(r"  +", line)[:2] for line in result.stdout.splitlines() if "±" in line and "  " in line)
    (fluxes,) = [value for what, value in compared.items() if what.startswith("fluxes of")]
    assert float(fluxes.split()[0]) == pytest.approx(1, abs=0.005)
    assert {what.split()[0] for what in compared} >= {"master", "fluxes", "pulsating", "transit"}
