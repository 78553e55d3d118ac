"""Disks that are full, read-only or gone: nothing fails, everything waits, and goes on by itself."""

import time
from contextlib import ExitStack
from pathlib import Path

from .case import Case, Row, Setting, require
from .disks import cannot_mount, mount, small_disk, unmount
from .frames import expected_products, frame, put
from .observatory import Observatory, wait_for
from .verify import verify


def run(setting: Setting) -> list[Row]:
    """Four disturbances, one after the other, of one daemon."""
    count = setting.size(30, 300)
    rows: list[Row] = []
    with ExitStack() as stack:
        for name in ("products", "state", "raw"):
            size = f"{max(2, count // 30)}m" if name == "products" else "64m"
            stack.enter_context(small_disk(setting.folder / name, size))
        raw, incoming = setting.folder / "raw" / "incoming", setting.folder / "incoming"
        raw.mkdir()
        incoming.mkdir()
        mount("--bind", raw, incoming)
        stack.callback(_unmount_if_mounted, incoming)
        observatory = stack.enter_context(Observatory(setting.folder))
        daemon = observatory.start()
        frames = {}

        def expose(number_of: int) -> None:
            for number in range(len(frames), len(frames) + number_of):
                frames[incoming / f"frame-{number:05d}.fits"] = number
                put(incoming / f"frame-{number:05d}.fits", frame(number))

        # The destination is full.
        expose(2 * count)
        reason = _held(observatory)
        done = observatory.counts().get("done", 0)
        time.sleep(setting.size(1, 10))
        _require_nothing_failed(observatory, "the destination is full")
        require(done < len(frames), "the disk was large enough for all: the case is no case")
        mount("-o", "remount,size=512m", observatory.products)
        observatory.wait_until_settled(len(frames))
        what = f"the disk of the products is full ({done} of {len(frames)} fit), and gets room again"
        rows.append(Row(what, f"held: “{reason}”; then all done, no attempt charged"))

        # The destination can only be read.
        mount("-o", "remount,ro", observatory.products)
        expose(count // 3)
        reason = _held(observatory)
        time.sleep(setting.size(1, 10))
        _require_nothing_failed(observatory, "the destination is read-only")
        mount("-o", "remount,rw", observatory.products)
        observatory.wait_until_settled(len(frames))
        rows.append(
            Row("the disk of the products becomes read-only, and writable again", f"held: “{reason}”; all done")
        )

        # The folder of raw images goes away, and comes back.
        expose(count)
        wait_for("some of them are done", lambda: observatory.counts().get("done", 0) > len(frames) - count + 2)
        unmount(incoming)
        time.sleep(setting.size(3, 20))
        waited = len(frames) - observatory.counts().get("done", 0)
        _require_nothing_failed(observatory, "the input folder is unmounted")
        mount("--bind", raw, incoming)
        observatory.wait_until_settled(len(frames))
        what = f"the input folder is unmounted while {max(waited, 0)} images wait, and mounted again"
        rows.append(Row(what, "none failed; all done"))

        # The disk of the queue itself is full.
        ballast = observatory.state / "ballast"
        expose(count // 3)
        _fill(ballast)
        expose(count // 3)
        time.sleep(setting.size(3, 20))
        require(daemon.alive, f"the daemon ended: {daemon.last_words()}")
        ballast.unlink()
        observatory.wait_until_settled(len(frames))
        rows.append(Row("the disk of the queue is full, and gets room again", "the daemon waits; all done"))

        status = daemon.end()
        require(status == 0, f"the daemon ended with {status}: {daemon.last_words()}")
        truth = expected_products(frames, setting.folder / "truth")
        verdict = verify(observatory, frames, truth)
        require(verdict.sound and not verdict.failed, str(verdict))
        charged = [job.label for job in observatory.jobs() if job.attempts > 1]
        require(not charged, f"attempts were charged for a disk: {charged}")
        rows.append(Row("… after all of these", str(verdict)))
    return rows


def _held(observatory: Observatory) -> str:
    """What the daemon says of the hold, in its answer to /api/now."""
    (reason, *_) = wait_for("the daemon says that it holds", lambda: observatory.now().get("holding"), every=0.2)
    line = " ".join(str(reason).replace(str(observatory.folder), "…").split())
    return line if len(line) < 120 else line[:117] + "…"


def _require_nothing_failed(observatory: Observatory, when: str) -> None:
    failed = [(job.label, job.error) for job in observatory.jobs(states=("failed",))]
    require(not failed, f"{when}: {failed[:3]}")


def _unmount_if_mounted(folder: Path) -> None:
    if folder.is_mount():
        unmount(folder)


def _fill(path: Path) -> None:
    """A file that takes all room that is left."""
    with path.open("wb", buffering=0) as stream:
        for size in (1 << 20, 4096, 1):
            try:
                while stream.write(bytes(size)):
                    continue
            except OSError:
                continue


CASE = Case("storage", run, cannot_mount)
