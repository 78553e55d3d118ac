"""``kill -9`` at random moments, while images come in: of the daemon, and of what it has started."""

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from .frames import Camera, expected_products
from .observatory import PATIENCE, Daemon, Observatory
from .verify import Verdict, half_written, verify

MOMENTS = {"start": 25, "arrival": 15, "staging": 20, "publishing": 25, "any": 15}
"""When the daemon is killed, and how often in a hundred."""


@dataclass
class Kills:
    """What a run of kills has done."""

    daemon: int = 0
    worker: int = 0
    moments: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    """What the dead daemon had in hands: jobs at work, products on their way into their places."""
    half: list[str] = field(default_factory=list)
    seconds: float = 0.0
    seed: int = 0
    verdict: Verdict = field(default_factory=Verdict)

    @property
    def sound(self) -> bool:
        """Whether every image came through, or failed visibly, and nothing half was ever seen."""
        return self.verdict.sound and not self.half

    def __str__(self) -> str:
        caught = ", ".join(f"{count} with {what}" for what, count in self.found.most_common())
        text = (
            f"{self.daemon} kills of the daemon ({caught}), {self.worker} of workers, in {self.seconds:.0f} s: "
            f"{self.verdict}; {len(self.half)} half-written files seen meanwhile"
        )
        return text + (f" ({'; '.join(self.half[:5])})" if self.half else "")


def together(runs: Sequence[Kills]) -> Kills:
    """Several runs, on an observatory each, as one."""
    whole = Kills(seconds=max(run.seconds for run in runs), seed=runs[0].seed)
    for number, run in enumerate(runs):
        whole.daemon += run.daemon
        whole.worker += run.worker
        whole.moments += run.moments
        whole.found += run.found
        whole.half += run.half
        whole.verdict.add(run.verdict, f"{number}/" if len(runs) > 1 else "")
    return whole


class Tormentor:
    """Kills a daemon and its workers, and starts it again.

    Parameters
    ----------
    observatory : Observatory
        Where the daemon works.
    rng : random.Random
        Chooses whom and when.
    """

    def __init__(self, observatory: Observatory, rng: random.Random) -> None:
        self.observatory = observatory
        self.rng = rng
        self.kills = Kills()
        self.daemon: Daemon = observatory.start(ready=False)
        self._hurt_at_start: Daemon | None = None

    def kill_daemon(self) -> None:
        """Kill the daemon at a moment of some kind, and start the next one at once."""
        (moment,) = self.rng.choices(list(MOMENTS), list(MOMENTS.values()))
        self._wait(moment)
        self.daemon.require_alive()
        self.daemon.kill()
        self.kills.daemon += 1
        self.kills.moments[moment] += 1
        self._note_what_was_at_work()
        self.daemon = self.observatory.start(ready=False)

    def kill_worker(self) -> None:
        """Kill one of the processes that the daemon has started: one while it starts, any number after that.

        A start needs one of them to live for a second; who kills each one at once only proves that nothing starts.
        """
        if self._hurt_at_start is self.daemon:
            self.daemon.wait_for(self.observatory.answers, "it answers")
        self.daemon.wait_for(self.daemon.children, "it starts a process")
        self._wait(self.rng.choice(("staging", "any", "arrival")), longest=1.0)
        if not self.observatory.answers():
            self._hurt_at_start = self.daemon
        processes = self.daemon.children()
        with suppress(psutil.NoSuchProcess, IndexError):
            self.rng.choice(processes).kill()
            self.kills.worker += 1

    def _wait(self, moment: str, *, longest: float = 2.0) -> None:
        """Wait for a moment. Those that do not come are over after some seconds."""
        rng = self.rng
        match moment:
            case "start":
                time.sleep(rng.uniform(0.0, longest))
            case "arrival":
                time.sleep(rng.uniform(0.0, 0.5))
            case "staging":
                self._watch(self._staging, longest=3 * longest)
                time.sleep(rng.uniform(0.0, 0.06))
            case "publishing":
                self._watch(self._complete, longest=3 * longest)
                time.sleep(rng.choice((0.0, rng.uniform(0.0, 0.004), rng.uniform(0.0, 0.02))))
            case _:
                time.sleep(rng.uniform(0.2, 2 * longest))

    def _watch(self, look: Callable[[], set[str]], *, longest: float) -> None:
        """Wait until something new is seen."""
        before, end = look(), time.monotonic() + longest
        while not look() - before and time.monotonic() < end:
            time.sleep(0.001)

    def _staging(self) -> set[str]:
        folder = self.observatory.products / ".etendue" / "staging"
        with suppress(FileNotFoundError):
            return {path.name for path in folder.iterdir()}
        return set()

    def _complete(self) -> set[str]:
        """Last products of a job, complete in its staging folder."""
        folder = self.observatory.products / ".etendue" / "staging"
        with suppress(FileNotFoundError):
            return {path.parent.name for path in folder.glob("*/*_reduced.fits")}
        return set()

    def _note_what_was_at_work(self) -> None:
        try:
            running = self.observatory.jobs(states=("running",))
        except Exception:  # noqa: BLE001 - it was killed before the tables were made
            self.kills.found["no queue yet"] += 1
            return
        if any(job.manifest for job in running):
            self.kills.found["products half in place"] += 1
        elif running:
            self.kills.found["images at work"] += 1
        else:
            self.kills.found["nothing at work"] += 1


