"""Every registered processor keeps the contract."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from etendue.images import Image
from etendue.processors import processors
from etendue.processors.testing import check_processor, example_images
from tests.web_server import web_server  # noqa: F401 - a fixture

MARK = {"class": "AddFitsHeaders", "headers": {"SEEN": True}}

ARGUMENTS: dict[str, dict[str, Any] | Callable[[Path], dict[str, Any]]] = {
    "AddFitsHeaders": {"headers": {"SITEID": ["here", "site"], "COPY": 3, "HISTORY": "added"}},
    "BadPixels": lambda folder: {"map": master(folder, "bad pixels", 0)},
    "Bias": lambda folder: {"master": master(folder, "bias", 300)},
    "Branch": {"cases": [{"when": {"EXPTIME": "> 30"}, "steps": [MARK]}]},
    "Calibration": {"bias": False, "dark": False, "flat": False},
    "Dark": lambda folder: {"master": master(folder, "dark", 2)},
    "Flat": lambda folder: {"master": master(folder, "flat", 1)},
    "Fork": {"chains": {"marked": [MARK]}},
    "Linearity": {"coefficients": [1.0, 1e-7]},
    "Pipeline": {"steps": []},
    "SimulateField": {"width": 96, "height": 64, "stars": 20, "galaxies": 3},
}
"""Parameters of processors that cannot be made without, that need files, or that would be slow with their defaults."""

CARDS: dict[str, dict[str, Any]] = {"Overscan": {"BIASSEC": "[121:128,1:96]"}}
"""Cards that the example image needs besides its own."""


def master(folder: Path, image_type: str, value: float) -> str:
    """A file that can calibrate the example image."""
    example = example_images()["stars"]
    header = {key: example.header[key] for key in ("INSTRUME", "FILTER", "EXPTIME", "XBINNING", "YBINNING", "DATE-OBS")}
    made = Image(np.full(example.shape, value, dtype=np.float32), header={**header, "IMAGETYP": image_type})
    path = folder / "master.fits"
    made.writeto(path)
    return str(path)


@pytest.mark.parametrize("name", processors())
def test_processor_keeps_the_contract(name, tmp_path, request):
    arguments = ARGUMENTS.get(name, {})
    if name == "Download":
        server = request.getfixturevalue("web_server")
        server.gives("/stars.fits", example_images()["stars"].to_bytes())
        arguments = {"url": f"{server.url}/stars.fits"}
    try:
        processor = processors()[name](**(arguments(tmp_path) if callable(arguments) else arguments))
    except ValueError as error:
        pytest.fail(f"{name} needs parameters; add some to ARGUMENTS in this file: {error}")
    image = example_images()["stars"]
    image.header.update(CARDS.get(name, {}))

    check_processor(processor, image=image if name in CARDS else None)
