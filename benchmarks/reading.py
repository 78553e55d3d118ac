"""Reading and writing images, against numpy and astropy in the same rounds.

    python benchmarks/reading.py

Rounds are interleaved, so that what else the machine does hits all candidates alike; the minimum is the cost,
the median what is usual. Files are in the page cache.
"""

import asyncio
import io
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiofiles
import numpy as np
from astropy.io import fits
from astropy.table import Table

from etendue.images.io import file_checksum, load_planes, read_bytes, read_file, write_fits
from etendue.images.planes import Planes

ROUNDS = 9

Candidate = tuple[str, Callable[[], Any], str, Callable[[], Any]]


def numpy_way(path: Path, side: int) -> np.ndarray:
    """The fastest way that numpy has: the bytes as big-endian integers, cast, and BZERO added in place."""
    stored = np.fromfile(path, ">i2", side * side, offset=2880)
    pixels = stored.astype(np.float32)
    pixels += np.float32(32768)
    return pixels.reshape(side, side)


def astropy_way(path: Path) -> np.ndarray:
    """What everybody writes."""
    return fits.getdata(path).astype("float32")  # type: ignore[union-attr]


def candidates(folder: Path, side: int) -> list[Candidate]:
    """What is measured, each with the peer it is measured against."""
    rng = np.random.default_rng(1)
    counts = rng.integers(0, 65535, (side, side), np.uint16)
    floats = rng.normal(1000, 10, (side, side)).astype(np.float32)
    for name, pixels in (("u2", counts), ("f4", floats)):
        fits.writeto(folder / f"{name}_{side}.fits", pixels, overwrite=True)
    raw, calibrated = folder / f"u2_{side}.fits", folder / f"f4_{side}.fits"
    packed = folder / f"u2_{side}.fits.fz"
    image = fits.CompImageHDU(counts // 256 * 16, compression_type="RICE_1")
    fits.HDUList([fits.PrimaryHDU(), image]).writeto(packed, overwrite=True)
    assert np.array_equal(np.asarray(read_file(raw).data), numpy_way(raw, side))

    def write_ours() -> None:
        with (folder / "out.fits").open("wb", buffering=0) as stream:
            write_fits(Planes(data=floats), stream)  # type: ignore[arg-type]

    async def by_aiofiles() -> None:
        async with aiofiles.open(raw, "rb") as stream:
            content = await stream.read()
        await asyncio.to_thread(read_bytes, content)

    return [
        (f"{side}² uint16 to float32", lambda: read_file(raw), "numpy", lambda: numpy_way(raw, side)),
        (f"{side}² uint16 to float32", lambda: read_file(raw), "astropy", lambda: astropy_way(raw)),
        (
            f"{side}² uint16, asynchronously",
            lambda: asyncio.run(load_planes(raw)),
            "aiofiles",
            lambda: asyncio.run(by_aiofiles()),
        ),
        (f"{side}² float32", lambda: read_file(calibrated), "astropy", lambda: astropy_way(calibrated)),
        (f"{side}² Rice to float32", lambda: read_file(packed), "astropy", lambda: astropy_way(packed)),
        (
            f"write {side}² float32 (no fsync)",
            write_ours,
            "astropy",
            lambda: fits.writeto(folder / "out.fits", floats, overwrite=True),
        ),
    ]


def catalog_candidates() -> list[Candidate]:
    """Tables of a detection step: 3000 sources, 30 columns with units and descriptions."""
    rng = np.random.default_rng(2)
    table = Table({f"column{i}": rng.normal(size=3000) for i in range(30)})
    for name in table.colnames:
        table[name].unit, table[name].description = "pix", "a quantity in pixels"
    pixels = np.zeros((2, 2), np.float32)

    def ours() -> bytes:
        stream = io.BytesIO()
        write_fits(Planes(data=pixels, catalog=table), stream)
        return stream.getvalue()

    def astropys() -> bytes:
        stream = io.BytesIO()
        table.write(stream, format="fits")
        return stream.getvalue()

    return [("write a catalogue of 3000 × 30", ours, "astropy", astropys)]


def measure(candidate: Candidate, rounds: int) -> dict[str, Any]:
    """One row of the table: times of ours and of the peer [ms], and their ratio (below one: ours is faster)."""
    what, ours, peer, theirs = candidate
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for function, taken in zip((ours, theirs), times, strict=True):
            started = time.perf_counter()
            function()
            taken.append(1e3 * (time.perf_counter() - started))
    return {
        "what": what,
        "ours_ms": min(times[0]),
        "ours_median_ms": statistics.median(times[0]),
        "peer": peer,
        "peer_ms": min(times[1]),
        "peer_median_ms": statistics.median(times[1]),
        "ratio": min(times[0]) / min(times[1]),
    }


def run(rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """All measurements.

    Parameters
    ----------
    rounds : int
        How often each candidate runs.

    Returns
    -------
    list of dict
        Rows with ``what``, ``ours_ms``, ``peer``, ``peer_ms``, ``ratio`` (of the minima) and the medians.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [measure(candidate, rounds) for side in (1024, 4096) for candidate in candidates(folder, side)]
        rows += [measure(candidate, rounds) for candidate in catalog_candidates()]
        raw = folder / "u2_4096.fits"
        rows.append(
            measure(("checksum of 4096² uint16", lambda: file_checksum(raw), "reading it", raw.read_bytes), rounds)
        )
    return rows


def main() -> None:
    """Print the measurements as a table."""
    print(f"{'what':34} {'ours':>8} {'median':>8}   {'peer':10} {'min':>8} {'median':>8} {'ratio':>6}   [ms]")
    for row in run():
        print(
            f"{row['what']:34} {row['ours_ms']:8.2f} {row['ours_median_ms']:8.2f}   "
            f"{row['peer']:10} {row['peer_ms']:8.2f} {row['peer_median_ms']:8.2f} {row['ratio']:6.2f}"
        )


if __name__ == "__main__":
    main()
