"""A case: one kind of disturbance, tried on the real program, with what came of it."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """A line of the table in docs/reliability.md."""

    what: str
    outcome: str


@dataclass(frozen=True)
class Setting:
    """Where and how large.

    Attributes
    ----------
    folder : Path
        Where everything happens.
    full : bool
        Large numbers and long times, as in ``make chaos``.
    rng : random.Random
        For what is left to chance.
    """

    folder: Path
    full: bool
    rng: random.Random

    def size(self, quick: int, full: int) -> int:
        """A number, by the size of the run."""
        return full if self.full else quick


@dataclass(frozen=True)
class Case:
    """A disturbance.

    Attributes
    ----------
    name : str
        In one word.
    run : callable
        Does it. Raises AssertionError where something is lost, doubled or wrong.
    lacking : callable
        Why it cannot be tried here; empty if it can.
    """

    name: str
    run: Callable[[Setting], list[Row]]
    lacking: Callable[[], str] = lambda: ""


def require(condition: object, otherwise: str) -> None:
    """Fail with a sentence.

    Raises
    ------
    AssertionError
        The condition does not hold.
    """
    if not condition:
        raise AssertionError(otherwise)
