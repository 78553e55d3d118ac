"""Files that have been seen, until they are complete:

1. closed, and complete by what the format says: a fifth of a second after the last change;
2. neither can be told (a network file system, a format without an end): when the file has not changed for `settle`;
3. something is missing by what the format says: when that comes. If nothing comes for ten minutes the file is handed
   over with that problem, for a person to see;
4. complete, but somebody keeps it open: a minute after its last change.
"""

from dataclasses import dataclass

from ..inspect import Inspected
from .search import Identity

QUICK = 0.2
"""How long a file must not have changed before it is looked at [s]."""

LOOK_AGAIN = (0.25, 5.0)
"""First and longest wait until a file that is being written is looked at again [s]; doubled each time."""

LOOK_ANYWAY = 30.0
"""A file that is not whole is looked at so often even if it seems not to change [s]."""

NEVER_WHOLE = 600.0
"""After this time without a change, a file that is not whole will not become so [s]."""

HELD_OPEN = 60.0
"""After this time without a change, it does not count that somebody has a complete file open [s]."""


@dataclass(slots=True)
class Candidate:
    """A file that has been seen and not been handed over yet.

    Attributes
    ----------
    identity : (int, int)
        Size [byte] and time of change [ns since 1970].
    since : float
        When it was first seen so [s, monotonic].
    next_look : float
        When to look at it [s, monotonic].
    wait : float
        From the next look until the one after it [s].
    why : str
        What it lacks, when that has been so for a while.
    """

    identity: Identity
    since: float
    next_look: float
    wait: float = LOOK_AGAIN[0]
    why: str = ""

    def postpone(self, now: float, longest: float) -> None:
        """Look at it again later, and still later after that."""
        self.next_look = now + self.wait
        self.wait = min(2 * self.wait, longest)


def problem_of(shown: Inspected, unchanged: float, settle: float) -> str | None:
    """Empty if a file can be handed over, the reason if it is so as one that cannot be taken, None to wait."""
    if shown.hostile:
        return shown.why
    if shown.whole is False:
        return f"{shown.why}; it has not changed for {NEVER_WHOLE / 60:g} min" if unchanged >= NEVER_WHOLE else None
    if shown.closed is False:
        return "" if unchanged >= max(HELD_OPEN, settle) else None
    if shown.whole and shown.closed:
        return "" if unchanged >= min(QUICK, settle) else None
    return "" if unchanged >= settle else None
