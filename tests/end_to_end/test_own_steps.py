"""A processor of fifteen lines in a file of one's own: in YAML, in the help, and in the editor's completion."""

import json

import jsonschema
import pytest

from etendue.images import Image

MY_STEPS = '''
"""Steps of my own."""

from pydantic import Field

from etendue.images import Image
from etendue.processors import Processor


class Invert(Processor):
    """Turn a negative into a positive."""

    reads = {"data"}
    writes = {"data"}

    white: float = Field(65535.0, description="value that becomes black [adu]")

    def process(self, image: Image) -> Image:
        return image.replace(data=self.white - image.data)
'''

CHAIN = """
- class: mysteps.Invert
  white: 1000
- class: Save
  filename: "{stem}_positive.fits"
"""


@pytest.fixture
def my_steps(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "mysteps.py").write_text(MY_STEPS)
    return folder


@pytest.mark.parametrize("workers", [1, 2])
def test_a_module_beside_the_chain_is_found_also_in_workers(
    shell, my_steps, write_chain, write_frame, tmp_path, workers
):
    chain = write_chain(CHAIN, name="mine/chain.yaml")
    frames = [write_frame(f"{name}.fits", seed=seed) for seed, name in enumerate("ab")]

    result = shell("run", chain, *frames, "-o", "out", "--workers", workers)

    assert result.returncode == 0, result.stdout + result.stderr
    product = Image.from_file(tmp_path / "out" / "a_positive.fits")
    assert product.data.tolist() == (1000 - Image.from_file(frames[0]).data).tolist()


def test_a_module_in_the_current_folder_is_found(command, my_steps, write_chain, tmp_path):
    (my_steps / "mysteps.py").rename(tmp_path / "mysteps.py")
    chain = write_chain(CHAIN, name="chains/chain.yaml")

    assert command("validate", chain).exit_code == 0


def test_a_mistake_in_its_keys_is_told_like_in_any_other(command, my_steps, write_chain):
    chain = write_chain(CHAIN.replace("white", "wihte"), name="mine/chain.yaml")

    result = command("validate", chain)

    assert result.exit_code == 2
    assert "did you mean 'white'?" in result.stderr


def test_the_help_explains_it(shell, my_steps):
    result = shell("processors", "mysteps.Invert", cwd=my_steps)

    assert result.returncode == 0, result.stderr
    assert "Turn a negative into a positive." in result.stdout
    assert "value that becomes black [adu]" in result.stdout
    assert "  - class: mysteps.Invert\n    white: 65535.0" in result.stdout


def test_it_is_listed_when_asked_for(shell, my_steps):
    result = shell("processors", "--import", "mysteps", cwd=my_steps)

    assert "plugins\n  mysteps.Invert" in result.stdout


def test_editors_complete_it(shell, my_steps):
    result = shell("schema", "--import", "mysteps", cwd=my_steps)
    checker = jsonschema.Draft202012Validator(json.loads(result.stdout))

    def is_valid(step):
        return checker.is_valid({"steps": [{"class": "mysteps.Invert"} | step]})

    assert "value that becomes black [adu]" in result.stdout
    assert is_valid({"white": 255.0})
    assert not is_valid({"wihte": 255.0})


@pytest.mark.parametrize(("module", "reason"), [("nosteps", "No module named"), ("json", "defines no Processor")])
def test_a_module_that_cannot_help_is_refused(command, module, reason):
    result = command("schema", "--import", module)

    assert result.exit_code == 2
    assert f"--import {module}" in result.stderr
    assert reason in result.stderr


def test_a_product_of_ones_own_step_is_made_again(shell, my_steps, write_chain, write_frame, tmp_path):
    chain = write_chain(CHAIN, name="mine/chain.yaml")
    assert shell("run", chain, write_frame("a.fits"), "-o", "out").returncode == 0

    again = shell("replay", tmp_path / "out" / "a_positive.fits", "-o", tmp_path / "again", cwd=my_steps)

    assert again.returncode == 0, again.stdout + again.stderr
    assert (tmp_path / "again" / "a_positive.fits").is_file()
