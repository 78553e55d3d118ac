"""The command as users type it, and frames to give to it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from etendue.images import Image
from etendue.pipeline.cli import app


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """``command("run", chain, …)`` in this process, with `tmp_path` as the current folder.

    Modules that were imported from there are forgotten afterwards.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")

    def invoke(*arguments: Any) -> Any:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    yield invoke
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def shell(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """``shell("run", chain, …)`` in a process of its own, with `tmp_path` as the current folder."""

    def call(*arguments: Any, cwd: Path = tmp_path, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "etendue", *(str(argument) for argument in arguments)],
            cwd=cwd,
            env=os.environ | {"NO_COLOR": "1"} | environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return call


@pytest.fixture
def write_frame(tmp_path: Path) -> Callable[..., Path]:
    """``write_frame("night/a.fits", seed=1)``: a small frame of noise with three stars."""

    def write(name: str, *, seed: int = 1, shape: tuple[int, int] = (64, 80), **cards: Any) -> Path:
        y, x = np.indices(shape)
        data = np.random.default_rng(seed).normal(100, 5, shape)
        for x0, y0 in ((20, 20), (50, 30), (35, 48)):
            data += 800 * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / 5)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image(data=data.astype(np.float32), header={"EXPTIME": 10.0, "OBJECT": "M 1"} | cards).writeto(path)
        return path

    return write


@pytest.fixture
def write_chain(tmp_path: Path) -> Callable[..., Path]:
    """``write_chain("- class: SubtractBackground")``: a YAML file with these steps."""

    def write(steps: str, name: str = "chain.yaml", head: str = "") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{head}steps:\n" + "".join(f"  {line}\n" for line in steps.strip("\n").splitlines()))
        return path

    return write
