"""Disks that are full, read-only or gone: nothing fails, everything waits, and goes on by itself."""

import time
from contextlib import ExitStack
from pathlib import Path

from .case import Case, Row, Setting, require
from .disks import cannot_mount, mount, small_disk, unmount
from .frames import expected_products, frame, put
from .observatory import CHAIN, Observatory, wait_for
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


def run_one_of_two(setting: Setting) -> list[Row]:
    """One of two destinations is full, then not even mounted when the daemon is started: the other chain goes on."""
    count = setting.size(25, 200)
    small, products = setting.folder / "small", setting.folder / "products"
    with ExitStack() as stack:
        stack.enter_context(small_disk(small, f"{max(1, count // 40)}m"))
        products.mkdir()
        mount("--bind", small, products)
        stack.callback(_unmount_if_mounted, products)
        observatory = stack.enter_context(
            Observatory(
                setting.folder,
                chains={"sky": {"text": CHAIN, "destination": "web"}},
                sources=[
                    {"watch": str(setting.folder / name), "chain": chain}
                    for name, chain in (("incoming", "reduce"), ("camera", "sky"))
                ],
                destinations={"products": str(products), "web": str(setting.folder / "web")},
            )
        )
        frames: dict[str, dict[Path, int]] = {"incoming": {}, "camera": {}}

        def expose(folder: str, name: str, number_of: int) -> None:
            for number in range(number_of):
                serial = sum(map(len, frames.values()))
                path = setting.folder / folder / f"{name}-{number:05d}.fits"
                frames[folder][path] = serial
                put(path, frame(serial))

        def others_are_done() -> bool:
            return len(observatory.jobs(chain="sky", states=("done",))) == len(frames["camera"])

        daemon = observatory.start()
        expose("incoming", "frame", 2 * count)
        reason = _held(observatory)
        expose("camera", "sky", count)
        wait_for("the other chain is done", others_are_done, every=0.2)
        done = len(observatory.jobs(chain="reduce", states=("done",)))
        require(done < 2 * count, "the disk was large enough for all: the case is no case")
        _require_nothing_failed(observatory, "one of two destinations is full")
        what = f"one of two destinations is full ({done} of {2 * count} fit), and {count} images come for the other"
        rows = [Row(what, f"held: “{reason}”; meanwhile the others are done")]

        daemon.kill()
        unmount(products)
        daemon = observatory.start()
        reason = _held(observatory)
        expose("camera", "late", count)
        wait_for("the other chain is done", others_are_done, every=0.2)
        _require_nothing_failed(observatory, "one of two destinations is not mounted")
        require(not [*products.iterdir()], f"written into an empty mount point: {[*products.iterdir()]}")
        mount("-o", "remount,size=512m", small)
        mount("--bind", small, products)
        observatory.wait_until_settled(4 * count)
        require(daemon.end() == 0, f"the daemon did not end well: {daemon.last_words()}")

        everything = frames["incoming"] | frames["camera"]
        truth = expected_products(everything, setting.folder / "truth")
        verdict = verify(observatory, frames["incoming"], truth)
        verdict.add(verify(observatory, frames["camera"], truth, chain="sky", products=setting.folder / "web"))
        require(verdict.sound and not verdict.failed, str(verdict))
        charged = [job.label for job in observatory.jobs() if job.attempts > 1]
        require(not charged, f"attempts were charged for a disk: {charged}")
        what = "… the daemon is killed, started without the disk, and the disk comes back with more room"
        rows.append(Row(what, f"held: “{reason}”; meanwhile the others are done; then {verdict}"))
    return rows


def _held(observatory: Observatory) -> str:
    """What the daemon says of the destination that it holds, in its answer to /api/now."""
    (held, *_) = wait_for("the daemon says that it holds", lambda: observatory.now().get("held"), every=0.2)
    reason = f"destination {held['destination']}: {held['reason']}"
    line = " ".join(reason.replace(str(observatory.folder), "…").split())
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
ONE_OF_TWO = Case("destinations", run_one_of_two, cannot_mount)
