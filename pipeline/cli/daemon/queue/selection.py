"""Which jobs a command is about: some by their numbers, or all that pass a filter."""

import re
import sys
import time
from collections.abc import Collection
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...terminal import plural
from .place import chains_of, sources_of

if TYPE_CHECKING:
    from ....daemon.queue import Filter, JobQueue


NIGHTS_TOLD = 5
"""Nights that are named to somebody who has asked for one without jobs."""


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
        ``--since`` is no time, or ``--night`` no night.
    """
    from ....daemon.queue import Filter, JobKind, JobState
    from ....errors import ConfigError

    if night is not None and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", night):
        raise ConfigError(f"--night: '{night}' is no night; write for example 2026-03-20")

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


def say_unknown(queue: "JobQueue", place: str, wanted: "Filter") -> None:
    """Say which names of a filter that has found nothing belong to nothing at all."""
    from ....config.problems import did_you_mean
    from ....daemon.queue import Filter

    def say(what: str, name: str, known: set[str]) -> None:
        if name not in known:
            typer.echo(f"There is no {what} '{name}'{did_you_mean(name, known)}", err=True)

    if wanted.chain is not None:
        say("chain", wanted.chain, {*queue.names("chain"), *chains_of(place)})
    if wanted.source is not None:
        say("source", wanted.source, {*queue.names("source"), *sources_of(place)})
    if wanted.night is not None and not queue.search(Filter(night=wanted.night), limit=1).total:
        latest = ", ".join(dict.fromkeys(one.night for one in queue.nights(NIGHTS_TOLD)))
        there = f"the latest are {latest}" if latest else "no job has a night"
        typer.echo(f"No job is of the night {wanted.night}; {there}", err=True)


def selected(
    queue: "JobQueue",
    place: str,
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
    place : str
        How the queue was named.
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
    if not count:
        say_unknown(queue, place, wanted)
    elif not yes:
        refusal = f"{verb}: a filter may be about many jobs; add --yes, or try it first with `queue list`"
        ask(f"{verb} {plural(count, 'job')}?", refusal)
    return wanted


def ask(question: str, refusal: str) -> None:
    """Go on only if a person agrees.

    Raises
    ------
    ConfigError
        With the words of `refusal`: there is nobody to be asked.
    """
    from ....errors import ConfigError

    if not _is_somebody_there():
        raise ConfigError(refusal)
    if not typer.confirm(question[:1].upper() + question[1:], err=True):
        typer.echo("Nothing was changed", err=True)
        raise typer.Exit(1)


def _is_somebody_there() -> bool:
    return sys.stdin.isatty()
