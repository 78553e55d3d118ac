"""The chain read, background, detect, three apertures, write.

A simulated uint16 frame goes from its FITS file to a FITS catalogue: mesh background (boxes of 64 px), detection at
1.5 sigma with deblending, fluxes in apertures of 3, 5 and 8 px radius, the catalogue written. Each contestant lives in
a process of its own with one thread; the first of its rounds warms it up and is not counted; rounds are interleaved.
"""

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from etendue.images import Image
from etendue.processors.simulation import simulate_field

NOTES = """
`wall / Etendue` is the median over the rounds of the contestant's wall time divided by Etendue's in the same round:
above 1, Etendue is faster. `peak MB` is the largest resident memory of the process, libraries included.

- **Etendue** checks the chain, records provenance, looks for saturated sources, and computes sky coordinates. **numpy +
  sep by hand** measures the same otherwise (Kron fluxes, radii, windowed positions, errors) and checks nothing.
- Frames marked *raw* are calibrated first, with uncertainties: bias, dark and flat without errors, read once per
  process. **numpy** does it with whole arrays in float32, and hands SExtractor the result in a file. pyobs is left out
  there: its `Calibration` takes masters only from an archive, in which it looks for those of each frame.
- **SExtractor** is started for each frame, as a script would do it; its start is part of the time.
- **photutils, segmentation** convolves with a Gaussian of 2 px; **DAOStarFinder** (5 rms, no deblending, no shapes)
  does less work than the others. Both read with ccdproc's CCDData.
- **pyobs** estimates the background twice, once in each of its two steps, in boxes of 32 px. It lives in an
  environment of its own: `python3 -m venv .venv-pyobs && .venv-pyobs/bin/pip install pyobs-core sep photutils pandas`.
"""

PEERS = Path(__file__).parent / "peers"
PYOBS = Path(os.environ.get("PYOBS_PYTHON", Path(__file__).parent.parent / ".venv-pyobs" / "bin" / "python"))
ONE_THREAD = {f"{pool}_NUM_THREADS": "1" for pool in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "NUMBA", "VECLIB")}
OURS = "Etendue"


RAW = {
    OURS: "raw_etendue",
    "numpy + sep by hand": "raw_sep_by_hand",
    "numpy + SExtractor": "raw_source_extractor",
    "ccdproc + photutils": "raw_ccdproc_photutils",
}
"""Contestants from the raw frame, with master bias, dark and flat beside it."""


def raw_contestants() -> dict[str, tuple[Path, str]]:
    """As :func:`contestants`, with a calibration in front."""
    needs = {"numpy + SExtractor": "SExtractor", "ccdproc + photutils": "photutils, segmentation"}
    present = contestants()
    return {name: (Path(sys.executable), module) for name, module in RAW.items() if needs.get(name, OURS) in present}


def write_masters(frame: Path, side: int) -> None:
    """Master bias, dark and flat for a frame."""
    rng = np.random.default_rng(5)
    header = fits.getheader(frame)
    cards = {key: header[key] for key in ("EXPTIME", "GAIN", "RDNOISE", "FILTER", "INSTRUME") if key in header}
    levels = {"bias": (300.0, 0.5), "dark": (2.0, 0.5), "flat": (1.0, 0.02)}
    for kind, (level, scatter) in levels.items():
        data = (level + scatter * rng.standard_normal((side, side))).astype(np.float32)
        Image(data, {**cards, "IMAGETYP": f"master {kind}"}).writeto(frame.with_name(f"{kind}.fits"))


def contestants() -> dict[str, tuple[Path, str]]:
    """Name, interpreter and module of those that are installed here, ours first."""
    here = Path(sys.executable)
    found = {OURS: (here, "etendue_chain"), "numpy + sep by hand": (here, "sep_by_hand")}
    sys.path.insert(0, str(PEERS))
    try:
        from source_extractor import program  # type: ignore[import-not-found]
    finally:
        sys.path.remove(str(PEERS))
    if program():
        found["SExtractor"] = (here, "source_extractor")
    if importlib.util.find_spec("ccdproc"):
        found["photutils, segmentation"] = (here, "photutils_segmentation")
        found["photutils, DAOStarFinder"] = (here, "photutils_daofind")
    if PYOBS.exists():
        found["pyobs"] = (PYOBS, "pyobs_pipeline")
    return found


class Contestant:
    """A process that runs its chain when it is told to."""

    def __init__(self, python: Path, module: str, frame: Path, output: Path) -> None:
        self.log = output.with_suffix(".log").open("w+")
        command = [str(python), str(PEERS / "serve.py"), module, str(frame), str(output)]
        environment = os.environ | ONE_THREAD
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, env=environment
        )

    def round(self) -> dict[str, float]:
        """One pass over the frame: wall and CPU time [s], number of sources, peak memory [byte]."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            self.log.seek(0)
            raise RuntimeError(f"{self.process.args}: {self.log.read().strip().splitlines()[-1:]}")
        return json.loads(answer)

    def __enter__(self) -> "Contestant":
        return self

    def __exit__(self, *exception: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(30)
        self.log.close()


def measure(size: int, rounds: int, *, raw: bool = False) -> list[dict[str, Any]]:
    """One table row for each contestant, on a frame of `size` × `size` pixels; with `raw` calibration included."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        frame = Path(folder) / "frame.fits"
        simulated = simulate_field((size, size), seed=7)
        simulated.replace(catalog=None).writeto(frame)
        if raw:
            write_masters(frame, size)
        running = {
            name: stack.enter_context(Contestant(python, module, frame, Path(folder) / f"{module}.fits"))
            for name, (python, module) in (raw_contestants() if raw else contestants()).items()
        }
        for contestant in running.values():
            contestant.round()
        taken: dict[str, list[dict[str, float]]] = {name: [] for name in running}
        for _ in range(rounds):
            for name, contestant in running.items():
                taken[name].append(contestant.round())
    ours = [done["wall"] for done in taken[OURS]]
    return [
        {
            "frame": f"{size}²{', raw' if raw else ''}",
            "chain": name,
            "wall min [ms]": 1e3 * min(done["wall"] for done in results),
            "wall median [ms]": 1e3 * statistics.median(done["wall"] for done in results),
            "CPU median [ms]": 1e3 * statistics.median(done["cpu"] for done in results),
            "wall / Etendue": statistics.median(done["wall"] / us for done, us in zip(results, ours, strict=True)),
            "peak MB": max(done["peak"] for done in results) / 1e6,
            "sources": int(results[-1]["sources"]),
        }
        for name, results in taken.items()
    ]


def run(quick: bool = False) -> list[dict[str, Any]]:
    """All contestants that are installed here, without and with calibration; in the long form at 4096², too."""
    small = measure(1024, 2 if quick else 15) + measure(1024, 2 if quick else 15, raw=True)
    return small if quick else small + measure(4096, 5) + measure(4096, 5, raw=True)
