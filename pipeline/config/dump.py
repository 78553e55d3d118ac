"""A pipeline as YAML."""

import math
from collections.abc import Mapping
from typing import Any

import yaml
from pydantic import BaseModel

from ..pipeline import Pipeline
from ..step import Step
from .nodes import scalar_value

LINE_BREAKS = frozenset("\x85\u2028\u2029")
"""What YAML reads as the end of a line although no editor shows it as one: written as an escape."""

POLICY_ORDER = ("when", "on_error", "retry", "timeout")


class _Dumper(yaml.SafeDumper):
    """Writes text in quotes where YAML 1.2 would read it as something else, and lists of numbers in one line."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _text(dumper: _Dumper, text: str) -> yaml.Node:
    plain = isinstance(scalar_value(text), str) and not LINE_BREAKS.intersection(text)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


def _number(dumper: _Dumper, value: float) -> yaml.Node:
    if math.isnan(value):
        text = ".nan"
    elif math.isinf(value):
        text = ".inf" if value > 0 else "-.inf"
    else:
        # The writer's own idea of a number (YAML 1.1) wants a point before the exponent, or it adds a tag.
        text = repr(value)
        text = text if "." in text else text.replace("e", ".0e")
    return dumper.represent_scalar("tag:yaml.org,2002:float", text)


def _list(dumper: _Dumper, items: list[Any]) -> yaml.Node:
    flow = not any(isinstance(item, list | dict) for item in items)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=flow)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(float, _number)
_Dumper.add_representer(list, _list)


def to_yaml(pipeline: Pipeline) -> str:
    """The chain file of a pipeline; loading it gives an equal pipeline. What has its default value is left out.

    Raises
    ------
    ValueError
        A step cannot be found again by its name: it is defined within a function, or in a notebook.
    """
    return yaml.dump(chain_data(pipeline), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def chain_data(pipeline: Pipeline) -> dict[str, Any]:
    """A pipeline as the plain data of its chain file."""
    data = {
        name: _escaped(value)
        for name, value in pipeline.model_dump(mode="json", include={"name", "description", "keywords", "read"}).items()
        if value
    }
    if pipeline.expects:
        data["expects"] = sorted(pipeline.expects)
    if pipeline.night is not None:
        data["night"] = _escaped(pipeline.night.model_dump(mode="json", exclude_defaults=True))
    data["steps"] = [step_data(step) for step in pipeline.steps]
    return data


def step_data(step: Step, *, check: bool = True) -> dict[str, Any]:
    """A step as the plain data of its entry in a chain file; with `check`, only if it can be found again.

    Raises
    ------
    ValueError
        A step cannot be found again by its name.
    """
    if check:
        _check_name(step)
    data: dict[str, Any] = {"class": step.class_name}
    if step.name:
        data["name"] = _escaped(step.name)
    plain = step.model_dump(mode="json")
    for key in POLICY_ORDER:
        if key in plain:
            data[key] = _escaped(plain[key])
    return {**data, **_changed(step.processor, check, skip={"name"} if isinstance(step.processor, Pipeline) else set())}


def _check_name(step: Step) -> None:
    if "<" in step.class_name or step.class_name.startswith("__main__"):
        raise ValueError(
            f"step {step.label} cannot be written down: {step.class_name} cannot be imported by its name; "
            "define it in a module"
        )


def _changed(model: BaseModel, check: bool, skip: set[str]) -> dict[str, Any]:
    """Fields that differ from their defaults, as plain data."""
    plain = model.model_dump(mode="json")
    data = {}
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if name in skip or (not field.is_required() and _same(value, field.get_default(call_default_factory=True))):
            continue
        data[name] = _data(value, plain[name], check)
    return data


def _steps_of(value: Any) -> tuple[Step, ...] | None:
    """The steps of a chain within a step, whether a Pipeline or its tuple of steps."""
    if isinstance(value, Pipeline):
        return value.steps
    return value if isinstance(value, tuple) and value and all(isinstance(item, Step) for item in value) else None


def _same(value: Any, default: Any) -> bool:
    return type(value) is type(default) and value == default


def _data(value: Any, plain: Any, check: bool) -> Any:
    """Plain data of a value; steps within it in their short form."""
    steps = _steps_of(value)
    if steps is not None:
        return [step_data(step, check=check) for step in steps]
    if isinstance(value, Mapping) and isinstance(plain, dict) and any(_has_steps(item) for item in value.values()):
        return {str(key): _data(item, plain[str(key)], check) for key, item in value.items()}
    if isinstance(value, list | tuple) and any(_has_steps(item) for item in value):
        return [_data(item, part, check) for item, part in zip(value, plain, strict=True)]
    if isinstance(value, BaseModel) and _has_steps(value):
        names = [name for name in type(value).model_fields if plain[name] != ""]
        return {name: _data(getattr(value, name), plain[name], check) for name in names}
    return _escaped(plain)


def _has_steps(value: Any) -> bool:
    if _steps_of(value) is not None:
        return True
    return isinstance(value, BaseModel) and any(
        _steps_of(getattr(value, name)) is not None for name in type(value).model_fields
    )


def _escaped(plain: Any) -> Any:
    """Text with ``${`` in it would be taken for a variable."""
    match plain:
        case str():
            return plain.replace("${", "$${")
        case list():
            return [_escaped(item) for item in plain]
        case dict():
            return {key: _escaped(item) for key, item in plain.items()}
    return plain
