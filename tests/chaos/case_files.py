"""Files as they come: slowly, twice, replaced, misnamed, linked, thousands at once."""

import os
import threading
import time
from pathlib import Path

from etendue.pipeline import parse_pipeline
from etendue.pipeline.daemon.queue.job import Job
from etendue.pipeline.running import run_pipeline

from .case import Case, Row, Setting, require
from .frames import expected_products, frame, put, trickle
from .observatory import CHAIN, Observatory, wait_for
from .verify import differs, verify

NAMES = (
    "with space.fits",
    " leading and trailing .fits",
    "two\nlines.fits",
    "tab\tand\rreturn.fits",
    "größe-Ω-星.fits",
    "🔭.fits",
    "quote'double\"back\\slash.fits",
    "{OBJECT}.fits",
    "%41&a=b;c.fits",
    "-rf.fits",
    "<b>bold.fits",
    "x" * 180 + ".fits",
    os.fsdecode(b"latin1-gr\xf6\xdfe.fits"),
)


def run(setting: Setting) -> list[Row]:
    """All of it in one folder, at the same time."""
    with Observatory(setting.folder) as observatory:
        daemon = observatory.start()
        rows: list[Row] = []
        truth = setting.folder / "truth"
        for trial in (_names, _slow, _replaced, _twice, _links, _many):
            rows += trial(observatory, setting, truth)
        status = daemon.end()
        require(status == 0, f"the daemon ended with {status}: {daemon.last_words()}")
        open_ = [job.label for job in observatory.jobs() if job.state in ("waiting", "queued", "running")]
        require(not open_, f"still open: {open_}")
    return rows


def _names(observatory: Observatory, setting: Setting, truth: Path) -> list[Row]:
    """Names with spaces, newlines, letters of all kinds, also not UTF-8: products are named as without a daemon."""
    frames = {observatory.incoming / "names" / name: number for number, name in enumerate(NAMES, 100)}
    stems = {}
    for path, number in frames.items():
        copy = setting.folder / "copies" / path.name
        put(copy, frame(number))
        (made,) = run_pipeline(parse_pipeline(CHAIN), [copy], output=truth).outcomes
        stems[path] = made.products[0].name.removesuffix("_cat.fits")
        put(path, frame(number))
    observatory.wait_until_settled(len(frames))
    verdict = verify(observatory, frames, truth, stems=stems)
    require(verdict.sound and not verdict.failed, f"names: {verdict}")
    what = "names with spaces, newlines, quotes, braces, non-ASCII letters, and bytes that are not UTF-8"
    return [Row(what, f"{verdict.done} of {len(frames)} done, each under its own name")]


def _slow(observatory: Observatory, setting: Setting, truth: Path) -> list[Row]:
    """A file that is still being written is not touched."""
    seconds = setting.size(3, 20)
    path = observatory.incoming / "slow.fits"
    writing = threading.Thread(target=trickle, args=(path, frame(200)), kwargs={"seconds": seconds, "pieces": 10})
    begin = time.time()
    writing.start()
    try:
        while writing.is_alive():
            early = [job for job in observatory.jobs() if job.path == path]
            require(time.time() - begin > seconds - 1 or not early, "the file was taken before it was complete")
            time.sleep(0.1)
    finally:
        writing.join()
    observatory.wait_for_job("slow.fits", "done")
    made = expected_products([path], truth)
    jobs = [job for job in observatory.jobs() if job.path == path]
    require([str(job.state) for job in jobs] == ["done"], f"slow.fits: {[(job.state, job.error) for job in jobs]}")
    problem = differs(observatory.products / "slow_reduced.fits", made / "slow_reduced.fits", 200)
    require(not problem, f"slow_reduced.fits {problem}")
    return [Row(f"a file that is written for {seconds} s", "one job, begun when the file was complete; done")]


def _replaced(observatory: Observatory, setting: Setting, truth: Path) -> list[Row]:
    """A file that is replaced after it was seen: the product is that of the new one."""
    count = setting.size(4, 40)
    frames = {}
    for number in range(count):
        path = observatory.incoming / f"replaced-{number}.fits"
        put(path, frame(300 + number))
        time.sleep(setting.rng.uniform(0.0, 1.5))
        put(path, frame(400 + number, COMMENT="the second version"))
        frames[path] = 400 + number

    def all_done() -> bool:
        newest = {job.path: job for job in observatory.jobs()}
        return all(
            path in newest
            and newest[path].state == "done"
            and (newest[path].size, newest[path].mtime_ns) == (path.stat().st_size, path.stat().st_mtime_ns)
            for path in frames
        )

    wait_for("the new versions are done", all_done, every=0.2)
    made = expected_products(frames, truth)
    old = 0
    for path, number in frames.items():
        for suffix in ("_cat.fits", "_reduced.fits"):
            name = path.stem + suffix
            problem = differs(observatory.products / name, made / name, number)
            require(not problem, f"{name} {problem}")
        states = [str(job.state) for job in observatory.jobs() if job.path == path]
        old += len(states) - 1
        require(set(states[:-1]) <= {"skipped", "done"}, f"{path.name}: {states}")
    text = f"{count} products, all of the new files; {old} jobs of old versions are replaced or skipped, and say so"
    return [Row(f"{count} files that are replaced 0–1.5 s after they were seen", text)]


