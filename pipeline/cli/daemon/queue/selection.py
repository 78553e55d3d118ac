"""Which jobs a command is about: some by their numbers, or all that pass a filter."""

import sys
import time
from collections.abc import Collection
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...terminal import plural

if TYPE_CHECKING:
    from ....daemon.queue import Filter, JobQueue


class State(StrEnum):
    """States of jobs; those of :class:`.JobState`, which is not imported for the help's sake."""

    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    DROPPED = "dropped"


class Kind(StrEnum):
    """Kinds of jobs, those of :class:`.JobKind`."""

    IMAGE = "image"
    TICK = "tick"
    FRAME = "frame"
    MASTERS = "masters"


StateOption = Annotated[
    list[State], typer.Option("--state", "-s", help="Jobs in this state; may be given several times.")
]
ChainOption = Annotated[str | None, typer.Option("--chain", "-c", metavar="NAME", help="Jobs of this chain.")]
SourceOption = Annotated[str | None, typer.Option("--source", metavar="NAME", help="Jobs from this source.")]
NightOption = Annotated[str | None, typer.Option("--night", metavar="DATE", help="Jobs of this night: 2026-03-20.")]
KindOption = Annotated[Kind | None, typer.Option("--kind", help="Jobs of this kind.")]
TextOption = Annotated[
    str | None, typer.Option("--text", "-t", metavar="TEXT", help="Text in the file's name, object or error.")
]
SinceOption = Annotated[
    str | None,
    typer.Option("--since", metavar="TIME", help="Jobs that came in since then: 2 h, or 2026-03-20T18:00 (UTC)."),
]
JobsArgument = Annotated[list[int], typer.Argument(metavar="[JOBS]", help="Numbers of jobs; or use a filter.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before many jobs are changed.")]


def make_filter(
    states: Collection[State],
    chain: str | None,
    source: str | None,
    night: str | None,
    kind: Kind | None,
    text: str | None,
    since: str | None,
) -> "Filter":
    """The filter that the options describe.

    Raises
    ------
    ConfigError
        ``--since`` is no time.
    """
    from ....daemon.queue import Filter, JobKind, JobState

    options = {
        "states": tuple(JobState(state) for state in states) or None,
        "chain": chain,
        "source": source,
        "night": night,
        "kind": None if kind is None else JobKind(kind),
        "text": text,
        "since": None if since is None else point_in_time(since),
    }
    return Filter(**{name: value for name, value in options.items() if value is not None})


def point_in_time(text: str) -> float:
    """``2 h`` (ago) or a date and time (UTC), as seconds since 1970.

    Raises
    ------
    ConfigError
        It is neither.
    """
    from ....durations import seconds
    from ....errors import ConfigError

    try:
        return time.time() - float(seconds(text))
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"--since: '{text}' is no time; write for example '2 h' or 2026-03-20T18:00") from None
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()


def selected(
    queue: "JobQueue",
    jobs: list[int],
    given: dict[str, Any],
    *,
    verb: str,
    states: tuple[State, ...],
    yes: bool,
) -> "list[int] | Filter":
    """What a command that changes jobs is about, after a person has agreed to it.

    Parameters
    ----------
    queue : JobQueue
        Where they are.
    jobs : list of int
        Their numbers, if they are named.
    given : dict
        The arguments of :func:`make_filter`.
    verb : str
        What is to be done: "retry".
    states : tuple of State
        States of the jobs that a filter without state is about.
    yes : bool
        Whether the person has agreed already.

    Raises
    ------
    ConfigError
        Nothing, or both, are named; or there is nobody to be asked.
    UnknownJob
        There is no job of one of the numbers.
    """
    from ....errors import ConfigError

    filtered = any(value for value in given.values())
    if jobs and filtered:
        raise ConfigError(f"{verb}: give numbers of jobs or a filter, not both")
    if jobs:
        for number in jobs:
            queue.get(number)
        return list(dict.fromkeys(jobs))
    if not filtered:
        raise ConfigError(f"{verb}: say which jobs: their numbers, or a filter such as --state failed --chain NAME")
    wanted = make_filter(**{**given, "states": given["states"] or states})
    count = queue.search(wanted, limit=1).total
    if count and not yes:
        _ask(f"{verb} {plural(count, 'job')}?", verb)
    return wanted


def _ask(question: str, verb: str) -> None:
    from ....errors import ConfigError

    if not _is_somebody_there():
        raise ConfigError(f"{verb}: a filter may be about many jobs; add --yes, or try it first with `queue list`")
    if not typer.confirm(question[:1].upper() + question[1:], err=True):
        typer.echo("Nothing was changed", err=True)
        raise typer.Exit(1)


def _is_somebody_there() -> bool:
    return sys.stdin.isatty()
