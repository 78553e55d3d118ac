"""Every registered processor keeps the contract."""

from typing import Any

import pytest

from etendue.processors import Processor, processors
from etendue.processors.testing import check_processor

INVERT = {"class": "AddFitsHeaders", "headers": {"SEEN": True}}

ARGUMENTS: dict[str, dict[str, Any]] = {
    "AddFitsHeaders": {"headers": {"SITEID": ["here", "site"], "COPY": 3, "HISTORY": "added"}},
    "Branch": {"cases": [{"when": {"EXPTIME": "> 30"}, "steps": [INVERT]}]},
    "Fork": {"chains": {"marked": [INVERT]}},
    "Pipeline": {"steps": []},
    "SimulateField": {"width": 96, "height": 64, "stars": 20, "galaxies": 3},
}
"""Parameters of processors that cannot be made without, or that would be slow with their defaults."""


def made(name: str) -> Processor:
    return processors()[name](**ARGUMENTS.get(name, {}))


@pytest.mark.parametrize("name", processors())
def test_processor_keeps_the_contract(name):
    try:
        processor = made(name)
    except ValueError as error:
        pytest.fail(f"{name} needs parameters; add some to ARGUMENTS in this file: {error}")

    check_processor(processor)
