"""Contracts between steps: what a step reads, somebody before it must have written.

Header cards are never missed, as nobody knows what a file has; neither is anything after a step that does not say
what it writes (a plain function). What is written under a condition, in one case of a branch, or perhaps (a trailing
``?``) counts as written: only what certainly is not there is reported.
"""

import re
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass

from ..processors import Processor, processors
from .pipeline import Pipeline, chain_label, inner_chains

FROM_FILES = frozenset({"data", "header"})
"""What every file brings."""

ANYTHING = "*"


@dataclass(frozen=True, slots=True)
class Problem:
    """A step that reads what nobody writes.

    Attributes
    ----------
    path : tuple
        Where the step stands: ``("steps", 2)``, ``("steps", 2, "cases", 0, "steps", 1)``.
    step : str
        Name of the step, with those around it: ``Branch/dark/SepPhotometry``.
    message : str
        What is missing, and which processor would write it.
    """

    path: tuple[str | int, ...]
    step: str
    message: str


def check_contracts(pipeline: Pipeline, available: Set[str] = FROM_FILES) -> list[Problem]:
    """Steps that read what no earlier step writes and the files do not bring.

    Parameters
    ----------
    pipeline : Pipeline
        The chain; what it `expects` of its files is available as well.
    available : set of str
        What there is before the first step: planes, ``catalog.flux``, ``meta.PixelOffsets``.
    """
    problems: list[Problem] = []
    _through(pipeline, set(available) | pipeline.expects, ("steps",), "", problems)
    return problems


def _through(
    chain: Pipeline, available: set[str], path: tuple[str | int, ...], prefix: str, problems: list[Problem]
) -> set[str]:
    """What is available after a chain."""
    for index, step in enumerate(chain.steps):
        here, name, processor = (*path, index), prefix + step.label, step.processor
        if chains := list(inner_chains(processor)):
            after = [
                (where, _through(inner, set(available), (*here, *where), _inside(name, processor, where), problems))
                for where, inner in chains
            ]
            available = _after_composite(processor, available, after)
            continue
        missing = [item for item in sorted(processor.reads) if not is_available(item, available)]
        problems.extend(Problem(here, name, message) for message in _missing(missing))
        available = _after(processor, available)
    return available


def _inside(name: str, processor: Processor, where: tuple[str | int, ...]) -> str:
    label = chain_label(processor, where)
    return f"{name}/{label}/" if label else f"{name}/"


def _after_composite(
    processor: Processor, before: set[str], after: list[tuple[tuple[str | int, ...], set[str]]]
) -> set[str]:
    if isinstance(processor, Pipeline):
        return after[0][1]
    if "keep" in type(processor).model_fields:  # a fork: the image goes on as it came, or as one chain left it
        kept = getattr(processor, "keep", None)
        return next((result for where, result in after if where[-1] == kept), before)
    return before.union(*(result for _, result in after))


def _after(processor: Processor, available: set[str]) -> set[str]:
    removed = getattr(processor, "removes", frozenset())
    left = {item for item in available if item.partition(".")[0] not in removed}
    if not declares(processor):
        left.add(ANYTHING)
    for item in processor.writes:
        name = item.removesuffix("?")
        # "uncertainty?" is changed where there is one; "catalog.ra?" is written where it can be.
        if name == item or "." in name:
            left.add(name)
    return left


def declares(processor: Processor) -> bool:
    """Whether a processor says what it reads or writes."""
    return any("reads" in vars(cls) or "writes" in vars(cls) for cls in _own_classes(processor))


def _own_classes(processor: Processor) -> Iterator[type]:
    for cls in type(processor).__mro__:
        if cls is Processor:
            return
        yield cls


def is_available(item: str, available: Set[str]) -> bool:
    """Whether what a step reads may be there."""
    plane, _, part = item.partition(".")
    if item.endswith("?") or plane == "header" or ANYTHING in available:
        return True
    if plane == "catalog":
        written = {family(name) for name in available if name.partition(".")[0] == "catalog"}
        # A catalog whose columns nobody names may have any column.
        return family(item) in written or (bool(written) if not part else written == {"catalog"})
    return item in available


def family(column: str) -> str:
    """A column without its number: where there is a flux_aper_1 there may be a flux_aper_2."""
    return re.sub(r"_\d+$", "", column)


def _missing(items: Iterable[str]) -> list[str]:
    """A sentence for each thing to do about what is missing."""
    by_advice: dict[str, list[str]] = {}
    for item in items:
        by_advice.setdefault(_advice(item), []).append(item)
    return [
        f"reads {' and '.join(together)}, which no earlier step writes{advice}"
        for advice, together in by_advice.items()
    ]


def _advice(item: str) -> str:
    writers = [name for name, processor in processors().items() if _writes(processor, item)]
    if writers:
        return f"; put for example {writers[0]} before it"
    if item.partition(".")[0] in ("mask", "uncertainty", "raw", "catalog"):
        return f"; if the files bring it, say so with 'expects: [{item}]'"
    return ""


def _writes(processor: type[Processor], item: str) -> bool:
    """Whether a processor makes what was not there; one that needs a column of the catalogue makes no catalogue."""
    if not isinstance(processor.writes, Set) or item not in processor.writes:
        return False
    return all(read != item and not read.startswith(f"{item}.") for read in processor.reads)
