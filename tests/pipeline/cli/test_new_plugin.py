"""The beginnings of a plugin: its files and its name."""

import ast
import tomllib

import pytest

from etendue.pipeline import ConfigError
from etendue.pipeline.cli.scaffold import class_name, write_plugin


def test_the_entry_point_names_the_processor(tmp_path):
    folder = write_plugin("remove_fringes", tmp_path)

    project = tomllib.loads((folder / "pyproject.toml").read_text())
    (module, name) = project["project"]["entry-points"]["etendue.processors"]["RemoveFringes"].split(":")

    source = (folder / (module.replace(".", "/") + ".py")).read_text()
    assert name in [node.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)]


def test_no_placeholder_is_left(tmp_path):
    folder = write_plugin("fringes", tmp_path)
    files = [path for path in folder.rglob("*") if path.is_file()]

    assert len(files) == 6
    for path in files:
        assert "$" not in path.read_text().replace("$schema", "")


@pytest.mark.parametrize(("name", "expected"), [("fringes", "Fringes"), ("remove_2nd_sky", "Remove2ndSky")])
def test_class_names_are_made_from_package_names(name, expected):
    assert class_name(name) == expected


@pytest.mark.parametrize("name", ["my-plugin", "2fast", "", "class", "a/b", "../up", "größe", "_"])
def test_what_cannot_be_a_package_is_refused(tmp_path, name):
    with pytest.raises(ConfigError, match="cannot be the name"):
        write_plugin(name, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["numpy", "json", "etendue"])
def test_names_of_installed_modules_are_refused(tmp_path, name):
    with pytest.raises(ConfigError, match="exists already"):
        write_plugin(name, tmp_path)


def test_an_existing_folder_is_left_alone(tmp_path):
    (tmp_path / "fringes").mkdir()

    with pytest.raises(ConfigError, match="exists; choose another name"):
        write_plugin("fringes", tmp_path)
    assert not list((tmp_path / "fringes").iterdir())
