"""Whether the folders are those that they were: a disk that is not mounted leaves an empty folder of the same name."""

import json
from pathlib import Path

from ...images.io import atomic_write
from .settings import DestinationSettings, Observatory
from .work.destinations import Destination, make_destination

RECORD = "destinations.json"
"""File in the daemon's own folder: what each destination was known by when it was last used."""

LIBRARY = "nights: library"
"""The library of masters is a destination like the others: that of jobs which build masters. No name in a
configuration has a colon."""


def open_destinations(settings: Observatory) -> dict[str, Destination]:
    """The destinations of an observatory by name, and the library of masters among them. They are remembered.

    A destination at another address than before is a new one, and must be usable. One at the same address that is not
    there, or another folder, is most probably an empty mount point: it is left as it is, and its
    :meth:`~etendue.pipeline.daemon.work.destinations.Destination.check` refuses it until its disk is back.

    Raises
    ------
    StorageError
        A new destination cannot be written to.
    """
    record = settings.state / RECORD
    before = _remembered(record)
    wanted = dict(settings.destinations)
    if settings.nights is not None:
        wanted[LIBRARY] = DestinationSettings(url=str(settings.nights.library))
    found = {name: make_destination(name, one, settings.state, before.get(name)) for name, one in wanted.items()}
    now = {name: {"url": one.url, "identity": one.identity} for name, one in found.items()}
    if now != before:
        with atomic_write(record) as file:
            file.write(json.dumps(before | now, indent=1).encode())
    return found


def known_destinations(settings: Observatory) -> dict[str, Destination]:
    """The destinations that a daemon has used, at the addresses that they had; nothing is made or remembered.

    Raises
    ------
    StorageError
        A store cannot be used.
    """
    before = _remembered(settings.state / RECORD)
    known = {
        name: one
        for name, one in settings.destinations.items()
        if before.get(name, {}).get("url") in (one.url, one.url.removeprefix("file://"))
    }
    return {name: make_destination(name, one, settings.state, before[name]) for name, one in known.items()}


def _remembered(path: Path) -> dict[str, dict[str, str]]:
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):  # the first run; or somebody has written nonsense, which is written anew
        return {}
