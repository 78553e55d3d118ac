"""The daemon end to end: frames per second against others, and the time from file to product.

Frames of uint16 appear in the watched folder of a warm daemon with two workers; products are catalogues. What is
measured goes from the first product to the last, for everybody: two processes each, the same frames, the same chain
(background, detection at 1.5 sigma, three apertures). Rounds are interleaved. Latency is the time from the close of a
file to the appearance of its product, while frames come in at half of the rate that was measured before.
"""

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from .chain import ONE_THREAD, PEERS, PYOBS
from .serving import CHAIN, Serving, frames_per_second

NOTES = """
`of etendue run` is the median over the rounds of the ratio of rates in the same round. **etendue serve** does more than
**etendue run**: each file is inspected, has its job in a database that is synced to disk, and its product is staged and
put into place by another process than the one that made it. **numpy + sep by hand** and **pyobs** have two processes,
each with half of the frames in a plain loop, without queue or supervision.
"""

PROCESSES = 2


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Rates of all contestants for two sizes of frames, and the latency of the daemon."""
    rows = []
    for side, frames, rounds in ((1024, 20, 1),) if quick else ((1024, 160, 3), (2048, 48, 3)):
        with tempfile.TemporaryDirectory(prefix="etendue-bench-") as name:
            rows += _compare(Path(name), side, frames, rounds, alone=12 if quick else 200)
    return rows


def _compare(folder: Path, side: int, frames: int, rounds: int, *, alone: int) -> list[dict[str, Any]]:
    raw = folder / "raw"
    _simulate(raw, side, frames)
    (folder / "chain.yaml").write_text(CHAIN)
    taken: dict[str, list[float]] = {}
    with Serving(folder / "daemon", workers=PROCESSES) as daemon:
        _serve(daemon, raw, frames)  # the workers warm up
        for _ in range(rounds):
            for name, rate in _round(daemon, folder, raw, frames).items():
                taken.setdefault(name, []).append(rate)
        latency = _latency(daemon, raw, alone, statistics.median(taken["etendue serve"]) / 2)
    base = taken["etendue run"]
    rows = [
        {
            "frame": f"{side}²",
            "what": name,
            "frames/s": statistics.median(rates),
            "of etendue run": statistics.median(ours / theirs for ours, theirs in zip(rates, base, strict=True)),
            "aim": ">= 0.9" if name == "etendue serve" else None,
        }
        for name, rates in taken.items()
    ]
    median, p99 = np.percentile(latency, (50, 99))
    rows.append(
        {
            "frame": f"{side}²",
            "what": f"close of the file to product, {len(latency)} frames at half load",
            "median [ms]": 1e3 * median,
            "99 % [ms]": 1e3 * p99,
        }
    )
    return rows


def _round(daemon: Serving, folder: Path, raw: Path, frames: int) -> dict[str, float]:
    rates = {"etendue serve": _serve(daemon, raw, frames), "etendue run": _run(folder, raw, frames)}
    rates["numpy + sep by hand"] = _loop(Path(sys.executable), "sep_by_hand", folder, raw)
    if PYOBS.exists():
        rates["pyobs"] = _loop(PYOBS, "pyobs_pipeline", folder, raw)
    return rates


def _simulate(folder: Path, side: int, frames: int) -> None:
    """Frames under many names; their content is that of a few, since only the work counts."""
    from etendue.processors.simulation import simulate_field

    folder.mkdir()
    for number in range(frames):
        path = folder / f"frame-{number:04d}.fits"
        if number < 4:
            simulate_field((side, side), seed=number).replace(catalog=None).writeto(path)
        else:
            os.link(folder / f"frame-{number % 4:04d}.fits", path)


def _copies(raw: Path, target: Path, prefix: str) -> None:
    """The frames, as files of their own: a link would have the times of its original.

    Their names are new in each round: a product that the daemon has made is not made again of the same file.
    """
    target.mkdir()
    for path in sorted(raw.iterdir()):
        (target / f"{prefix}-{path.name}").write_bytes(path.read_bytes())


def _serve(daemon: Serving, raw: Path, frames: int) -> float:
    """All frames appear at once."""
    elsewhere = daemon.folder / "elsewhere"
    batch = f"batch-{time.monotonic_ns()}"
    _copies(raw, elsewhere, batch)
    elsewhere.rename(daemon.incoming / batch)
    daemon.wait_for_products(frames)
    rate = frames_per_second([Path(entry.path) for entry in daemon.made()], skip=PROCESSES)
    daemon.clear()
    return rate


def _run(folder: Path, raw: Path, frames: int) -> float:
    out = folder / "out"
    arguments = ["run", str(folder / "chain.yaml"), str(raw), "-o", str(out), "--workers", str(PROCESSES), "--json"]
    subprocess.run([sys.executable, "-m", "etendue", *arguments], check=True, capture_output=True)
    products = list(out.glob("*_cat.fits"))
    if len(products) != frames:
        raise RuntimeError(f"etendue run made {len(products)} products of {frames} frames")
    rate = frames_per_second(products, skip=PROCESSES)
    _remove(out)
    return rate


def _loop(python: Path, module: str, folder: Path, raw: Path) -> float:
    out = folder / "loop"
    out.mkdir()
    loops = [
        subprocess.Popen(
            [str(python), str(PEERS / "loop.py"), module, str(raw), str(out), str(number), str(PROCESSES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | ONE_THREAD,
        )
        for number in range(PROCESSES)
    ]
    for loop in loops:
        assert loop.stdout is not None
        if not loop.stdout.readline():
            raise RuntimeError(f"{module} does not start")
    for loop in loops:  # all begin before anybody is waited for
        assert loop.stdin is not None
        loop.stdin.write("\n")
        loop.stdin.flush()
    for loop in loops:
        if loop.wait():
            raise RuntimeError(f"{module} ended with {loop.returncode}")
    rate = frames_per_second(list(out.glob("*.fits")), skip=PROCESSES)
    _remove(out)
    return rate


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder)


def _latency(daemon: Serving, raw: Path, frames: int, rate: float) -> list[float]:
    """Seconds from the close of a file to its product, frames coming at random times."""
    rng = random.Random(3)
    contents = [path.read_bytes() for path in sorted(raw.iterdir())[:4]]
    closed: dict[str, int] = {}
    due = time.monotonic()
    for number in range(frames):
        due += rng.uniform(0.5, 1.5) / rate
        time.sleep(max(0.0, due - time.monotonic()))
        name = f"late-{number:04d}"
        with (daemon.incoming / f"{name}.fits").open("wb") as stream:
            stream.write(contents[number % 4])
        closed[name] = time.time_ns()
    daemon.wait_for_products(frames)
    appeared = {entry.name.removesuffix("_cat.fits"): entry.stat().st_ctime_ns for entry in daemon.made()}
    daemon.clear()
    return [(appeared[name] - then) * 1e-9 for name, then in closed.items()]
