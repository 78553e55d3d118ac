"""`list`, `show`, `export`, `check`: look at jobs without changing them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...arguments import JsonOption
from ...terminal import console, plural, print_json, print_table
from .place import QueueArgument, open_queue
from .selection import (
    ChainOption,
    KindOption,
    NightOption,
    SinceOption,
    SourceOption,
    State,
    StateOption,
    TextOption,
    make_filter,
    say_unknown,
)

if TYPE_CHECKING:
    from rich.console import Console

    from ....daemon.queue import Filter, Job, JobQueue

PAGE = 500
"""Jobs that are asked for at once."""

LONGEST_REASON = 300
"""Characters of a reason in the list; `etendue queue show` has all of it."""


def list_(
    place: QueueArgument,
    state: StateOption = [],  # noqa: B006 - typer copies defaults
    chain: ChainOption = None,
    source: SourceOption = None,
    night: NightOption = None,
    kind: KindOption = None,
    text: TextOption = None,
    since: SinceOption = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many jobs.")] = 50,
    oldest: Annotated[bool, typer.Option("--oldest", help="The oldest first instead of the newest.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List jobs, the newest first: which there are, how they stand, and why."""
    wanted = make_filter(state, chain, source, night, kind, text, since)
    with open_queue(place) as queue:
        jobs, total = _found(queue, wanted, "oldest" if oldest else "newest", limit)
        facts = _facts(queue)
        if not total:
            say_unknown(queue, place, wanted)
    if as_json:
        from .wording import job_as_json

        print_json({"jobs": [job_as_json(job) for job in jobs], "total": total, **facts})
        return
    out = console()
    if jobs:
        _print_jobs(out, jobs)
    _print_facts(out, facts, len(jobs), total)


def _found(queue: "JobQueue", wanted: "Filter", order: Any, limit: int) -> "tuple[list[Job], int]":
    jobs: list[Job] = []
    page = queue.search(wanted, order=order, limit=min(limit, PAGE), before=None)
    total = page.total
    while True:
        jobs += page.jobs
        if page.next is None or len(jobs) >= limit:
            return jobs, total
        page = queue.search(wanted, order=order, limit=min(limit - len(jobs), PAGE), before=page.next)


def _facts(queue: "JobQueue") -> dict[str, Any]:
    """How the whole queue stands, as plain data."""
    from dataclasses import asdict

    return {
        "counts": {str(state): count for state, count in queue.counts().items()},
        "paused": [asdict(pause) for pause in queue.paused()],
        "daemons": [
            {
                "id": row.id,
                "host": row.host,
                "pid": row.pid,
                "last_seen": row.last_seen,
                "ended": row.has_ended,
                "status": dict(row.status),
            }
            for row in queue.daemons()
        ],
    }


def _print_jobs(out: "Console", jobs: "list[Job]") -> None:
    from rich.table import Table
    from rich.text import Text

    from ....daemon.logs import printable
    from .wording import STYLES, age, duration, why

    table = Table(box=None, padding=(0, 2, 0, 0))
    for title, where in (("job", "right"), ("state", "left"), ("chain", "left"), ("image", "left"), ("tries", "right")):
        table.add_column(title, justify=where, overflow="fold", no_wrap=title != "image")  # type: ignore[arg-type]
    table.add_column("took", justify="right", no_wrap=True)
    table.add_column("age", justify="right", no_wrap=True)
    table.add_column("why", overflow="fold")
    for job in jobs:
        reason = why(job)
        took = age(job.started) if job.state is State.RUNNING else duration(job.seconds) if job.seconds else "–"
        table.add_row(
            str(job.id),
            Text(job.state, style=STYLES.get(job.state, "")),
            printable(job.chain),
            printable(job.label),
            str(job.attempts),
            took,
            age(job.created),
            printable(reason if len(reason) <= LONGEST_REASON else f"{reason[: LONGEST_REASON - 1]}…"),
        )
    print_table(out, table)


