"""Several daemons on one queue: one is killed, one stands still for too long, the database restarts."""

import random
import time
from contextlib import ExitStack
from pathlib import Path

import yaml

from .case import Case, Row, Setting, require
from .frames import Camera, expected_products
from .observatory import Daemon, Observatory, free_port, wait_for
from .verify import verify


def _second(observatory: Observatory) -> Path:
    """The configuration of a second daemon, on the same queue and the same folders."""
    text = yaml.safe_load(observatory.config.read_text())
    text["state"] = str(observatory.folder / "state-2")
    text["queue"]["url"] = observatory.url
    text["web"] = {"port": free_port()}
    path = observatory.folder / "second.yaml"
    path.write_text(yaml.safe_dump(text))
    return path


def run_two(setting: Setting) -> list[Row]:
    """Two daemons on PostgreSQL; now one is killed, now the other; now the database is restarted."""
    from .postgresql import Server

    rounds, images = setting.size(2, 30), setting.size(30, 300)
    rng = random.Random(setting.rng.random())
    with ExitStack() as stack:
        server = stack.enter_context(Server(setting.folder / "postgresql"))
        observatory = stack.enter_context(Observatory(setting.folder, url=server.url("chaos")))
        configs = [observatory.config, _second(observatory)]
        logs = [observatory.log, observatory.folder / "second.log"]
        camera = Camera(observatory.incoming, rng)
        daemons = [_start(observatory, configs[0], logs[0]), _start(observatory, configs[1], logs[1])]
        for number in range(rounds):
            before = observatory.counts()["done"]
            camera.expose(images // rounds)
            wait_for("something is done", lambda before=before: observatory.counts()["done"] > before)
            time.sleep(rng.uniform(0.0, 0.5))
            victim = number % 2
            daemons[victim].kill()
            if number == rounds // 2:
                server.restart()
            if number < rounds - 1:
                daemons[victim] = _start(observatory, configs[victim], logs[victim])
        survivor = daemons[rounds % 2]
        camera.expose(images - len(camera.frames))
        camera.finish()
        begin = time.monotonic()
        observatory.wait_until_settled(images)
        seconds = time.monotonic() - begin
        require(survivor.end() == 0, f"the survivor did not end well: {survivor.last_words()}")
        truth = expected_products(camera.frames, setting.folder / "truth")
        verdict = verify(observatory, camera.frames, truth)
        require(verdict.sound and not verdict.failed, str(verdict))
        shares = _shares(observatory)
    what = f"two daemons on one PostgreSQL queue, {rounds} kills in turns, the database restarted in between"
    text = f"{verdict.done} of {images} done, nothing twice (by {shares} daemons); the survivor needs {seconds:.0f} s"
    return [Row(what, text)]


def run_still(setting: Setting) -> list[Row]:
    """A daemon stands still: in the middle of writing to the queue, and between two writes for longer than its lease.

    Whoever stands still while it writes to SQLite keeps the file locked, and no other process can take that lock from
    it. So the moment is chosen, and both are looked at.
    """
    images = setting.size(16, 100)
    with Observatory(setting.folder, queue={"lease": 2.0}) as observatory:
        second, log = _second(observatory), observatory.folder / "second.log"
        camera = Camera(observatory.incoming, random.Random(setting.rng.random()))
        camera.expose(images // 2)
        first = observatory.start()
        _stand_still(first, observatory, camera, writing=True)
        other = observatory.start(config=second, log=log, ready=False)
        other.wait_for(lambda: "the queue cannot be written" in other.last_words(), "it says that the queue is locked")
        first.go_on()
        observatory.wait_until_registered(other)
        camera.finish()
        observatory.wait_until_settled(len(camera.frames))
        require(other.end() == 0, f"the daemon that had waited did not end well: {other.last_words()}")

        children = first.children()
        _stand_still(first, observatory, camera, writing=False)
        for child in children:
            child.suspend()
        other = observatory.start(config=second, log=log)
        camera.expose(images // 2)
        camera.finish()
        observatory.wait_until_settled(len(camera.frames))
        for child in children:
            child.resume()
        first.go_on()
        time.sleep(setting.size(3, 10))
        require(first.alive, f"the first daemon ended: {first.last_words()}")
        camera.expose(2)
        camera.finish()
        observatory.wait_until_settled(len(camera.frames))
        codes = [daemon.end() for daemon in (first, other)]
        require(codes == [0, 0], f"the daemons ended with {codes}: {first.last_words()}")
        truth = expected_products(camera.frames, setting.folder / "truth")
        verdict = verify(observatory, camera.frames, truth)
        require(verdict.sound and not verdict.failed, str(verdict))
    done = f"{verdict.done} of {len(camera.frames)} done, nothing twice"
    return [
        Row(
            "a daemon stands still (SIGSTOP) in the middle of writing to SQLite, and another one is started",
            "the other one says that the queue is locked, and waits until the first one goes on; then both work",
        ),
        Row(
            "a daemon stands still for longer than its lease, and goes on when another has done its work",
            f"{done}; what it had in hands is thrown away",
        ),
    ]


def _stand_still(daemon: Daemon, observatory: Observatory, camera: Camera, *, writing: bool) -> None:
    """Stop a daemon that is at work, in the middle of writing to the queue or between two writes."""

    def stopped_there() -> bool:
        if not observatory.counts().get("running"):
            camera.expose(2)
            return False
        daemon.stand_still()
        if observatory.locked() is writing and observatory.counts().get("running"):
            return True
        daemon.go_on()
        return False

    moment = "in the middle of writing" if writing else "between two writes"
    wait_for(f"the daemon stands still {moment}", stopped_there, every=0.003)


def _start(observatory: Observatory, config: Path, log: Path) -> Daemon:
    return observatory.start(config=config, log=log)


def _shares(observatory: Observatory) -> int:
    """Number of daemons that have done something."""
    return len({attempt.daemon for job in observatory.jobs() for attempt in observatory.queue.attempts(job.id)})


def _lacks_postgresql() -> str:
    from .postgresql import lacking

    return lacking()


TWO = Case("two", run_two, _lacks_postgresql)
STILL = Case("still", run_still)
