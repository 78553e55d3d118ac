"""`serve`, `reload`, `token`: the daemon itself."""

import os
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..arguments import JsonOption, duration, know_local_modules
from ..terminal import console, plural, print_json

if TYPE_CHECKING:
    from rich.console import Console

    from ...daemon.queue import JobQueue
    from ...daemon.settings import Observatory

ConfigArgument = Annotated[
    Path, typer.Argument(metavar="CONFIG", help="What is to be watched, done and written: observatory.yaml.")
]

ASK_EVERY = 0.2
"""How often it is looked whether the daemons have answered [s]."""

STALE = 2.0
"""Leases for which a daemon may have been silent before nobody waits for its answer."""


class Right(StrEnum):
    """What somebody may do."""

    READ = "read"
    CHANGE = "change"


def serve(
    config: ConfigArgument,
    check: Annotated[
        bool, typer.Option("--check", help="Only say what would be done, and what is in the way of it.")
    ] = False,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="Port of the page, instead of the configured one.")
    ] = None,
) -> None:
    """Take in images as they come, day and night, and lose none.

    It watches folders, takes uploads and messages, runs the chains, builds the masters of a night, and shows all of it
    on a web page. SIGTERM or Ctrl-C lets running images be finished, a second one stops at once; whatever happens,
    the next start goes on exactly there. SIGHUP and `etendue reload` take over changed chains.
    """
    from ...daemon.chains import know_modules_beside
    from ...daemon.configuration import load_observatory

    know_local_modules(str(config))
    settings = load_observatory(config)
    know_modules_beside(settings.chains.values())
    if check:
        _check(settings, config, port)
        return
    from ...daemon.logs import logging_to

    with logging_to(settings.log):
        code, is_hung = _serve(settings, config, port)
    if is_hung:
        os._exit(code)  # everything is written down; Python itself would wait for these threads
    if code:
        raise typer.Exit(code)


def _serve(settings: "Observatory", config: Path, port: int | None) -> tuple[int, bool]:
    """Run the daemon; the exit code, and whether threads are left that wait for a disk."""
    import logging

    from ...daemon.threads import hung_threads

    code = _run(settings, config, port)
    if hung := hung_threads():
        text = "%d threads wait for a disk or server that does not answer; nobody waits for them"
        logging.getLogger(__name__).warning(text, len(hung))
    return code, bool(hung)


def _run(settings: "Observatory", config: Path, port: int | None) -> int:
    """Run the daemon; whatever ends it stands in the log."""
    import asyncio
    import logging

    from ....images import EtendueError
    from ...daemon.daemon import serve as serve_until_asked_to_end
    from ...daemon.logs import name_daemon

    log = logging.getLogger(__name__)
    try:
        return asyncio.run(
            serve_until_asked_to_end(settings, config, port=port, started=lambda service: name_daemon(service.daemon))
        )
    except Exception as error:
        cause = _only(error)
        if not isinstance(cause, EtendueError | OSError):
            log.critical("the daemon was ended by an error that nobody expected: %s", cause, exc_info=error)
            return 1
        for line in _sentences(cause):
            log.critical("%s", line)
        return 2


def _sentences(error: BaseException) -> list[str]:
    """What a person is told, as by the other commands."""
    if isinstance(error, OSError) and error.strerror:
        return [f"{error.filename}: {error.strerror}" if error.filename else error.strerror]
    return str(error).splitlines()