def torment_several(
    folder: Path, observatories: int, *, kills: int, images: int, seed: int, tell: Callable[[str], None]
) -> Kills:
    """Torment several observatories at the same time; most of a torment is waiting for the right moment.

    Parameters
    ----------
    folder : Path
        Where everything happens.
    observatories : int
        How many; each has its share of the kills and of the images.
    kills, images, seed, tell
        As for :func:`torment`, of all together.
    """

    def one(number: int) -> Kills:
        def told(text: str) -> None:
            tell(f"[{number + 1}] {text}")

        own = folder / str(number)
        own.mkdir()
        shares = {"kills": _share(kills, observatories, number), "images": _share(images, observatories, number)}
        return torment(own, **shares, seed=seed + number, tell=told)

    with ThreadPoolExecutor(observatories) as threads:
        return together(list(threads.map(one, range(observatories))))


def _share(whole: int, parts: int, number: int) -> int:
    return whole // parts + (number < whole % parts)


def torment(
    folder: Path,
    *,
    kills: int,
    images: int,
    seed: int,
    tell: Callable[[str], None] = lambda text: None,
    daemon_share: float = 0.5,
) -> Kills:
    """Kill so often, while so many images come in; then let the daemon finish, and look at every product.

    Parameters
    ----------
    folder : Path
        Where everything happens.
    kills, images : int
        How many.
    seed : int
        Of the random choices. What the machine does meanwhile is not repeatable.
    tell : callable
        Told how it goes.
    daemon_share : float
        Share of kills that hit the daemon itself; the others hit its workers.
    """
    rng = random.Random(seed)
    begin = time.monotonic()
    with Observatory(folder) as observatory:
        camera = Camera(observatory.incoming, rng)
        camera.expose(min(images, 10))
        tormentor = Tormentor(observatory, rng)
        done = tormentor.kills
        while done.daemon + done.worker < kills:
            if rng.random() < daemon_share:
                tormentor.kill_daemon()
            else:
                tormentor.kill_worker()
            count = done.daemon + done.worker
            camera.expose(max(0, min(images, 10 + images * count // kills) - len(camera.frames)))
            if count % 20 == 0:
                done.half += half_written(observatory.products) if count % 100 == 0 else []
                counts = ", ".join(f"{number} {state}" for state, number in tormentor.observatory.counts().items())
                tell(f"{count} of {kills} kills, {len(camera.frames)} images: {counts}")
        camera.expose(images - len(camera.frames))
        camera.finish()
        done.half += half_written(observatory.products)
        observatory.wait_until_registered(tormentor.daemon)
        observatory.wait_until_settled(images, patience=PATIENCE + images)
        status = tormentor.daemon.end()
        if status != 0:
            raise AssertionError(f"the last daemon ended with {status}: {tormentor.daemon.last_words()}")
        truth = expected_products(camera.frames, folder / "truth")
        done.verdict = verify(observatory, camera.frames, truth)
    done.seconds = time.monotonic() - begin
    done.seed = seed
    return done
