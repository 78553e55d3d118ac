"""Removing outdated products: exactly those, and only files that are still what was published."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime

from ....images import EtendueError
from ..queue import JobQueue, OutdatedProduct, QueueError
from .destinations import Destination

CLOCKS = 60.0
"""The clocks of daemon and disk may differ by so much [s]."""

LET_OTHERS = 0.02
"""Between two removals, so that daemons come to the queue [s]."""


def remove_outdated(
    queue: JobQueue, outdated: OutdatedProduct, destinations: Mapping[str, Destination]
) -> tuple[bool, str]:
    """Remove an outdated product: the file, and its name from the queue.

    It may be killed at any point: the name is forgotten when the file is gone for good, never before, and it can be
    done again. A run that makes the product again at this moment waits for the removal, or keeps its own.

    Parameters
    ----------
    queue : JobQueue
        The queue.
    outdated : OutdatedProduct
        The product.
    destinations : mapping
        Where products go, by name.

    Returns
    -------
    (bool, str)
        Whether the product is no more, and what is to be said: why it was left alone, or that it was not there.

    Raises
    ------
    QueueError
        The queue cannot be used now; the product is still listed.
    """
    product = outdated.product
    destination = destinations.get(product.destination)
    if destination is None:
        return False, f"no daemon of this configuration has written to '{product.destination}' where it is now"
    try:
        destination.check()
        others = (one for one in destinations.values() if one is not destination)
        if (other := next((one for one in others if _has(one, destination, product.name)), None)) is not None:
            return False, f"it lies in '{other.name}', too, and may be a product of that destination"
        found = destination.written(product.name)
        if found is not None and (why := _other_than(outdated, *found)):
            return False, why
        begun = time.monotonic()
        with queue.forgetting(product) as is_ours:
            if is_ours and found is not None:
                destination.remove(product.name)
        time.sleep(LET_OTHERS + time.monotonic() - begun)
    except QueueError:
        raise
    except (EtendueError, OSError) as error:
        return False, str(error)
    if not is_ours:
        return False, "it is not outdated any more: it was made again meanwhile, or somebody else has removed it"
    return True, "" if found is not None else "its file was not there any more"


def _has(other: Destination, destination: Destination, name: str) -> bool:
    """Whether a product lies within another destination: two names of one folder, or a folder within the other."""
    if destination.folder is not None and other.folder is not None:
        return (destination.folder / name).parent.resolve().is_relative_to(other.folder.resolve())
    return destination.location(name).startswith(other.location(""))


def _other_than(outdated: OutdatedProduct, size: int, changed: float | None) -> str:
    """Why a file is not the one that was published; empty if it is."""
    if size != outdated.product.size:
        return f"it is not the file that was published: it has {size} bytes, and had {outdated.product.size}"
    if changed is not None and changed > outdated.finished + CLOCKS:
        moment = datetime.fromtimestamp(changed, UTC)
        return f"somebody has changed it since it was published, at {moment:%Y-%m-%d %H:%M:%S} UTC"
    return ""
