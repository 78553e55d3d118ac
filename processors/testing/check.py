"""``check_processor``: the contract of DESIGN.md, section 3, tried on one processor.

The idea is scikit-learn's ``check_estimator``: an author gets the whole contract as one line of a test, and each broken
rule as a sentence.
"""

import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ...images import Image
from ..processor import Processor, as_processor
from .bench import Bench, is_image_error
from .examples import example_images
from .rules import RULES, RULES_WITHOUT_IMAGE, module_variables


class ContractBroken(AssertionError):
    """A processor breaks rules of the contract; the message lists all of them.

    Attributes
    ----------
    broken : list of (str, str)
        Name of the rule and what is wrong.
    """

    def __init__(self, processor: str, broken: list[tuple[str, str]]) -> None:
        self.broken = broken
        count = f"{len(broken)} rule{'s' if len(broken) > 1 else ''}"
        lines = "\n".join(f"  {rule}: {sentence}" for rule, sentence in broken)
        super().__init__(f"{processor} breaks {count} of the contract:\n{lines}")


def checks() -> list[tuple[str, str]]:
    """Name and text of each rule, in the order in which they are tried."""
    return [(rule.__name__, (rule.__doc__ or "").partition("\n")[0]) for rule in RULES]


def check_processor(processor: Any, *, image: Image | None = None, skip: Collection[str] = ()) -> None:
    """See whether a processor keeps the contract.

    Parameters
    ----------
    processor : Processor, type of Processor, or function
        What is checked; a class needs no parameters.
    image : Image
        An image that it can work on; by default one of :func:`example_images`.
    skip : collection of str
        Names of rules that are not tried (see :func:`checks`); say in your test why.

    Raises
    ------
    ContractBroken
        It breaks one rule or several; the message says which and what to do.
    ValueError
        `skip` names a rule that does not exist.
    """
    if unknown := set(skip) - {name for name, _ in checks()}:
        raise ValueError(f"there is no rule {', '.join(sorted(unknown))}; checks() lists them")
    made = as_processor(processor)
    before = module_variables(type(made))
    with tempfile.TemporaryDirectory(prefix="etendue-check-") as folder:
        bench, refusal = _prepared(made, image, Path(folder))
        bench.module_before = before
        broken = [("works_on_an_example", refusal)] if refusal else []
        tried = [rule for rule in (RULES_WITHOUT_IMAGE if refusal else RULES) if rule.__name__ not in skip]
        broken += [(rule.__name__, sentence) for rule in tried for sentence in rule(bench)]
    if broken:
        raise ContractBroken(type(made).__name__, broken)


def _prepared(processor: Processor, image: Image | None, folder: Path) -> tuple[Bench, str]:
    """A bench with an image that the processor does not refuse; what it said if it refuses all."""
    candidates = [image] if image is not None else list(example_images().values())
    refusals = []
    for candidate in candidates:
        bench = Bench(processor, candidate, folder)
        outcome = bench.run(candidate)
        if outcome.error is None or not is_image_error(outcome.error):
            return bench, ""
        refusals.append(str(outcome.error))
    sentence = f"it refuses every example image ({refusals[0]}); give check_processor an image= that it can work on"
    return Bench(processor, candidates[0], folder), sentence
