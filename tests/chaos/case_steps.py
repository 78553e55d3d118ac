"""Steps that raise, hang, crash, devour memory, babble or fork: each costs its own image, and nobody else's."""

import time

import psutil

from .case import Case, Row, Setting, require
from .frames import expected_products, frame, put
from .observatory import Observatory
from .verify import differs, half_written, leftovers

SAVE = '  - class: etendue.processors.output.save.Save\n    filename: "{stem}_reduced.fits"\n'

BAD = {
    "refuse": ("Refuse", {}, "take another one", 1),
    "explode": ("Explode", {}, "KeyError", 2),
    "hang": ("Hang", {"timeout": 2.0}, "2 s", 1),
    "segfault": ("Segfault", {}, "SIGSEGV", 2),
    "vanish": ("Vanish", {}, "exit status 0", 2),
    "devour": ("Devour", {"memory": "400 MB"}, "Memory", 1),
    "devour-child": ("DevourInChild", {}, "CalledProcessError", 1),
    "babble": ("Babble", {}, "returned str", 1),
}
"""Class, settings of the chain, what the error must say, attempts."""

SAYS = {
    "refuse": "a step says that the image is of no use (`ImageError`)",
    "explode": "a step raises an unexpected exception",
    "hang": "a step hangs and holds the interpreter",
    "segfault": "a step crashes (`SIGSEGV`)",
    "vanish": "a step ends the process, with status 0",
    "devour": "a step allocates without end",
    "devour-child": "a program that a step has started allocates without end",
    "babble": "a step returns garbage, and prints forged messages of the worker",
}


def run(setting: Setting) -> list[Row]:
    """One image for each bad step, with good images beside them; every outcome is looked at."""
    good_count = setting.size(6, 60)
    tally = setting.folder / "tally"
    tally.mkdir()
    chains = {
        name: {"text": _chain(cls), "attempts": attempts, **options}
        for name, (cls, options, _, attempts) in BAD.items()
    }
    chains["fork"] = {"text": _chain("ForkAndReturn")}
    chains["stumble"] = {"text": _chain("Stumble", folder=str(tally), times=2), "attempts": 3}
    sources = [{"watch": str(setting.folder / name), "chain": name} for name in chains]
    sources.append({"watch": str(setting.folder / "incoming"), "chain": "reduce"})
    for name in chains:
        (setting.folder / name).mkdir()
    workers = {"limit": "700 MB", "memory": "2 GB"}
    with Observatory(setting.folder, chains=chains, sources=sources, workers=workers) as observatory:
        good = {observatory.incoming / f"good-{number}.fits": number for number in range(good_count)}
        special = {observatory.folder / name / f"{name}.fits": 1000 + i for i, name in enumerate(chains)}
        for path, number in {**special, **good}.items():
            put(path, frame(number))
        daemon = observatory.start()
        observatory.wait_until_settled(len(good) + len(special))
        jobs = {job.label: job for job in observatory.jobs()}
        rows = []
        for name, (_, _, word, attempts) in BAD.items():
            job = jobs[f"{name}.fits"]
            require(job.state == "failed", f"{name}: the job is {job.state}, {job.error}")
            require(job.error and word in job.error, f"{name}: the error does not say why: {job.error!r}")
            require(job.attempts == attempts, f"{name}: {job.attempts} attempts, not {attempts}")
            require(not list(observatory.products.glob(f"{name}*")), f"{name}: there is a product of a failed job")
            of = "" if name == "refuse" else f" of {attempts}"
            rows.append(Row(SAYS[name], f"failed in attempt {attempts}{of}: “{_short(job.error)}”"))
        made = expected_products(
            [path for path in special if path.stem in ("fork", "stumble")], setting.folder / "b", PLAIN
        )
        for name in ("fork", "stumble"):
            require(jobs[f"{name}.fits"].state == "done", f"{name}: {jobs[f'{name}.fits'].error}")
            problem = differs(observatory.products / f"{name}_reduced.fits", made / f"{name}_reduced.fits")
            require(not problem, f"{name}: the product {problem}")
        rows.append(
            Row("a step forks, and both processes go on; it leaves a program behind", "one product, the right one")
        )
        rows.append(Row("a step needs a service that is away twice (`TransientError`)", "done in the third attempt"))
        truth = expected_products(good, setting.folder / "truth")
        for path in good:
            require(jobs[path.name].state == "done", f"{path.name} is {jobs[path.name].state}: {jobs[path.name].error}")
            for suffix in ("_cat.fits", "_reduced.fits"):
                problem = differs(observatory.products / f"{path.stem}{suffix}", truth / f"{path.stem}{suffix}")
                require(not problem, f"{path.stem}{suffix} {problem}")
        rows.append(Row(f"{len(good)} images of another chain beside all these", f"{len(good)} done, none touched"))
        started = daemon.children()
        status = daemon.end()
        require(status == 0, f"the daemon ended with {status}: {daemon.last_words()}")
        _require_ended(started)
        wanted = {f"{path.stem}{suffix}" for path in good for suffix in ("_cat.fits", "_reduced.fits")}
        wanted |= {"fork_reduced.fits", "stumble_reduced.fits"}
        left = leftovers(observatory.products, wanted) + half_written(observatory.products)
        require(not left, f"left in the destination: {left}")
    return rows


PLAIN = f"name: plain\nsteps:\n{SAVE}"


def _chain(cls: str, **parameters: object) -> str:
    lines = "".join(f"    {key}: {value}\n" for key, value in parameters.items())
    return f"name: {cls.lower()}\nsteps:\n  - class: tests.chaos.steps.{cls}\n{lines}{SAVE}"


def _require_ended(processes: list[psutil.Process]) -> None:
    """Nothing that a worker has started outlives the daemon."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        left = [process for process in processes if process.is_running() and process.status() != "zombie"]
        ours = [
            process for process in psutil.process_iter(["cmdline"]) if "left by chaos" in str(process.info["cmdline"])
        ]
        if not left and not ours:
            return
        time.sleep(0.1)
    raise AssertionError(f"processes outlive the daemon: {left + ours}")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 110 else line[:107] + "…"


CASE = Case("steps", run)
