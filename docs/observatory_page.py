"""The keys of ``observatory.yaml``, from the models that read it."""

import json
import re
from collections.abc import Callable, Collection, Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

Row = tuple[str, str, str, str]


def sections() -> Iterator[tuple[str, type[BaseModel], Collection[str]]]:
    """Heading, model, and the keys of it that are told there."""
    from etendue.pipeline.daemon import settings as s

    shared = set.intersection(*(set(source.model_fields) for source in s.SOURCES.values()))
    whole = {
        "The file": s.Observatory,
        "`chains:` NAME: a chain": s.ChainSettings,
        "`choose:` in a source: a chain by header": s.Choice,
        "`destinations:` NAME: where products go": s.DestinationSettings,
        "`nights:`": s.NightsSettings,
        "`nights: masters:`": s.MastersSettings,
        "`queue:`": s.QueueSettings,
        "`workers:`": s.WorkerSettings,
        "`web:`": s.WebSettings,
        "`web: tokens:` somebody who may read or change": s.TokenSettings,
        "`log:`": s.LogSettings,
    }
    for title, model in whole.items():
        if model is s.Choice:  # before it stands where it is used
            yield "`sources:` what all of them have", s.WatchSource, shared
            for kind, source in s.SOURCES.items():
                what = (source.__doc__ or "").partition("\n")[0].rstrip(".")
                title = f"`sources:` with `{kind}`: {what[:1].lower()}{what[1:]}"
                yield title, source, source.model_fields.keys() - shared
        yield title, model, model.model_fields


def rows(model: type[BaseModel], keys: Collection[str], type_of: Callable[[dict[str, Any]], str]) -> list[Row]:
    """Key, value, default and meaning of these keys of a model; `type_of` tells a JSON Schema in words."""
    schema = model.model_json_schema()["properties"]
    return [
        (f"`{name}`", _value(field) or _in_words(type_of(schema[name])), _default(field), field.description or "")
        for name, field in model.model_fields.items()
        if name in keys
    ]


def _value(field: FieldInfo) -> str:
    """What a key takes, where it is an amount of something."""
    return {"size": "amount of memory: `2 GB`", "time": "time: `5 min`", None: ""}[_measure(field)]


def _in_words(kind: str) -> str:
    """A type without names of our classes; null is seen from the default."""
    words = [word for word in kind.split(" or ") if word != "nothing" and not re.search("[a-z][A-Z]|Choice", word)]
    return " or ".join(words).replace("Condition", "header tests") or "see below"


def _measure(field: FieldInfo) -> str | None:
    """``size`` or ``time``, for amounts of memory and durations."""
    text = repr((field.annotation, field.metadata))
    return "size" if "byte_size" in text else "time" if "function seconds" in text else None


def _default(field: FieldInfo) -> str:
    from pydantic_core import PydanticUndefined

    value = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined:
        return "required"
    match _measure(field), value:
        case _, None:
            return ""
        case _, BaseModel():
            return "see below"
        case "size", int():
            return f"`{_spell_size(value)}`"
        case "time", float():
            return f"`{_spell_time(value)}`"
    plain = {key: one.model_dump() for key, one in value.items()} if _holds_models(value) else value
    return f"`{json.dumps(plain, ensure_ascii=False, default=str)}`"


def _holds_models(value: Any) -> bool:
    return isinstance(value, dict) and any(isinstance(one, BaseModel) for one in value.values())


def _spell_size(size: int) -> str:
    from etendue.pipeline.daemon.sizes import spell_size

    return spell_size(size)


def _spell_time(seconds: float) -> str:
    for unit, factor in (("h", 3600), ("min", 60)):
        if seconds >= factor and seconds % factor == 0:
            return f"{seconds / factor:g} {unit}"
    return f"{seconds:g} s"
