"""A clock that is set back, and a database that somebody else has locked."""

import shutil
import sqlite3
import struct
import subprocess
import time
from pathlib import Path

from .case import Case, Row, Setting, require
from .frames import expected_products, frame, put
from .observatory import Observatory
from .verify import verify

SOURCE = Path(__file__).with_name("clock.c")
HOUR = 3600


def run_clock(setting: Setting) -> list[Row]:
    """The wall clock jumps while images are at work, one waits for its second attempt, and others come in."""
    count = setting.size(8, 100)
    library, offset = setting.folder / "clock.so", setting.folder / "offset"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", str(library), str(SOURCE), "-ldl"], check=True)
    offset.write_bytes(struct.pack("q", 0))
    tally, odd = setting.folder / "tally", setting.folder / "odd"
    tally.mkdir()
    odd.mkdir()
    chain = (
        f"name: stumble\nsteps:\n  - class: tests.chaos.steps.Stumble\n    folder: {tally}\n    times: 1\n"
        '  - class: etendue.processors.output.save.Save\n    filename: "{stem}_reduced.fits"\n'
    )
    chains = {"stumble": {"text": chain, "attempts": 3, "backoff": 6.0}}
    sources = [{"watch": str(odd), "chain": "stumble"}, {"watch": str(setting.folder / "incoming"), "chain": "reduce"}]
    with Observatory(setting.folder, chains=chains, sources=sources) as observatory:
        observatory.environment = {"LD_PRELOAD": str(library), "CHAOS_CLOCK": str(offset)}
        daemon = observatory.start()
        frames: dict[Path, int] = {}

        def expose() -> None:
            for number in range(len(frames), len(frames) + count):
                frames[observatory.incoming / f"frame-{number:04d}.fits"] = number
                put(observatory.incoming / f"frame-{number:04d}.fits", frame(number))

        put(odd / "retried.fits", frame(5000))
        observatory.wait_for_job("retried.fits", "queued", "running")
        for hours in (-1, 2, -3):
            expose()
            _wait_for_attempt(tally)
            with offset.open("r+b") as file:  # in place: who has it mapped dies of a truncation
                file.write(struct.pack("q", hours * HOUR))
            expose()
            daemon.wait_for(lambda: observatory.settled(len(frames) + 1), "all is done")
        status = daemon.end()
        require(status == 0, f"the daemon ended with {status}: {daemon.last_words()}")
        retried = observatory.wait_for_job("retried.fits", "done")
        require(retried.attempts == 2, f"the retried image took {retried.attempts} attempts")
        truth = expected_products(frames, setting.folder / "truth")
        verdict = verify(observatory, frames, truth)
        verdict.left = [name for name in verdict.left if name != "retried_reduced.fits"]
        require(verdict.sound and not verdict.failed, str(verdict))
    what = (
        "the clock is set back an hour, forth three and back five, while images are at work and one waits for a retry"
    )
    return [Row(what, f"{verdict.done + 1} of {len(frames) + 1} done, the retry too; nothing twice")]


def _wait_for_attempt(tally: Path) -> None:
    end = time.monotonic() + 60
    while not list(tally.iterdir()) and time.monotonic() < end:
        time.sleep(0.05)


def run_locked(setting: Setting) -> list[Row]:
    """Somebody else keeps the database locked, for longer than the daemon waits for it."""
    seconds, count = setting.size(8, 30), setting.size(10, 60)
    with Observatory(setting.folder) as observatory:
        daemon = observatory.start()
        frames = {observatory.incoming / f"frame-{number:04d}.fits": number for number in range(count)}
        paths = list(frames)
        for path in paths[: count // 2]:
            put(path, frame(frames[path]))
        observatory.wait_for_job(paths[0].name, "running", "done")
        intruder = sqlite3.connect(observatory.url.removeprefix("sqlite:///"), isolation_level=None, timeout=60)
        intruder.execute("BEGIN IMMEDIATE")
        intruder.execute("SELECT * FROM jobs").fetchone()
        for path in paths[count // 2 :]:
            put(path, frame(frames[path]))
        time.sleep(seconds)
        require(daemon.alive, f"the daemon ended: {daemon.last_words()}")
        intruder.execute("ROLLBACK")
        intruder.close()
        observatory.wait_until_settled(count)
        status = daemon.end()
        require(status == 0, f"the daemon ended with {status}: {daemon.last_words()}")
        truth = expected_products(frames, setting.folder / "truth")
        verdict = verify(observatory, frames, truth)
        require(verdict.sound and not verdict.failed, str(verdict))
    return [
        Row(f"somebody else locks the database for {seconds} s", f"the daemon waits; {verdict.done} of {count} done")
    ]


def _lacks_compiler() -> str:
    return "" if shutil.which("cc") else "the clock is set by a small library, for which there is no C compiler"


CLOCK = Case("clock", run_clock, _lacks_compiler)
LOCKED = Case("locked", run_locked)
