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
    """A daemon stands still for longer than its lease, another one takes its work over; then the first one goes on."""
    images = setting.size(16, 100)
    with Observatory(setting.folder, queue={"lease": 2.0}) as observatory:
        second, log = _second(observatory), observatory.folder / "second.log"
        camera = Camera(observatory.incoming, random.Random(setting.rng.random()))
        camera.expose(images // 2)
        first = observatory.start()
        wait_for("it works", lambda: observatory.counts().get("running", 0) > 0, every=0.005)
        children = first.children()
        first.stand_still()
        for child in children:
            child.suspend()
        other = _start(observatory, second, log)
        camera.expose(images - images // 2)
        camera.finish()
        observatory.wait_until_settled(images)
        for child in children:
            child.resume()
        first.go_on()
        time.sleep(setting.size(3, 10))
        require(first.alive, f"the first daemon ended: {first.last_words()}")
        camera.expose(2)
        camera.finish()
        observatory.wait_until_settled(images + 2)
        codes = [daemon.end() for daemon in (first, other)]
        require(codes == [0, 0], f"the daemons ended with {codes}: {first.last_words()}")
        truth = expected_products(camera.frames, setting.folder / "truth")
        verdict = verify(observatory, camera.frames, truth)
        require(verdict.sound and not verdict.failed, str(verdict))
    what = "a daemon stands still (SIGSTOP) for longer than its lease, and goes on when another has done its work"
    return [
        Row(what, f"{verdict.done} of {len(camera.frames)} done, nothing twice; what it had in hands is thrown away")
    ]


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
