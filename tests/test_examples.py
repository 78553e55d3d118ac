"""The examples run as a user runs them, and print what they promise."""

import os
import re
import runpy
import subprocess
import sys

import pytest

from etendue.processors.testing import check_processor

EXAMPLES = {
    "simulated_field.py": r"median of measured / true flux: (0\.9[789]|1\.0[01])",
    "own_processor.py": r"FlagBright: \{'limit': 30\.0\}",
    "chain_in_yaml.py": r"field_0003\.fits: field_0003\.png, field_0003_cat\.ecsv",
    "look_at_an_image.py": r"field\.png: 384 x 256",
    "reduce_a_night.py": r"raw 0\.[789]\d, calibrated (0\.99|1\.0[01])",
    "observatory/telescope.py": r"27 frames -> incoming",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_example_runs(name, repository, tmp_path):
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, str(repository / "examples" / name)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)

    assert done.returncode == 0, done.stderr
    assert re.search(EXAMPLES[name], done.stdout), done.stdout


def test_every_example_is_run(repository):
    folder = repository / "examples"
    assert {str(path.relative_to(folder)) for path in folder.rglob("*.py")} == set(EXAMPLES)


def test_the_examples_processor_keeps_the_contract(repository):
    check_processor(runpy.run_path(str(repository / "examples" / "own_processor.py"))["FlagBright"])
