"""Calibration of one raw frame: against ccdproc, numpy, and the memory.

A raw frame of uint16 with master bias, dark and flat becomes electrons with uncertainty and mask. Candidates run in
turns in one process, each with one thread. ``bytes`` is what must be read and written at least, ``of memory`` the time
over the time that copying as many bytes takes in the same rounds.
"""

import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from etendue.images import Image
from etendue.images.sections import Section
from etendue.processors.calibration import Calibration
from etendue.processors.calibration.folding import Region, fold
from etendue.processors.calibration.kernel import NO_FLAGS, NONE, calibrate
from etendue.processors.calibration.masters import open_master
from etendue.processors.calibration.reduction import read_only

NOTES = """
ccdproc computes in float64, normalises the flat once more, and counts the bias level as light in its uncertainty; the
numpy rows are what a careful person writes with whole arrays in float32. The step writes its result into memory that
the last one has left; the first frame takes a third longer.
"""

GAIN, READ_NOISE, SATURATION = 2.0, 5.0, 60000.0
HEADER = {"EXPTIME": 60.0, "GAIN": GAIN, "RDNOISE": READ_NOISE, "FILTER": "R", "SATURATE": SATURATION}

Candidate = tuple[str, Callable[[], Any], int | None]


def masters(side: int, *, with_errors: bool) -> dict[str, Image]:
    """Master bias, dark and flat."""
    rng = np.random.default_rng(1)
    values = {"bias": (300.0, 1.0, 0.9), "dark": (20.0, 1.0, 0.3), "flat": (1.0, 0.02, 0.001)}
    made = {}
    for kind, (level, scatter, error) in values.items():
        data = (level + scatter * rng.standard_normal((side, side), dtype=np.float32)).astype(np.float32)
        uncertainty = np.full_like(data, error) if with_errors else None
        made[kind] = Image(data, HEADER, uncertainty=uncertainty, name=f"{kind}.fits")
    return made


def raw_frame(side: int) -> np.ndarray:
    """A sky of 2000 adu with some saturated stars."""
    rng = np.random.default_rng(2)
    raw = rng.normal(2300, 40, (side, side)).astype(np.uint16)
    raw[side // 8 :: side // 8, side // 16 :: side // 16] = 65000
    return raw


def ccdproc_way(raw: np.ndarray, frames: dict[str, Image]) -> Callable[[], Any] | None:
    """``ccdproc.ccd_process`` with uncertainty and mask; None where it is not installed."""
    try:
        import ccdproc
    except ImportError:
        return None
    from astropy import units as u
    from astropy.nddata import CCDData, StdDevUncertainty

    def ccd(image: Image, unit: str, factor: float = 1.0) -> CCDData:
        error = None if image.safe_uncertainty is None else StdDevUncertainty(image.uncertainty * factor)
        return CCDData(image.data * factor, unit=unit, uncertainty=error, meta={"exposure": 60.0})

    bias, dark = (ccd(frames[kind], "electron", GAIN) for kind in ("bias", "dark"))
    flat = ccd(frames["flat"], "")
    science = CCDData(raw.astype(float), unit="adu", meta={"exposure": 60.0})

    def run() -> Any:
        return ccdproc.ccd_process(
            science,
            error=True,
            gain=GAIN * u.electron / u.adu,
            readnoise=READ_NOISE * u.electron,
            bad_pixel_mask=raw >= SATURATION,
            master_bias=bias,
            dark_frame=dark,
            exposure_key="exposure",
            exposure_unit=u.s,
            master_flat=flat,
        )

    return run


def numpy_way(raw: np.ndarray, frames: dict[str, Image]) -> Callable[[], Any]:
    """Whole-array expressions in float32."""
    bias, dark, flat = (frames[kind].data for kind in ("bias", "dark", "flat"))
    errors = [frames[kind].safe_uncertainty for kind in ("bias", "dark", "flat")]

    def run() -> Any:
        light = raw.astype(np.float32) - bias
        variance = np.maximum(light * np.float32(GAIN), 0) + np.float32(READ_NOISE**2)
        electrons = (light - dark) * np.float32(GAIN) / flat
        if errors[0] is not None and errors[1] is not None:
            variance += (errors[0] ** 2 + errors[1] ** 2) * np.float32(GAIN**2)
        variance /= flat**2
        if errors[2] is not None:
            variance += (electrons * errors[2] / flat) ** 2
        return electrons, np.sqrt(variance), raw >= SATURATION

    return run


def kernel_way(raw: np.ndarray, frames: dict[str, Image]) -> Callable[[], Any]:
    """The kernel alone, into arrays that exist."""
    side = len(raw)
    region = Region(Section(0, side, 0, side), 0, 0, GAIN, READ_NOISE)
    m = fold([open_master(kind, frames[kind]) for kind in ("bias", "dark", "flat")], raw.shape, [region])  # type: ignore[arg-type]
    out, error, mask = np.empty_like(m.offset), np.empty_like(m.offset), np.empty(raw.shape, np.uint8)
    rows, columns = np.zeros(side, np.uint8), np.zeros(side, np.uint8)
    pixels, level, flags = read_only(raw), read_only(np.zeros(side, np.float32)), NO_FLAGS
    numbers = [np.float32(value) for value in (1 / GAIN, m.dark_limits[0], 0.0, SATURATION)]

    def run() -> Any:
        return calibrate(
            pixels, level, m.offset, m.gain_over_flat, m.floor, m.flat_variance if m.flat_variance.size else NONE,
            flags, flags, *numbers, 0, 0, 0, side, side, 0, 0, out, error, mask, rows, columns,
        )  # fmt: skip

    return run


def times(candidates: list[Candidate], rounds: int) -> dict[str, tuple[list[float], list[float]]]:
    """Wall and CPU time of each candidate in each round [s]; the slowest ones run in every third round only."""
    taken: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name, _, _ in candidates}
    for _, function, _ in candidates:
        function()
    for k in range(rounds):
        for name, function, _ in candidates:
            if name.startswith("ccdproc") and k % 3:
                continue
            wall, cpu = time.perf_counter(), time.process_time()
            function()
            taken[name][1].append(time.process_time() - cpu)
            taken[name][0].append(time.perf_counter() - wall)
    return taken


