"""Many frames through the chain: two worker processes against one process, and the memory of the whole run.

The real command is measured (``etendue run`` in a process of its own), with everything that a user waits for: start
of the workers, reading, computing, writing, checksums, the journal.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

CHAIN = """
name: throughput
steps:
  - class: SubtractBackground
  - class: SepSourceDetection
    threshold: 5
    subtract_background: false
  - class: SepPhotometry
    apertures: [3, 5, 8]
  - class: SaveCatalog
    filename: "{stem}_cat.fits"
  - class: Save
    filename: "{stem}_reduced.fits"
"""

NOTES = (
    "Read, background, detection, photometry in 3 apertures, catalogue and image written; 2048 x 2048 uint16. "
    "Memory is the highest sum of the resident sets of parent and workers; pages that they share count twice. "
    "'steady' leaves out the time until the first image is done, in which worker processes start."
)

SAMPLING = 0.05
"""Time between two looks at the memory [s]."""


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Frames per second of one and two workers, their ratio, and peak memory."""
    frames = 12 if quick else 60
    many = 30 if quick else 300
    with tempfile.TemporaryDirectory(prefix="etendue-bench-") as name:
        folder = Path(name)
        (folder / "chain.yaml").write_text(CHAIN)
        _simulate(folder, many)
        _measure(folder, 2, workers=1)  # compiles the kernels
        rounds = [{workers: _measure(folder, frames, workers=workers) for workers in (1, 2)} for _ in range(3)]
        rows = []
        for workers in (1, 2):
            best = min((measured[workers] for measured in rounds), key=lambda one: one["seconds"])
            rows.append({"what": f"{frames} frames, {workers} worker{'s' * (workers > 1)}", **_row(best, frames)})
        for kind in ("seconds", "steady_s"):
            ratio = max(measured[1][kind] / measured[2][kind] for measured in rounds)
            what = "two workers against one" + (", steady" if kind == "steady_s" else "")
            rows.append({"what": what, "ratio": round(ratio, 2), "aim": ">= 1.85"})
        night = _measure(folder, many, workers=2)
        rows.append({"what": f"{many} frames, 2 workers", **_row(night, many), "aim": "< 2000 MB"})
    return rows


def _row(measured: dict[str, float], frames: int) -> dict[str, Any]:
    return {
        "seconds": round(measured["seconds"], 1),
        "images_per_s": round(frames / measured["seconds"], 2),
        "cpu_s_per_image": round(measured["cpu_s"] / frames, 3),
        "peak_MB": round(measured["peak"] / 1e6),
    }


def _simulate(folder: Path, count: int) -> None:
    """Frames under many names; their content is that of a few, since only the work counts."""
    from etendue.processors.simulation import simulate_field

    raw = folder / "raw"
    raw.mkdir()
    for number in range(count):
        path = raw / f"frame_{number:04d}.fits"
        if number < 4:
            simulate_field((2048, 2048), seed=number).replace(catalog=None).writeto(path)
        else:
            os.link(raw / f"frame_{number % 4:04d}.fits", path)


def _measure(folder: Path, frames: int, *, workers: int) -> dict[str, float]:
    """Run the command and watch it. Products are removed as they come, so that the disk does not fill up."""
    out = folder / "out"
    names = sorted(str(path) for path in (folder / "raw").iterdir())[:frames]
    arguments = ["run", str(folder / "chain.yaml"), *names, "-o", str(out), "--workers", str(workers), "--json"]
    begin = time.perf_counter()
    answer = folder / "answer.json"
    with answer.open("w") as stdout:
        command = subprocess.Popen(
            [sys.executable, "-m", "etendue", *arguments], stdout=stdout, stderr=subprocess.DEVNULL
        )
    parent, peak, cpu, first = psutil.Process(command.pid), 0, {}, 0.0
    while command.poll() is None:
        resident = 0
        for process in _family(parent):
            try:
                resident += process.memory_info().rss
                times = process.cpu_times()
                cpu[process.pid] = times.user + times.system
            except psutil.Error:
                continue  # it has just ended
        peak = max(peak, resident)
        for product in out.glob("*.fits"):
            first = first or time.perf_counter() - begin
            if time.time() - product.stat().st_mtime > 2:
                product.unlink()
        time.sleep(SAMPLING)
    seconds = time.perf_counter() - begin
    told = json.loads(answer.read_text())
    if told["done"] != frames:
        raise RuntimeError(f"{told['failed']} of {frames} images failed: {told['images'][0]['error']}")
    for product in out.glob("*.fits"):
        product.unlink()
    return {
        "seconds": told["seconds"],
        "steady_s": seconds - first,
        "peak": float(peak),
        "cpu_s": sum(cpu.values()),
    }


def _family(parent: psutil.Process) -> list[psutil.Process]:
    try:
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
