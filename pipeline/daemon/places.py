"""Whether the folders are those that they were: a disk that is not mounted leaves an empty folder of the same name."""

import json
from collections.abc import Mapping
from pathlib import Path

from ...images.io import atomic_write
from ..errors import ConfigError
from .work.destinations import Destination

RECORD = "destinations.json"
"""File in the daemon's own folder: what each destination was known by when it was last used."""


def check_destinations(destinations: Mapping[str, Destination], state: Path) -> None:
    """Compare destinations with what they were when the daemon last ran, and remember them.

    A destination at another address is a new one. One at the same address that is another folder is, most
    probably, an empty mount point: to write there would hide the products as soon as the disk is back.

    Raises
    ------
    ConfigError
        A destination is another folder than before.
    """
    path = state / RECORD
    before = _remembered(path)
    for name, destination in destinations.items():
        known = before.get(name, {})
        if known.get("url") == destination.url and known.get("identity") != destination.identity:
            raise ConfigError(
                f"destination {name}: {destination.url} is another folder than when the daemon last ran; is its disk "
                f"mounted? If it is meant to be a new one, remove {path}"
            )
    now = {name: {"url": one.url, "identity": one.identity} for name, one in destinations.items()}
    if now != before:
        with atomic_write(path) as file:
            file.write(json.dumps(before | now, indent=1).encode())


def _remembered(path: Path) -> dict[str, dict[str, str]]:
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):  # the first run; or somebody has written nonsense, which is written anew
        return {}
