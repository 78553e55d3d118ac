"""Everything about one job, for a person."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ....daemon.logs import printable
from ....daemon.queue.job import JobKind, JobState, is_pruned
from ...terminal import print_table
from .wording import STYLES, duration, moment, why

if TYPE_CHECKING:
    from rich.console import Console

    from ....daemon.queue import Attempt, Job, Product


def print_card(
    out: "Console", job: "Job", attempts: "Sequence[Attempt]", products: "Sequence[Product]", *, log: bool = False
) -> None:
    """Print what is known about a job, the most important first."""
    from rich.text import Text

    head = Text.assemble(f"Job {job.id}: {printable(job.label)}  ", (str(job.state), STYLES.get(job.state, "")))
    out.print(head, soft_wrap=True)
    if told := why(job):
        out.print(f"  {printable(told)}", soft_wrap=True)
    _print_facts(out, job)
    _print_timings(out, job)
    _print_masters(out, job)
    if is_pruned(job, attempts):
        out.print("\nIts attempts, log and times of steps were removed, so long after its end (queue: keep)")
    _print_attempts(out, job, attempts)
    _print_products(out, products)
    for title, text in (("Traceback", job.traceback), ("Log", job.log if log else "")):
        if text:
            out.print(f"\n{title}")
            for line in text.rstrip("\n").splitlines():
                out.print(f"  {printable(line)}", soft_wrap=True)
    if job.log and not log:
        out.print(f"\nThe steps have said {len(job.log.splitlines())} line(s); --log shows them", soft_wrap=True)


def _print_facts(out: "Console", job: "Job") -> None:
    for name, value in _facts(job):
        if value:
            out.print(f"  {name:<12}{printable(value)}", soft_wrap=True)


def _facts(job: "Job") -> list[tuple[str, str]]:
    """Name and value of all that is one line long; what is empty is left out."""
    made_of = f"{job.chain} ({job.fingerprint[:12]})" if job.fingerprint else job.chain
    counts = f"{job.attempts}" + (f", and {job.interruptions} that were interrupted" if job.interruptions else "")
    later = moment(job.not_before) if job.state is JobState.QUEUED and job.not_before else ""
    header = ", ".join(f"{name} {_short(value)}" for name, value in job.facts.items() if _is_told(value))
    if job.kind is JobKind.MASTERS:
        header = ""
    return [
        ("file", "" if job.path is None else f"{job.path}, {job.size} bytes, changed {moment(job.mtime_ns / 1e9)}"),
        ("kind", job.kind),
        ("chain", made_of),
        ("source", job.source),
        ("night", " ".join(filter(None, (job.night, job.instrument)))),
        ("priority", f"{job.priority}" if job.priority else ""),
        ("generation", f"{job.generation}: it is done again" if job.generation else ""),
        ("came in", moment(job.created)),
        ("not before", later),
        ("waits until", moment(job.deadline) if job.state is JobState.WAITING and job.deadline else ""),
        ("begun", moment(job.started) if job.started else ""),
        ("ended", f"{moment(job.finished)}, after {duration(job.seconds)}" if job.finished else ""),
        ("daemon", job.owner if job.state is JobState.RUNNING else ""),
        ("tries", counts),
        ("facts", header),
        *(("note", note) for note in job.notes),
    ]


def _is_told(value: object) -> bool:
    """What fits on a line; masters have lines of their own, and --json shows all of it."""
    return value not in (None, "") and not isinstance(value, dict) and not (isinstance(value, list) and not value)


def _short(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _print_timings(out: "Console", job: "Job") -> None:
    from rich.table import Table

    if not job.timings:
        return
    table = Table(box=None, padding=(0, 2, 0, 2))
    table.add_column("step")
    table.add_column("took", justify="right")
    table.add_column("outcome")
    for step, seconds, outcome in job.timings:
        table.add_row(printable(step), duration(seconds), printable(outcome))
    out.print("\nSteps")
    print_table(out, table)


def _print_masters(out: "Console", job: "Job") -> None:
    """Which masters a job of that kind has built, and what was decided about each."""
    built = (job.facts.get("nights") or {}).get("masters") or []
    if job.kind is not JobKind.MASTERS or not built:
        return
    out.print("\nMasters")
    for master in built:
        reasons = "; ".join(master["reasons"])
        made_of = f" of {len(master['frames'])} frames" if master["frames"] else ""
        line = f"{master['name'] or master['label']}{made_of}: {master['status']}"
        out.print(f"  {printable(line)}" + (f" ({printable(reasons)})" if reasons else ""), soft_wrap=True)


def _print_attempts(out: "Console", job: "Job", attempts: "Sequence[Attempt]") -> None:
    if not attempts:
        return
    out.print("\nAttempts")
    for attempt in attempts:
        error = attempt.error.splitlines()[0] if attempt.error else ""
        where = ": ".join(filter(None, (attempt.step, error)))
        took = f" after {duration(attempt.seconds or attempt.ended - attempt.started)}" if attempt.ended else ""
        outcome = attempt.outcome or ("running" if not attempt.ended else "")
        line = f"  {attempt.number}  {moment(attempt.started)}  {outcome}{took}"
        out.print(line + (f"  {printable(where)}" if where else ""), soft_wrap=True)
        if attempt.traceback and attempt.traceback != job.traceback:
            for text in attempt.traceback.rstrip("\n").splitlines():
                out.print(f"       {printable(text)}", soft_wrap=True)


def _print_products(out: "Console", products: "Sequence[Product]") -> None:
    if not products:
        return
    from ....daemon.sizes import spell_size

    out.print("\nProducts")
    for product in products:
        out.print(f"  {printable(product.name)} in {product.destination}, {spell_size(product.size)}", soft_wrap=True)
