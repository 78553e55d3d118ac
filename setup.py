"""The packages of the rooms, found where pyproject.toml's package-dir says they lie."""

import tomllib
from pathlib import Path

from setuptools import setup

HERE = Path(__file__).parent
ROOMS = tomllib.loads((HERE / "pyproject.toml").read_text())["tool"]["setuptools"]["package-dir"]

setup(
    packages=[
        ".".join((package, *init.parent.relative_to(HERE / folder).parts))
        for package, folder in ROOMS.items()
        for init in sorted((HERE / folder).rglob("__init__.py"))
    ]
)
