"""A whole night: raw frames to masters, calibrated frames, catalogues, light curves and the report.

A simulated night of 40 science frames of 1024² (10 biases, 10 darks, 7 flats in each of two filters) is reduced by
``etendue reduce`` with two workers, as a person starts it: everything from the start of the interpreter to the report
counts. Then the same command is given again with ``--resume``. What came out is compared with the truth.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from etendue.images import Image
from etendue.pipeline import load_pipeline
from etendue.pipeline.night import NightResults, reduce_night
from etendue.pipeline.night.chain import calibration_of, with_library
from etendue.pipeline.night.truth import NightTruth
from etendue.processors.simulation import simulate_night

NOTES = """
`seconds` of a part are its wall time; CPU time is that of all processes of the command. `expected` is what a
perfect reduction would give, and `limit` what is asked for. Pulls are differences from the truth in units of the
stated error: their mean should be 0 and their width 1. Fluxes are those of isolated stars of signal-to-noise > 100 on
all frames, relative to the truth; *border* means the outer half of the frame's area, where vignetting is strongest.
"""

WORKERS = 2


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Time first, then truth. The short form has 12 frames of 512²."""
    frames, size = (12, 512) if quick else (40, 1024)
    with tempfile.TemporaryDirectory() as folder:
        night, output = Path(folder) / "night", Path(folder) / "out"
        simulate_night(night, seed=1, frames=frames, size=size)
        rows = [
            _timed(f"{frames} x {size}², {WORKERS} workers", night, output, 30.0),
            _timed("the same again, --resume", night, output, None, "--resume"),
        ]
        results = reduce_night(night, load_pipeline("night"), output=output, workers=WORKERS, resume=True)
        return rows + _parts(json.loads((output / "night.json").read_text())) + _truth(results, night)


def _timed(what: str, night: Path, output: Path, limit: float | None, *more: str) -> dict[str, Any]:
    """Wall and CPU time of the command."""
    import resource

    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [
        sys.executable,
        "-m",
        "etendue",
        "reduce",
        str(night),
        "-o",
        str(output),
        "-w",
        str(WORKERS),
        "--json",
        *more,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    if not more:
        (output / "night.json").write_text(done.stdout)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"what": what, "seconds": wall, "CPU seconds": cpu, "limit": "" if limit is None else f"< {limit:g} s"}


def _parts(night: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"what": f"- of it: {name}", "seconds": seconds} for name, seconds in night["stages"].items()]


def _truth(results: NightResults, night: Path) -> list[dict[str, Any]]:
    truth = NightTruth(night / "truth")
    rows = [
        {
            "what": f"pulls of master {found.label}",
            "mean": found.mean,
            "width or error": found.width,
            "expected": "0, 1",
        }
        for found in map(truth.master_pulls, results.masters)
        if found is not None
    ]
    assert results.science is not None
    calibration = calibration_of(with_library(load_pipeline("night"), results.library))
    assert calibration is not None
    chosen = results.science.done[:: max(1, len(results.science.done) // 5)]
    pulls = [truth.background_pulls(_calibrated(calibration, outcome.path), outcome.path.name) for outcome in chosen]
    rows.append(
        {
            "what": f"pulls of the background, {len(pulls)} frames",
            "mean": max((p.mean for p in pulls), key=abs),
            "width or error": max((p.width for p in pulls), key=lambda w: abs(w - 1)),
            "expected": "0, 1",
            "limit": "± 0.05 (the worst frame is shown)",
        }
    )
    rows += _fluxes(results, truth)
    for role in ("variable", "transit"):
        curve = truth.curve_of(role, results.curves)
        if curve is not None:
            strength, error = truth.strength(role, curve)
            rows.append(
                {"what": f"{role} star, measured / true", "mean": strength, "width or error": error, "expected": "1"}
            )
    return rows


def _calibrated(calibration: Any, path: Path) -> Image:
    image = asyncio.run(calibration(Image.from_file(path)))
    assert image is not None
    return image


def _fluxes(results: NightResults, truth: NightTruth) -> list[dict[str, Any]]:
    from astropy.table import vstack

    assert results.science is not None
    stars = vstack([truth.fluxes(outcome) for outcome in results.science.done])
    height, width = truth.known["shape"]
    radius = np.hypot(stars["x"] - width / 2, stars["y"] - height / 2)
    at_border = radius > np.sqrt(height * width / (2 * np.pi))
    rows = []
    for where, chosen in (("all", np.ones(len(stars), bool)), ("middle", ~at_border), ("border", at_border)):
        ratio = np.asarray(stars["ratio"])[chosen]
        if ratio.size > 3:
            error = 1.2533 * 1.4826 * float(np.median(np.abs(ratio - np.median(ratio)))) / ratio.size**0.5
            rows.append(
                {
                    "what": f"flux measured / true, {where} ({ratio.size} stars)",
                    "mean": float(np.median(ratio)),
                    "width or error": error,
                    "expected": "1",
                    "limit": "± 0.005",
                }
            )
    return rows
