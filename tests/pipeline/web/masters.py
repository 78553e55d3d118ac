"""A master that waits for a person, in the library of a page without a daemon."""

import hashlib
from pathlib import Path

import numpy as np

from etendue.images import Image
from etendue.pipeline.daemon.nights.view import SEEN, SETUP
from etendue.pipeline.daemon.queue import JobKind, JobState, NewJob, Record
from etendue.processors.combination.comparison import compare_masters, judged
from tests.pipeline.web.demo import DemoService

NIGHT = "2026-03-20"
LAST, CANDIDATE = "flat_R_2026-03-18.fits", f"flat_R_{NIGHT}.fits"
SIDE = 128


def flat(tilt: float, night: str, *, seed: int = 1) -> Image:
    """A master flat whose response falls off towards the corners, and rises by a fraction from left to right."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    response = (1 - 0.08 * (x**2 + y**2)) * (1 + tilt * x / 2) * rng.normal(1, 0.003, x.shape)
    header = {
        "IMAGETYP": "master flat",
        "FILTER": "R",
        "INSTRUME": "Camera A",
        "NCOMBINE": 7,
        "DATE-OBS": f"{night}T18:10:00",
        "MSTATUS": "accepted",
    }
    sigma = np.full(x.shape, 0.003, np.float32)
    return Image(data=(response / np.median(response)).astype(np.float32), uncertainty=sigma, header=header)


def add_candidate(service: DemoService, *, tilt: float = 0.2) -> int:
    """A flat of the night that differs from the last one, and the job that has built it: its number."""
    library: Path = service.settings.nights.library  # type: ignore[union-attr]
    library.mkdir(exist_ok=True)
    last = flat(0.0, "2026-03-18")
    last.writeto(library / LAST)
    new = flat(tilt, NIGHT, seed=2)
    comparison = compare_masters(new, last)
    judged(new, comparison).writeto(library / CANDIDATE)
    master = {
        "kind": "flat",
        "label": "flat R",
        "status": comparison.status,
        "name": CANDIDATE,
        "frames": [],
        "reasons": list(comparison.reasons),
        "compared_with": LAST,
        "numbers": {"combined": 7.0, "level": 1.0, **comparison.figures},
        "seconds": 1.2,
    }
    setup = ["Camera A", [SIDE, SIDE], [1, 1], ""]
    key = hashlib.sha256(str(library).encode()).hexdigest()
    job = NewJob(
        kind=JobKind.MASTERS, key=key, source="incoming", chain="photometry", label=f"masters Camera A {NIGHT}",
        night=NIGHT, instrument="Camera A", facts={SETUP: setup},
    )  # fmt: skip
    (added,) = service.queue.add([job])
    facts = {"nights": {"masters": [master], "damaged": {}}, SETUP: setup, SEEN: added.id}
    service.end(JobState.DONE, Record(facts=facts))
    return added.id
