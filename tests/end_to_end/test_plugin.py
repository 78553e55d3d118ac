"""A plugin from `etendue new plugin` installs and runs as it is, and appears everywhere."""

import json
import os
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Folder of a fresh plugin, and folder where it is installed."""
    folder = tmp_path_factory.mktemp("plugin")
    subprocess.run(
        [sys.executable, "-m", "etendue", "new", "plugin", "remove_fringes", "-o", folder],
        check=True,
        capture_output=True,
    )
    source, site = folder / "remove_fringes", folder / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps", "--no-index"]
    result = subprocess.run([*pip, "--target", site, source], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return source, site


@pytest.fixture
def with_plugin(shell, installed):
    """``with_plugin("run", …)``: the command where the plugin is installed."""
    path = os.pathsep.join(filter(None, (str(installed[1]), os.environ.get("PYTHONPATH"))))
    return lambda *arguments: shell(*arguments, PYTHONPATH=path)


@pytest.mark.slow
def test_it_is_listed_and_explained(with_plugin):
    listed = with_plugin("processors")
    explained = with_plugin("processors", "RemoveFringes")

    assert "plugins\n  RemoveFringes" in listed.stdout
    assert "remove-fringes 0.1.0" in explained.stdout
    assert "factor" in explained.stdout
    assert "  - class: RemoveFringes\n    factor: 2.0" in explained.stdout


@pytest.mark.slow
def test_editors_complete_its_keys(with_plugin):
    schema = with_plugin("schema").stdout

    assert "RemoveFringes" in schema
    assert "what the pixels are multiplied by" in json.dumps(json.loads(schema))


@pytest.mark.slow
def test_it_runs_in_a_chain_in_worker_processes(with_plugin, installed, write_frame, tmp_path):
    from etendue.images import Image

    frames = [write_frame(f"{name}.fits", seed=seed) for seed, name in enumerate("ab")]

    result = with_plugin("run", installed[0] / "remove_fringes.yaml", *frames, "-o", "out", "--workers", "2")

    assert result.returncode == 0, result.stdout + result.stderr
    product = Image.from_file(tmp_path / "out" / "a_remove_fringes.fits")
    assert product.data.tolist() == (3 * Image.from_file(frames[0]).data).tolist()
    assert product.provenance[1].version == "remove-fringes 0.1.0"


@pytest.mark.slow
def test_its_own_tests_pass(installed, tmp_path):
    source, site = installed
    path = os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH"))))

    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", source / "tests"],
        env=os.environ | {"PYTHONPATH": path},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0, result.stdout
    assert "2 passed" in result.stdout


@pytest.mark.slow
def test_a_broken_plugin_is_reported_and_the_others_work(with_plugin, shell, installed, tmp_path):
    broken = tmp_path / "site" / "broken-1.0.dist-info"
    broken.mkdir(parents=True)
    (broken / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (broken / "entry_points.txt").write_text("[etendue.processors]\nBroken = no_such_module:Broken\n")
    path = os.pathsep.join(filter(None, (str(broken.parent), os.environ.get("PYTHONPATH"))))

    listed = shell("processors", PYTHONPATH=path)
    asked = shell("processors", "Broken", PYTHONPATH=path)

    assert listed.returncode == 0
    assert "SubtractBackground" in listed.stdout
    assert "Broken of broken: ModuleNotFoundError: No module named 'no_such_module'" in listed.stdout
    assert asked.returncode == 2
    assert "Traceback" not in asked.stderr
    assert "no_such_module" in asked.stderr
