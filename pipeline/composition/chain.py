"""The type of a field that holds steps."""

from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from ..pipeline import Pipeline

STEPS_SCHEMA = {"x-etendue": "steps"}
"""Stands in a processor's JSON Schema where steps are written."""


def as_chain(thing: Any) -> Any:
    """A pipeline from steps, processors or functions, one or several; anything else is left to the validator."""
    if isinstance(thing, str | bytes | int | float | None):
        return thing
    if isinstance(thing, Pipeline) and not thing.name:
        return thing
    return Pipeline(steps=thing if isinstance(thing, list | tuple) else [thing])  # type: ignore[arg-type]


def dump_steps(chain: Any) -> Any:
    """The steps of a chain as YAML writes them; text stays as it is."""
    return [step.model_dump(mode="json") for step in chain.steps] if isinstance(chain, Pipeline) else chain


Chain = Annotated[
    Pipeline,
    BeforeValidator(as_chain),
    PlainSerializer(dump_steps),
    WithJsonSchema(STEPS_SCHEMA),
]
"""Steps within a processor; in YAML a list, like the steps of a chain."""