def _only(error: BaseException) -> BaseException:
    """What has gone wrong, where it is one thing only in a group of tasks."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        (error,) = error.exceptions
    return error


# --- check -------------------------------------------------------------------------------------------------------


def _check(settings: "Observatory", config: Path, port: int | None) -> None:
    """Say what the daemon would do, and end with 1 if something is in the way that may still come right, or 2."""
    from .plan import describe, wrong_chains

    out = console()
    problems = wrong_chains(settings, config)
    for problem in problems:
        typer.echo(problem, err=True)
    lines, warnings = describe(settings, port)
    out.print(f"{config}: {settings.name}")
    for title, text in lines:
        out.print(f"  {title:<13}{text}", soft_wrap=True)
    for warning in warnings:
        out.print(f"Not yet in order: {warning}", soft_wrap=True)
    if problems:
        typer.echo(f"{plural(len(problems), 'problem')}: the daemon would not start", err=True)
        raise typer.Exit(2)
    if warnings:
        waited = "the daemon waits for its sources, and for disks that it has used before"
        out.print(f"{plural(len(warnings), 'thing')} to look at; {waited}")
        raise typer.Exit(1)
    out.print(f"All in order. Next: etendue serve {config}")


# --- reload ------------------------------------------------------------------------------------------------------


def reload(
    config: ConfigArgument,
    timeout: Annotated[str, typer.Option("--timeout", metavar="TIME", help="Longest time to wait.")] = "30 s",
    as_json: JsonOption = False,
) -> None:
    """Let running daemons take over a changed configuration and changed chains, without losing work.

    What is wrong is refused, with its lines, and what was valid before goes on; the page of the daemon says so, too.
    """
    from ...daemon.chains import know_modules_beside
    from ...daemon.configuration import load_observatory, queue_url
    from ...daemon.queue import JobQueue
    from ...errors import ConfigError
    from .plan import wrong_chains
    from .queue.changing import person

    limit = duration(timeout, "--timeout")
    know_local_modules(str(config))
    settings = load_observatory(config)
    know_modules_beside(settings.chains.values())
    queue = JobQueue.open(queue_url(settings), create=False)
    try:
        awaited = _alive(queue, settings.queue.lease)
        if not awaited and (problems := wrong_chains(settings, config)):
            raise ConfigError("\n".join([*problems, "no daemon is running on this queue, and none would start"]))
        number = queue.request_reload(person())
        answers = _await_answers(queue, awaited, number, limit)
    finally:
        queue.close()
    _tell_answers(console(stderr=as_json), config, awaited, answers, limit)
    if as_json:
        print_json({"daemons": awaited, "answers": answers})
    if any(answers.get(daemon) != [] for daemon in awaited):
        raise typer.Exit(1)


def _alive(queue: "JobQueue", lease: float) -> dict[str, str]:
    """The daemons that should answer, and what they are called."""
    now = time.time()
    return {
        row.id: f"{row.host}, process {row.pid}"
        for row in queue.daemons()
        if not row.has_ended and abs(now - row.last_seen) < STALE * lease
    }


def _await_answers(queue: "JobQueue", awaited: dict[str, str], number: int, limit: float) -> dict[str, list[str]]:
    """What each daemon says of the reload: its problems, none if all was taken over. Silent ones are missing."""
    until = time.monotonic() + limit
    while True:
        answers: dict[str, list[str]] = {}
        for row in queue.daemons():
            told = row.status.get("reload")
            if row.id in awaited and told is not None and told["number"] >= number:
                answers[row.id] = [str(problem) for problem in told["problems"]]
        if len(answers) == len(awaited) or time.monotonic() > until:
            return answers
        time.sleep(ASK_EVERY)


def _tell_answers(
    out: "Console", config: Path, awaited: dict[str, str], answers: dict[str, list[str]], limit: float
) -> None:
    if not awaited:
        out.print(f"No daemon is running on this queue; `etendue serve {config}` will begin with it", soft_wrap=True)
    for daemon, called in awaited.items():
        match answers.get(daemon):
            case None:
                out.print(f"{called}: no answer in {limit:g} s; look at its log", soft_wrap=True)
            case []:
                out.print(f"{called}: taken over", soft_wrap=True)
            case problems:
                out.print(f"{called}: not all of it is taken over, and what was valid before goes on", soft_wrap=True)
                for problem in problems:
                    out.print(f"  {problem}", soft_wrap=True)


# --- token -------------------------------------------------------------------------------------------------------


def token(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who or what will use it.")] = "operator",
    right: Annotated[Right, typer.Option("--right", help="What it allows: to look, or also to change.")] = Right.READ,
    as_json: JsonOption = False,
) -> None:
    """Make a token for the web page and its API. It is shown this once; the configuration gets its hash only."""
    import secrets

    from pydantic import ValidationError

    from ...daemon.settings import TokenSettings
    from ...errors import ConfigError
    from ...web.security import token_hash

    made = secrets.token_urlsafe(32)
    try:
        entry = TokenSettings(name=name, hash=token_hash(made), right=right.value)
    except ValidationError:
        raise ConfigError(
            f"'{name}' cannot be the name of a token: it begins with a letter or digit, and has letters, digits, "
            "spaces, dots, - and _, at most 64"
        ) from None
    if as_json:
        print_json({"token": made, **entry.model_dump()})
        return
    typer.echo(f"Token of {name}, shown this once:\n\n  {made}\n")
    typer.echo("For the configuration, under web: tokens: (then start the daemon anew; no work is lost by that)\n")
    typer.echo(f'  - {{name: "{entry.name}", right: {entry.right}, hash: "{entry.hash}"}}\n')
    typer.echo("It is sent as: Authorization: Bearer TOKEN")
