"""What a person decides about masters that waited for it, as the queue knows it."""

from collections.abc import Mapping
from typing import Any

from ..queue import JobQueue, JobState
from .frames import NOTES
from .standing import Build
from .view import SEEN


def note_decisions(queue: JobQueue, number: int, statuses: Mapping[str, str]) -> None:
    """Write down that a person has decided; every daemon then does what follows from it.

    What was decided stands in the files of the masters, where the keeper of the nights finds it too: if this is never
    written, it is noticed a moment later.

    Parameters
    ----------
    queue : JobQueue
        The queue.
    number : int
        The job that has built the masters.
    statuses : mapping
        What the files say: ``accepted``, ``rejected``, ``candidate``; ``gone`` if there is no such file.
    """
    job = queue.get(number)
    if job.state is not JobState.DONE:
        return  # it is done again, and finds in the files what was decided
    masters = [decided(master, statuses) for master in Build.of(job).masters]
    queue.set_facts(number, {NOTES: {**job.facts[NOTES], "masters": masters}, SEEN: 0})


def decided(master: Mapping[str, Any], statuses: Mapping[str, str]) -> Mapping[str, Any]:
    """A master that waited for a person, after that person has decided."""
    status = statuses.get(master["name"])
    if master["status"] != "candidate" or status in (None, "candidate"):
        return master
    if status == "accepted":
        return {**master, "status": "accepted", "reasons": ["accepted by a person"]}
    what = "has rejected" if status == "rejected" else "has removed"
    return {**master, "status": "not built", "reasons": [f"a person {what} {master['name']}"]}
