"""Combining frames, against ccdproc and plain numpy in the same rounds.

The frames of ten are in memory as float32, as the peers want them; the rule is the same for all, and so is the result,
to the precision of float32. Those of thirty are FITS files of uint16 which only Etendue combines without having all of
them in memory; the peak of its memory is that of a fresh process.
"""

import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from etendue.images import Image
from etendue.processors.combination import combine_files, combine_images

NOTES = """
*memcpy* is how often the frames' bytes could have been copied in the time: the least that combining can cost is about
a half. ccdproc computes in float64, as it does by default; numpy's median and mean know no masks and no clipping.
"""

ALONE = """
import sys
from pathlib import Path
from etendue.processors.combination import combine_files
combine_files(sys.argv[2:], method=sys.argv[1])
lines = Path("/proc/self/status").read_text().splitlines()
print(next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")))
"""
"""A process that does nothing else, and prints its peak memory [MB]."""


def made_frames(count: int, side: int) -> list[np.ndarray]:
    """Biases of 1000 adu with a noise of 5, and a hit in each."""
    rng = np.random.default_rng(3)
    frames = [rng.normal(1000, 5, (side, side)).astype(np.float32) for _ in range(count)]
    for k, frame in enumerate(frames):
        frame[k, k] = 60_000
    return frames


def seconds(function: Callable[[], Any]) -> tuple[float, float]:
    """Wall and CPU time of a call [s]."""
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - wall, time.process_time() - cpu


def rules(frames: list[np.ndarray]) -> dict[str, dict[str, Callable[[], Any]]]:
    """For each rule, who computes it and how."""
    images = [Image(frame) for frame in frames]

    def ours(**rule: Any) -> Callable[[], Any]:
        return lambda: combine_images(images, uncertainty="scatter", **rule)

    table: dict[str, dict[str, Callable[[], Any]]] = {
        "median": {"etendue": ours(method="median"), "numpy": lambda: np.median(frames, axis=0)},
        "mean": {"etendue": ours(method="mean"), "numpy": lambda: np.mean(frames, axis=0)},
        "clipped by median and MAD": {"etendue": ours(rounds=1)},
        "clipped by mean and deviation": {"etendue": ours(rounds=1, center="mean", deviation="std")},
    }
    try:
        import ccdproc
        from astropy.nddata import CCDData
    except ImportError:
        return table
    frames_of_ccdproc = [CCDData(frame, unit="adu") for frame in frames]

    def theirs(**rule: Any) -> Callable[[], Any]:
        return lambda: ccdproc.combine(frames_of_ccdproc, mem_limit=64e9, **rule)

    clip = {"method": "average", "sigma_clip": True}
    table["median"]["ccdproc"] = theirs(method="median")
    table["mean"]["ccdproc"] = theirs(method="average")
    table["clipped by median and MAD"]["ccdproc"] = theirs(
        **clip, sigma_clip_func="median", sigma_clip_dev_func="mad_std"
    )
    table["clipped by mean and deviation"]["ccdproc"] = theirs(
        **clip, sigma_clip_func="mean", sigma_clip_dev_func="std"
    )
    return table


def check(rule: str, candidates: dict[str, Callable[[], Any]]) -> float:
    """Fraction of pixels in which Etendue and ccdproc agree to the precision of float32."""
    if "ccdproc" not in candidates:
        return float("nan")
    ours, theirs = candidates["etendue"]().data, np.asarray(candidates["ccdproc"]().data)
    agree = float(np.isclose(ours, theirs, rtol=2e-6).mean())
    if agree < 0.9999:
        raise AssertionError(f"{rule}: Etendue and ccdproc agree in {agree:.4%} of the pixels only")
    return agree


def in_memory(count: int, side: int, rounds: int) -> list[dict[str, Any]]:
    """One row for each rule and candidate; the candidates run in turns."""
    frames = made_frames(count, side)
    target = np.empty_like(frames[0])
    small = rules(made_frames(count, 256))
    rows = []
    for rule, candidates in rules(frames).items():
        agree = check(rule, small[rule])
        walls: dict[str, list[float]] = {name: [] for name in (*candidates, "memcpy")}
        cpus: dict[str, list[float]] = {name: [] for name in walls}
        for _ in range(rounds):
            for name, function in (*candidates.items(), ("memcpy", lambda: [np.copyto(target, f) for f in frames])):
                wall, cpu = seconds(function)
                walls[name].append(wall)
                cpus[name].append(cpu)
        ours = min(walls["etendue"])
        rows += [
            {
                "frames": f"{count} x {side}²",
                "rule": rule,
                "who": name,
                "wall_ms": 1e3 * min(walls[name]),
                "cpu_ms": 1e3 * min(cpus[name]),
                "times_etendue": min(walls[name]) / ours,
                "memcpy": min(walls[name]) / min(walls["memcpy"]),
                "agree": agree if name == "ccdproc" else None,
            }
            for name in candidates
        ]
    return rows


def from_files(count: int, side: int) -> list[dict[str, Any]]:
    """Frames in files: time, and peak memory of a process that does nothing else [MB]."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        paths = []
        for k, frame in enumerate(made_frames(count, side)):
            paths.append(str(Path(name) / f"{k}.fits"))
            fits.writeto(paths[-1], frame.astype(np.uint16))
        for method in ("median", "clipped"):
            combine_files(paths, method=method)
            wall, cpu = min(seconds(lambda: combine_files(paths, method=method)) for _ in range(2))  # noqa: B023
            done = subprocess.run(
                [sys.executable, "-c", ALONE, method, *paths], capture_output=True, text=True, check=True
            )
            rows.append(
                {
                    "frames": f"{count} x {side}² files",
                    "rule": method,
                    "who": "etendue",
                    "wall_ms": 1e3 * wall,
                    "cpu_ms": 1e3 * cpu,
                    "peak_memory_MB": float(done.stdout),
                }
            )
    return rows


def run(quick: bool = False) -> list[dict[str, Any]]:
    """All measurements.

    Parameters
    ----------
    quick : bool
        Small frames, one round.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for rule, candidates in rules(made_frames(10, 64)).items():
            check(rule, candidates)  # compiles
        if quick:
            return in_memory(10, 512, 1) + from_files(5, 512)
        return in_memory(10, 4096, 3) + in_memory(30, 1024, 3) + from_files(30, 4096)


def main() -> None:
    """Print the measurements."""
    for row in run("--quick" in sys.argv):
        print(
            "  ".join(
                f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}" for key, value in row.items()
            )
        )


if __name__ == "__main__":
    main()
