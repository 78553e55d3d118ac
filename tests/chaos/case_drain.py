"""SIGTERM lets images finish, a second one does not; what was at work is done by the next daemon."""

import signal
import time

from .case import Case, Row, Setting, require
from .frames import expected_products, frame, put
from .observatory import CHAIN as OBSERVATORY
from .observatory import Observatory, wait_for
from .verify import verify

CHAIN = OBSERVATORY.replace("steps:\n", "steps:\n  - class: tests.chaos.steps.Rest\n    seconds: 3\n")


def run(setting: Setting) -> list[Row]:
    """Three daemons: one drains, one is stopped at once, the last one finishes."""
    count = setting.size(6, 20)
    chains = {"slow": CHAIN}
    sources = [{"watch": str(setting.folder / "incoming"), "chain": "slow"}]
    with Observatory(setting.folder, chains=chains, sources=sources) as observatory:
        frames = {observatory.incoming / f"frame-{number}.fits": number for number in range(count)}
        for path, number in frames.items():
            put(path, frame(number))
        daemon = observatory.start()
        wait_for("two images are at work", lambda: _resting(observatory) == 2)
        status = daemon.end()
        counts = observatory.counts()
        require(status == 0, f"the draining daemon ended with {status}: {daemon.last_words()}")
        require(counts.get("done", 0) >= 2, f"what was at work was not finished: {counts}")
        require(counts.get("running", 0) == 0, f"jobs are left running: {counts}")
        drained = counts["done"]

        daemon = observatory.start()
        wait_for("two images are at work", lambda: _resting(observatory) == 2)
        begin = time.monotonic()
        daemon.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        daemon.end(patience=30)
        stopped = time.monotonic() - begin
        require(observatory.counts().get("failed", 0) == 0, "the second SIGTERM has cost images")

        daemon = observatory.start()
        observatory.wait_until_settled(count)
        require(daemon.end() == 0, f"the daemon did not end well: {daemon.last_words()}")
        truth = expected_products(frames, setting.folder / "truth")
        verdict = verify(observatory, frames, truth, chain="slow")
        require(verdict.sound and not verdict.failed, str(verdict))
    return [
        Row(
            "SIGTERM while images are at work",
            f"{drained} that were at work are finished; the others stay queued; status 0",
        ),
        Row(
            "a second SIGTERM",
            f"ends after {stopped:.1f} s; the next daemon does the rest: {verdict.done} of {count} done",
        ),
    ]


def _resting(observatory: Observatory) -> int:
    """Number of jobs that are in the slow step."""
    workers = observatory.now().get("workers", [])
    return sum("Rest" in str(worker.get("step", "")) for worker in workers)


CASE = Case("drain", run)
