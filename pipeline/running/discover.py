"""Find the frames that a person means by files and folders."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ...images.io import image_suffixes
from ...images.io.fits.layout import companion_files
from ..errors import ConfigError
from .journal import RUN_FOLDER, earlier_products


def find_images(
    paths: Iterable[str | Path] | str | Path, *, output: Path | None = None, read: Mapping[str, Any] | None = None
) -> list[Path]:
    """The image files that are named, and those in the folders that are named.

    The order of the arguments is kept; within a folder (searched to the bottom) files are sorted by name. A file
    that is named outright is taken whatever its suffix, since its content tells the format. In folders only
    known suffixes count; hidden files, unfinished ones (``.part``), and folders that a run wrote its products
    to are passed over.

    Parameters
    ----------
    paths : paths
        Files and folders.
    output : Path
        Where products will go: what earlier runs wrote there is not taken for input.
    read : mapping
        Options of the reader. In folders, files that it reads as mask or uncertainty of an image beside them are
        no images of their own.

    Returns
    -------
    list of Path
        Each file once.

    Raises
    ------
    ConfigError
        A path does not exist, or a folder holds no frames; one line for each.
    """
    found: dict[Path, Path] = {}
    problems: list[str] = []
    products = earlier_products(output) if output is not None else frozenset()
    companions = companion_files(read) if read else []
    for path in [paths] if isinstance(paths, str | Path) else paths:
        path = Path(path)
        if path.is_dir():
            frames = [
                frame
                for frame in _frames_below(path)
                if frame.resolve() not in products and not any(c.belongs_to_an_image(frame) for c in companions)
            ]
            if not frames:
                problems.append(f"{path}: no frames in this folder; known suffixes are {', '.join(image_suffixes())}")
            for frame in frames:
                found.setdefault(_place(frame), frame)
        elif path.exists():
            found.setdefault(_place(path), path)
        else:
            problems.append(f"{path}: there is no such file or folder")
    if problems:
        raise ConfigError("\n".join(dict.fromkeys(problems)))
    return list(found.values())


def _place(path: Path) -> Path:
    """One way to write a path, without links and ``..`` on the way to the file; a link to a file has its own name."""
    return path.parent.resolve() / path.name


def _frames_below(folder: Path) -> Iterator[Path]:
    suffixes = tuple(image_suffixes())
    visited: set[Path] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        here = Path(place)
        if here.resolve() in visited:  # a link to a folder above would lead here again and again
            folders.clear()
            continue
        visited.add(here.resolve())
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and not (here / name / RUN_FOLDER).exists()
        )
        for name in sorted(names):
            if name.lower().endswith(suffixes) and not name.startswith("."):
                yield here / name
