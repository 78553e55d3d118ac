"""What a user gets: the wheel, in a clean environment away from the repository."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

from etendue.images import Image

PARTS = ("images", "processors", "pipeline", "configs", "etendue")
FILES = ("pyproject.toml", "setup.py", "README.md", "LICENSE")

pytestmark = pytest.mark.slow


def call(*command: object, cwd: Path) -> str:
    """Standard output of a command that must succeed, in an environment that does not know the repository."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory, repository) -> Path:
    source = tmp_path_factory.mktemp("source")
    for part in PARTS:
        shutil.copytree(repository / part, source / part, ignore=shutil.ignore_patterns("__pycache__", "*.nb?"))
    for name in FILES:
        shutil.copy(repository / name, source)
    target = tmp_path_factory.mktemp("dist")
    options = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation", "--wheel-dir", target)
    call(sys.executable, "-m", "pip", "wheel", *options, source, cwd=source)
    (built,) = target.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(tmp_path_factory, wheel) -> Path:
    """The ``bin`` of an environment that has etendue from the wheel and the dependencies from here.

    The folder of the dependencies is named in a .pth file. Its own .pth files, and with them the editable
    installation of this repository, are not read then.
    """
    home = tmp_path_factory.mktemp("elsewhere") / "env"
    venv.create(home, with_pip=False)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)}))
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    python = home / "bin" / "python"
    options = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-index", "--ignore-installed")
    call(sys.executable, "-m", "pip", "--python", python, "install", *options, wheel, cwd=home)
    return home / "bin"


def test_every_module_imports_without_the_extras(installed, repository, tmp_path):
    program = """
import importlib, pkgutil, sys
sys.modules.update(dict.fromkeys(("paho", "nats", "psycopg"), None))
import etendue
print(etendue.__file__)
names = {module.name for module in pkgutil.walk_packages(etendue.__path__, "etendue.")} - {"etendue.__main__"}
for name in sorted(names):
    importlib.import_module(name)
print(len(names))
"""
    origin, count = call(installed / "python", "-c", program, cwd=tmp_path).split()
    sources = [path for part in PARTS for path in (repository / part).rglob("*.py") if "__pycache__" not in path.parts]

    assert Path(origin).is_relative_to(installed.parent)
    assert int(count) == len([path for path in sources if path.parent.name != "etendue"])


def test_every_file_of_the_page_is_there(wheel, repository):
    page = repository / "pipeline" / "web" / "static"
    packed = set(ZipFile(wheel).namelist())
    wanted = [path.relative_to(repository).as_posix() for path in page.rglob("*") if path.is_file()]
    assert wanted
    assert [name for name in wanted if f"etendue/{name}" not in packed] == []


def test_the_command_knows_its_version(installed, tmp_path):
    program = "from importlib.metadata import version; print(version('etendue'))"
    version = call(installed / "python", "-c", program, cwd=tmp_path).strip()
    assert version in call(installed / "etendue", "--version", cwd=tmp_path)


def test_a_built_in_chain_runs_by_name(installed, tmp_path, make_stars):
    stars: Image = make_stars([(20, 30), (70, 60), (100, 20)], 50_000.0, (128, 128), sigma=3.0)
    stars.writeto(tmp_path / "frame.fits")

    call(installed / "etendue", "run", "photometry", "frame.fits", "-o", "reduced", cwd=tmp_path)

    reduced = Image.from_file(tmp_path / "reduced" / "frame_reduced.fits")
    assert len(reduced.catalog) == 3