def _twice(observatory: Observatory, setting: Setting, truth: Path) -> list[Row]:
    """The same file twice; two files that want the same product; a file that is only touched."""
    first, second = observatory.incoming / "a" / "same.fits", observatory.incoming / "b" / "same.fits"
    put(first, frame(500))
    observatory.wait_for_job("same.fits", "done")
    put(second, frame(500))
    again = _end_of(observatory, second)
    require(again.state == "skipped", f"the same file again is {again.state}: {again.error or again.reason}")
    other = observatory.incoming / "c" / "same.fits"
    put(other, frame(501))
    clash = _end_of(observatory, other)
    require(clash.state == "failed", f"another file that wants the same product is {clash.state}")
    require("same" in clash.error, f"the collision is not explained: {clash.error!r}")
    made = expected_products([first], truth)
    problem = differs(observatory.products / "same_reduced.fits", made / "same_reduced.fits", 500)
    require(not problem, f"same_reduced.fits {problem}")
    touched = observatory.incoming / "touched.fits"
    put(touched, frame(502))
    observatory.wait_for_job("touched.fits", "done")
    os.utime(touched)
    wait_for(
        "the touched file is done again",
        lambda: [str(job.state) for job in observatory.jobs() if job.path == touched] == ["done", "done"],
    )
    products = [p for job in observatory.jobs() if job.path == touched for p in observatory.queue.products(job.id)]
    require(len(products) == 2, f"a touched file has {len(products)} products")
    short = " ".join((again.error or again.reason).split())
    return [
        Row("the same file twice, in two folders", f"one product; the second is skipped: “{short}”"),
        Row(
            "two different files that want the same product",
            f"one product, one visible failure: “{_short(clash.error)}”",
        ),
        Row("a file that is touched after it was done", "done again; its products take the place of the old ones"),
    ]


def _end_of(observatory: Observatory, path: Path) -> Job:
    def ended() -> Job | None:
        jobs = [job for job in observatory.jobs() if job.path == path]
        return jobs[-1] if jobs and jobs[-1].state in ("done", "skipped", "failed") else None

    return wait_for(f"{path} has come to an end", ended)


def _links(observatory: Observatory, setting: Setting, truth: Path) -> list[Row]:
    """Symbolic links out of the folder are not followed; one that leads in a circle does no harm."""
    outside = setting.folder / "outside"
    put(outside / "secret.fits", frame(600))
    (observatory.incoming / "link.fits").symlink_to(outside / "secret.fits")
    (observatory.incoming / "linked-folder").symlink_to(outside)
    (observatory.incoming / "circle").symlink_to(observatory.incoming)
    (observatory.incoming / "dangling.fits").symlink_to(outside / "nothing.fits")
    after = observatory.incoming / "after-links.fits"
    put(after, frame(601))
    observatory.wait_for_job("after-links.fits", "done")
    time.sleep(2.5)  # two scans
    taken = [job for job in observatory.jobs() if job.label in ("link.fits", "secret.fits", "dangling.fits")]
    require(not [job for job in taken if job.state == "done"], f"a link out of the folder was followed: {taken}")
    names = [str(job.path) for job in observatory.jobs()]
    require(not [name for name in names if "circle" in name], "a link in a circle was followed")
    told = sum("link" in str(line.get("message", "")) for line in observatory.logged())
    require(told, "nothing is said of the links")
    what = "symbolic links out of the folder, in a circle, and to nothing"
    return [Row(what, f"not followed; {told} lines of the log say so")]


def _many(observatory: Observatory, setting: Setting, truth: Path) -> list[Row]:
    """Thousands of files at once: a folder of them is moved in."""
    count = setting.size(120, 5000)
    elsewhere = setting.folder / "elsewhere"
    elsewhere.mkdir()
    for number in range(count):
        (elsewhere / f"many-{number:05d}.fits").write_bytes(frame(10_000 + number))
    before = sum(observatory.counts().values())
    begin = time.monotonic()
    elsewhere.rename(observatory.incoming / "many")
    observatory.wait_until_settled(before + count, patience=120 + count)
    seconds = time.monotonic() - begin
    frames = {observatory.incoming / "many" / f"many-{n:05d}.fits": 10_000 + n for n in range(count)}
    made = expected_products(frames, setting.folder / "truth-many")
    verdict = verify(observatory, frames, made)
    verdict.left = [name for name in verdict.left if name.startswith(("many", "."))]
    require(verdict.sound and not verdict.failed, f"{count} at once: {verdict}")
    return [
        Row(f"{count} files at once", f"{verdict.done} done, all right, in {seconds:.0f} s ({count / seconds:.0f}/s)")
    ]


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 140 else line[:137] + "…"


CASE = Case("files", run)
