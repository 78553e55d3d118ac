"""What everybody waits for: imports, pictures, a simulated frame."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from etendue.images import Image
from etendue.processors.simulation import simulate_field

NOTES = """
The import of `etendue.images` is the time beyond that of `astropy.io.fits` and `astropy.table`, in fresh interpreters.
Pictures are of 2048² float32 pixels, encoding included.
"""


def seconds_to_import(module: str) -> float:
    """Time to import a module on top of astropy's FITS and tables, in a fresh interpreter [s]."""
    program = (
        "import time, astropy.io.fits, astropy.table\n"
        f"start = time.perf_counter()\nimport {module}\nprint(time.perf_counter() - start)"
    )
    return float(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout)


def timed(action: Callable[[], Any]) -> float:
    """Wall time of one call [s]."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def run(quick: bool = False) -> list[dict[str, Any]]:
    """One row for each of them."""
    rounds = 3 if quick else 9
    image = Image(np.random.default_rng(3).normal(100, 5, (2048, 2048)).astype(np.float32))
    actions: dict[str, tuple[Callable[[], float], float | None]] = {
        "import etendue.images": (lambda: seconds_to_import("etendue.images"), 500.0),
        "picture, JPEG linear": (lambda: timed(image.to_jpeg), 60.0),
        "picture, JPEG asinh": (lambda: timed(lambda: image.to_jpeg(stretch="asinh")), 60.0),
        "picture, JPEG zscale": (lambda: timed(lambda: image.to_jpeg(stretch="zscale")), 60.0),
        "picture, PNG linear": (lambda: timed(image.to_png), 60.0),
        "simulated frame 1024²": (lambda: timed(lambda: simulate_field((1024, 1024))), None),
    }
    rows = []
    for what, (measure, aim) in actions.items():
        measure()
        taken = [1e3 * measure() for _ in range(rounds)]
        row = {"what": what, "min [ms]": min(taken), "median [ms]": statistics.median(taken)}
        rows.append(row | {"aim [ms]": aim})
    return rows
