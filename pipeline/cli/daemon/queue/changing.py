"""`retry`, `drop`, `requeue`, `pause`, `resume`: what a person decides about jobs."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...terminal import plural
from .place import QueueArgument, chains_of, open_queue
from .selection import (
    ChainOption,
    JobsArgument,
    KindOption,
    NightOption,
    SinceOption,
    SourceOption,
    State,
    StateOption,
    TextOption,
    YesOption,
    selected,
)

if TYPE_CHECKING:
    from ....daemon.queue import Filter, JobQueue

RETRIED = (State.FAILED,)
DROPPED = (State.FAILED, State.WAITING, State.QUEUED)
REQUEUED = (State.DONE,)

PausedChain = Annotated[str | None, typer.Argument(metavar="[CHAIN]", help="Name of a chain; by default everything.")]


def retry(
    place: QueueArgument,
    jobs: JobsArgument = [],  # noqa: B006 - typer copies defaults
    state: StateOption = [],  # noqa: B006
    chain: ChainOption = None,
    source: SourceOption = None,
    night: NightOption = None,
    kind: KindOption = None,
    text: TextOption = None,
    since: SinceOption = None,
    yes: YesOption = False,
) -> None:
    """Try jobs again that have failed, or were dropped or skipped. A filter without --state means failed jobs."""
    given = _given(state, chain, source, night, kind, text, since)
    with open_queue(place) as queue:
        wanted = selected(queue, place, jobs, given, verb="retry", states=RETRIED, yes=yes)
        _finish(
            queue, wanted, queue.retry(wanted), "queued again", "only what failed, was dropped or skipped is retried"
        )


def drop(
    place: QueueArgument,
    jobs: JobsArgument = [],  # noqa: B006
    state: StateOption = [],  # noqa: B006
    chain: ChainOption = None,
    source: SourceOption = None,
    night: NightOption = None,
    kind: KindOption = None,
    text: TextOption = None,
    since: SinceOption = None,
    yes: YesOption = False,
) -> None:
    """Decide that nothing is to be done about jobs that have failed, or have not begun. They stay in the list.

    A filter without --state means failed, waiting and queued jobs.
    """
    given = _given(state, chain, source, night, kind, text, since)
    with open_queue(place) as queue:
        wanted = selected(queue, place, jobs, given, verb="drop", states=DROPPED, yes=yes)
        _finish(queue, wanted, queue.drop(wanted), "dropped", "only what failed or has not begun is dropped")


def requeue(
    place: QueueArgument,
    jobs: JobsArgument = [],  # noqa: B006
    state: StateOption = [],  # noqa: B006
    chain: ChainOption = None,
    source: SourceOption = None,
    night: NightOption = None,
    kind: KindOption = None,
    text: TextOption = None,
    since: SinceOption = None,
    yes: YesOption = False,
) -> None:
    """Do again what is done, with the chain as it is now. New products take the place of the old ones.

    A filter without --state means jobs that are done.
    """
    given = _given(state, chain, source, night, kind, text, since)
    with open_queue(place) as queue:
        wanted = selected(queue, place, jobs, given, verb="requeue", states=REQUEUED, yes=yes)
        made = queue.requeue(wanted)
        _finish(queue, wanted, len(made), "to be done again", "only what has come to an end is done again")
        if made:
            typer.echo(f"New: {', '.join(map(str, made[:10]))}{' …' if len(made) > 10 else ''}")


def pause(
    place: QueueArgument,
    chain: PausedChain = None,
    reason: Annotated[str, typer.Option("--reason", "-r", metavar="TEXT", help="Why; the page shows it.")] = "",
) -> None:
    """Begin no further jobs: of one chain, or at all. What runs is finished; new images are still taken in."""
    _require_chain(place, chain)
    with open_queue(place) as queue:
        queue.pause(chain, reason, person())
    typer.echo(f"{chain or 'Everything'} is paused. Next: etendue queue resume {place}{f' {chain}' if chain else ''}")


def resume(place: QueueArgument, chain: PausedChain = None) -> None:
    """Go on after `pause`."""
    with open_queue(place) as queue:
        paused = {pause.chain for pause in queue.paused()}
        if (chain or None) not in {name or None for name in paused}:
            others = ", ".join(sorted(name or "everything" for name in paused))
            typer.echo(f"{chain or 'Everything'} is not paused" + (f"; paused: {others}" if others else ""))
            return
        queue.resume(chain)
    typer.echo(f"{chain or 'Everything'} goes on")


def person() -> str:
    """Who gives the command, for the record."""
    import getpass
    import socket

    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # a container whose user has no name
        name = "somebody"
    return f"{name}@{socket.gethostname()}"


def _given(state: Any, chain: Any, source: Any, night: Any, kind: Any, text: Any, since: Any) -> dict[str, Any]:
    return {
        "states": state,
        "chain": chain,
        "source": source,
        "night": night,
        "kind": kind,
        "text": text,
        "since": since,
    }


def _finish(queue: "JobQueue", wanted: "list[int] | Filter", changed: int, done: str, hint: str) -> None:
    """Say how many jobs were changed, and why the others were not."""
    typer.echo(f"{plural(changed, 'job')} {done}")
    if isinstance(wanted, list) and changed < len(wanted):
        states = ", ".join(f"{number} is {queue.get(number).state}" for number in wanted[:20])
        typer.echo(f"{plural(len(wanted) - changed, 'job')} left alone, {hint}; now {states}", err=True)
        raise typer.Exit(1)


def _require_chain(place: str, chain: str | None) -> None:
    from ....config.problems import did_you_mean
    from ....errors import ConfigError

    known = chains_of(place)
    if chain is not None and known and chain not in known:
        raise ConfigError(f"{place}: there is no chain '{chain}'{did_you_mean(chain, known)}")
