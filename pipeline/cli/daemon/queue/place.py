"""Which queue a command is about."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ....daemon.queue import JobQueue
    from ....daemon.settings import Observatory

QueueArgument = Annotated[
    str,
    typer.Argument(
        metavar="CONFIG|URL",
        help="The daemon's configuration (observatory.yaml), or the address of its database.",
    ),
]

SQLITE = b"SQLite format 3\0"


@contextmanager
def open_queue(place: str) -> Iterator["JobQueue"]:
    """The queue of a configuration, an address, or a database file; closed at the end of the block.

    Raises
    ------
    ConfigError
        There is no such configuration or database, or it is not ours.
    """
    from ....daemon.queue import JobQueue

    queue = JobQueue.open(queue_address(place), create=False)
    try:
        yield queue
    finally:
        queue.close()


def queue_address(place: str) -> str:
    """The address of the queue that is meant.

    Raises
    ------
    ConfigError
        It is the name of a file that is neither a configuration nor a database.
    """
    if "://" in place:
        return place
    if begins_as_database(Path(place)):
        return f"sqlite:///{Path(place).resolve()}"
    from ....daemon.configuration import load_observatory, queue_url

    return queue_url(load_observatory(place))


def chains_of(place: str) -> Collection[str]:
    """Names of the chains of a configuration; none where only a database is named."""
    settings = _configuration(place)
    return () if settings is None else settings.chains


def sources_of(place: str) -> Collection[str]:
    """Names of the sources of a configuration; none where only a database is named."""
    settings = _configuration(place)
    return () if settings is None else [source.name for source in settings.sources if source.name]


def _configuration(place: str) -> "Observatory | None":
    if "://" in place or begins_as_database(Path(place)):
        return None
    from ....daemon.configuration import load_observatory

    return load_observatory(place)


def begins_as_database(path: Path) -> bool:
    """Whether a file is a database of SQLite."""
    try:
        with path.open("rb") as file:
            return file.read(len(SQLITE)) == SQLITE
    except OSError:
        return False  # whoever reads it as a configuration says why it cannot be read
