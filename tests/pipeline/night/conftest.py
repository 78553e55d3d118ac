"""Small raw nights: bias, dark, flat and science frames with everything that a reduction has to undo."""

from collections.abc import Callable
from pathlib import Path

import pytest

from etendue.processors.simulation import simulate_night


@pytest.fixture(scope="session")
def raw_night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A night of 10 science frames of 256 x 256 px in one filter. Only read it."""
    folder = tmp_path_factory.mktemp("raw") / "night"
    simulate_night(folder, seed=3, frames=10, size=256, biases=6, darks=5, flats=5, filters=("R",))
    return folder


@pytest.fixture
def copy_of(tmp_path: Path) -> Callable[..., Path]:
    """``copy_of(night, "bias_*", "science_0001*")``: a folder with links to some of the frames."""

    def copy(night: Path, *patterns: str, name: str = "some") -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for pattern in patterns:
            for path in sorted(night.glob(pattern)):
                (folder / path.name).symlink_to(path)
        return folder

    return copy
