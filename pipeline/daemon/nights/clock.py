"""How long ago something came in, by a clock that nobody sets."""

import time
from collections.abc import Callable, Hashable, Iterable


class Ages:
    """Ages of jobs.

    Clocks are set back and forth, and other machines have other ones: while this process runs, only its own
    monotonic clock counts. What it finds when it starts is as old as the date of its job says, and never younger
    than nothing.

    Parameters
    ----------
    wall, monotonic : callable
        The clocks [s].
    """

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._began: dict[Hashable, float] = {}
        self._starting = True

    def age(self, key: Hashable, created: float) -> float:
        """Age of a job [s].

        Parameters
        ----------
        key : hashable
            What it is called.
        created : float
            When it came in, by its own account [s since 1970].
        """
        now = self._monotonic()
        if key not in self._began:
            before = max(0.0, self._wall() - created) if self._starting else 0.0
            self._began[key] = now - before
        return now - self._began[key]

    def started(self) -> None:
        """From now on, what is not known has just come in."""
        self._starting = False

    def forget_all_but(self, keys: Iterable[Hashable]) -> None:
        """Forget what is not asked for any more."""
        kept = set(keys)
        self._began = {key: when for key, when in self._began.items() if key in kept}