def _print_facts(out: "Console", facts: dict[str, Any], shown: int, total: int) -> None:
    from ....daemon.logs import printable
    from .wording import age

    more = f"{shown} of {plural(total, 'job')}; --limit shows more"
    out.print(more if shown < total else plural(total, "job"), soft_wrap=True)
    counts = ", ".join(f"{count} {state}" for state, count in facts["counts"].items() if count)
    out.print(f"In the queue: {counts or 'nothing'}", soft_wrap=True)
    for pause in facts["paused"]:
        because = f": {printable(pause['reason'])}" if pause["reason"] else ""
        out.print(f"Paused: {printable(pause['chain'] or 'everything')}, by {printable(pause['who'])}{because}")
    for daemon in facts["daemons"]:
        where = f"{printable(daemon['host'])}, process {daemon['pid']}"
        ended = "; it has ended, and the next daemon takes over its jobs" if daemon["ended"] else ""
        out.print(f"Daemon: {where}, last heard of {age(daemon['last_seen'])} ago{ended}", soft_wrap=True)
        for problem in (*daemon["status"].get("holding", ()), *daemon["status"].get("reload", {}).get("problems", ())):
            out.print(f"  {printable(problem)}", soft_wrap=True)
        for hold in daemon["status"].get("held", ()):
            name, reason, many = printable(hold["destination"]), printable(hold["reason"]), plural(hold["jobs"], "job")
            waiting = f"{many} wait{'s' if hold['jobs'] == 1 else ''} for it"
            out.print(f"  Held for {age(hold['since'])}: destination {name}: {reason}; {waiting}", soft_wrap=True)
    if not facts["daemons"]:
        out.print("No daemon is at work on this queue", soft_wrap=True)


# --- one job -----------------------------------------------------------------------------------------------------


def show(
    place: QueueArgument,
    job: Annotated[int, typer.Argument(metavar="JOB", help="Number of the job.")],
    log: Annotated[bool, typer.Option("--log", help="Also what the steps have said.")] = False,
    chain_text: Annotated[bool, typer.Option("--chain-text", help="Also the chain, with all its parameters.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show everything about a job: input, timeline, attempts, steps, products, error and traceback."""
    with open_queue(place) as queue:
        found = queue.get(job)
        facts = {
            "attempts": queue.attempts(job),
            "products": queue.products(job),
            "chain_text": queue.chain_text(found.fingerprint)[1] if chain_text and found.fingerprint else "",
        }
    if as_json:
        print_json(_whole_job(found, facts))
        return
    from .card import print_card

    print_card(console(), found, facts["attempts"], facts["products"], log=log)
    if facts["chain_text"]:
        typer.echo(f"\nChain\n{facts['chain_text']}")


def _whole_job(job: "Job", facts: dict[str, Any]) -> dict[str, Any]:
    from dataclasses import asdict

    from .wording import job_as_json

    plain = job_as_json(job, whole=True)
    plain["history"] = [asdict(attempt) for attempt in facts["attempts"]]
    plain["products"] = [asdict(product) for product in facts["products"]]
    if facts["chain_text"]:
        plain["chain_text"] = facts["chain_text"]
    return plain


# --- everything --------------------------------------------------------------------------------------------------


def export(
    place: QueueArgument,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to a file instead of stdout.")
    ] = None,
    state: StateOption = [],  # noqa: B006
    chain: ChainOption = None,
    source: SourceOption = None,
    night: NightOption = None,
    kind: KindOption = None,
    text: TextOption = None,
    since: SinceOption = None,
) -> None:
    """Write jobs as JSON lines, one for each with all that is known about it: for archives and statistics."""
    from ....errors import ConfigError

    wanted = make_filter(state, chain, source, night, kind, text, since)
    with open_queue(place) as queue:
        if not queue.search(wanted, limit=1).total:
            say_unknown(queue, place, wanted)
        lines = _json_lines(queue, wanted)
        if output is None:
            for line in lines:
                typer.echo(line)
            return
        from .....images.io.atomic import atomic_write

        count = 0
        try:
            with atomic_write(output) as file:
                for count, line in enumerate(lines, 1):  # noqa: B007 - it is the number of lines
                    file.write(line.encode() + b"\n")
        except OSError as error:
            raise ConfigError(f"-o {output}: cannot be written: {error.strerror or error}") from error
    typer.echo(f"{plural(count, 'job')} -> {output}")


def _json_lines(queue: "JobQueue", wanted: "Filter") -> Iterator[str]:
    for plain in queue.export(wanted):
        yield json.dumps({name: value for name, value in plain.items() if name != "token"}, default=str)


def check(place: QueueArgument, as_json: JsonOption = False) -> None:
    """Check that the database is whole and that nothing in it contradicts itself. The exit code is 1 if not."""
    with open_queue(place) as queue:
        problems = queue.check()
        count = sum(queue.counts().values())
    if as_json:
        print_json({"jobs": count, "problems": problems})
    else:
        for problem in problems:
            typer.echo(problem)
        typer.echo(f"{plural(count, 'job')}, {plural(len(problems), 'problem') if problems else 'no problems'}")
    if problems:
        raise typer.Exit(1)
