"""Files that have come in and have no job, because the daemon was ended before it could say so."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from .incoming import clear_unfinished
from .inspect import Inspected
from .source import Found, Hand, Inspect, Known

KNOWN_AT_ONCE = 500
"""Files about which the queue is asked together."""

MOST_AT_ONCE = 50
"""Files that are inspected, and handed over, together."""


async def hand_over_stranded(folder: Path, source: str, *, known: Known, inspect: Inspect, hand: Hand) -> int:
    """Hand over the files of a folder of our own that have no job.

    Returns
    -------
    int
        How many there were.
    """
    paths = await asyncio.to_thread(_files_of_ours, folder)
    stranded: list[Path] = []
    for start in range(0, len(paths), KNOWN_AT_ONCE):
        batch = paths[start : start + KNOWN_AT_ONCE]
        has_job = await known(source, batch)
        stranded += [path for path in batch if path not in has_job]
    for start in range(0, len(stranded), MOST_AT_ONCE):
        looked = await inspect(stranded[start : start + MOST_AT_ONCE])
        await hand([_as_found(one, source) for one in looked if one.exists])
    return len(stranded)


def _files_of_ours(folder: Path) -> Sequence[Path]:
    if not folder.is_dir():
        return []
    clear_unfinished(folder)
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.is_file())


def _as_found(looked: Inspected, source: str) -> Found:
    return Found(
        source=source,
        path=looked.path,
        size=looked.size,
        mtime_ns=looked.mtime_ns,
        origin="came in before the daemon was ended",
        problem=looked.why if looked.hostile else "",
        facts=looked.facts,
    )
