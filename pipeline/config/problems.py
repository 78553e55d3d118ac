"""All that is wrong with a chain, collected before anything runs."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..errors import ConfigError
from .nodes import Mark


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One thing that is wrong: where it is written, which step it concerns, and what it is."""

    mark: Mark
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.mark}: {self.where}: {self.message}" if self.where else f"{self.mark}: {self.message}"


@dataclass(slots=True)
class Problems:
    """A collection of problems in the order of the lines."""

    found: list[ConfigProblem] = field(default_factory=list)

    def add(self, mark: Mark, where: str, message: str) -> None:
        """Note a problem, once."""
        problem = ConfigProblem(mark, where, message)
        if problem not in self.found:
            self.found.append(problem)

    def raise_if_any(self) -> None:
        """Raise ConfigError with one line for each problem."""
        if not self.found:
            return
        files = list(dict.fromkeys(problem.mark.file for problem in self.found))
        ordered = sorted(self.found, key=lambda p: (files.index(p.mark.file), p.mark.line, p.mark.column))
        raise ConfigError("\n".join(str(problem) for problem in ordered))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``, did you mean 'threshold'?`` or a list of what there is."""
    choices = sorted(known)
    lower = {choice.casefold(): choice for choice in choices}
    if near := difflib.get_close_matches(word.casefold(), lower, n=1, cutoff=0.6):
        return f", did you mean '{lower[near[0]]}'?"
    if not choices:
        return "; there is none to choose from"
    return f"; there {'is' if len(choices) == 1 else 'are'} {', '.join(choices)}" if len(choices) <= 12 else ""