def measure(side: int, rounds: int, *, with_errors: bool) -> list[dict[str, Any]]:
    """One table row for each candidate, on a frame of `side` × `side` pixels."""
    frames, raw = masters(side, with_errors=with_errors), raw_frame(side)
    step = Calibration(bias=frames["bias"], dark=frames["dark"], flat=frames["flat"])
    science = Image(raw, HEADER)
    least = side * side * (2 + 3 * 4 + (4 if with_errors else 0) + 4 + 4 + 1)
    source, target = np.ones(least // 2, np.uint8), np.ones(least // 2, np.uint8)
    candidates: list[Candidate] = [
        ("copying as many bytes", lambda: np.copyto(target, source), least),
        ("etendue: kernel", kernel_way(raw, frames), least),
        ("etendue: Calibration", lambda: step.process(science), least),
        ("numpy, float32", numpy_way(raw, frames), None),
    ]
    if (peer := ccdproc_way(raw, frames)) is not None:
        candidates.append(("ccdproc.ccd_process", peer, None))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        taken = times(candidates, rounds)
    copying, ours = min(taken["copying as many bytes"][1]), min(taken["etendue: Calibration"][1])
    what = f"{side}², masters {'with' if with_errors else 'without'} errors"
    return [
        {
            "frame": what,
            "candidate": name,
            "wall min [ms]": 1e3 * min(wall),
            "wall median [ms]": 1e3 * statistics.median(wall),
            "CPU min [ms]": 1e3 * min(cpu),
            "MB": least / 1e6 if minimum else None,
            "of memory": min(cpu) / copying if minimum else None,
            "ratio to Calibration": min(cpu) / ours,
        }
        for (name, _, minimum), (wall, cpu) in zip(candidates, taken.values(), strict=True)
    ]


def run(quick: bool = False) -> list[dict[str, Any]]:
    """All candidates that are installed here, with error-free masters and with others; at 4096² in the long form."""
    if quick:
        return measure(1024, 3, with_errors=True)
    return [
        row
        for side, rounds in ((1024, 30), (4096, 9))
        for errors in (False, True)
        for row in measure(side, rounds, with_errors=errors)
    ]
