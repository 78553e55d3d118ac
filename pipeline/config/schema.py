"""The JSON Schema of chain files: what editors complete and check from."""

import inspect
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, create_model
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic.fields import FieldInfo

from ...processors import Processor, processors
from ..pipeline import Pipeline
from ..step import POLICY, Step

DIALECT = "https://json-schema.org/draft/2020-12/schema"

VARIABLE = {"$ref": "#/$defs/variable"}
STEPS = {"$ref": "#/$defs/steps", "description": "what is done, in order"}
DEFINITIONS: dict[str, Any] = {
    "variable": {"type": "string", "pattern": r"\$\{", "description": "a variable: ${name}"},
    "include": {
        "type": "object",
        "properties": {"include": {"type": "string", "description": "file whose steps stand here"}},
        "required": ["include"],
        "additionalProperties": False,
    },
}
ABOUT = ("description", "default")
TYPES = {"type", "enum", "const", "anyOf", "oneOf", "$ref"}
RESTRICTIONS = {"pattern", "minLength", "maxLength", "format", "enum", "const"}
ORIGIN = "x-origin"
WRITTEN_OTHERWISE = {Step: {"processor"}, Pipeline: {"steps"}}


def json_schema(*, more: Mapping[str, type[Processor]] | None = None) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a chain file, with the parameters of every installed processor.

    Parameters
    ----------
    more : mapping
        Further processors by what ``class:`` calls them, for example ``{"mysteps.Invert": Invert}``.
    """
    known = {**processors(), **(more or {})}
    definitions = dict(DEFINITIONS)
    policy = _policy(definitions)
    branches = []
    for name, processor in known.items():
        definitions[f"step.{name}"] = _step_of(name, processor, policy, definitions)
        branches.append(
            {
                "if": {"properties": {"class": {"const": name}}, "required": ["class"]},
                "then": {"$ref": f"#/$defs/step.{name}"},
            }
        )
    definitions["step"] = {
        "type": "object",
        "properties": {"class": _class_names(known)},
        "required": ["class"],
        "allOf": branches,
    }
    definitions["steps"] = {
        "type": "array",
        "items": {
            "if": {"type": "object", "required": ["include"], "not": {"required": ["class"]}},
            "then": {"$ref": "#/$defs/include"},
            "else": {"$ref": "#/$defs/step"},
        },
    }
    properties = _top(definitions)
    for definition in definitions.values():
        definition.pop(ORIGIN, None)
    return {
        "$schema": DIALECT,
        "$id": "etendue.schema.json",
        "title": "A chain of Etendue",
        "description": "Steps that an image goes through, one after the other.",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "anyOf": [{"required": ["steps"]}, {"required": ["include"]}],
        "$defs": definitions,
    }


def _top(definitions: dict[str, Any]) -> dict[str, Any]:
    fields = properties_of(Pipeline, definitions)
    names = {"type": "string"}
    return {
        "name": fields["name"],
        "description": fields["description"],
        "vars": {
            "type": ["object", "null"],
            "description": "values for ${name}; --var name=value wins over them",
            "additionalProperties": True,
        },
        "include": {
            "anyOf": [names, {"type": "array", "items": names}],
            "description": "files whose steps come first and whose variables are known here",
        },
        "keywords": fields["keywords"],
        "read": fields["read"],
        "expects": fields["expects"],
        "night": fields["night"],
        "steps": STEPS,
    }


def _policy(definitions: dict[str, Any]) -> dict[str, Any]:
    properties = properties_of(Step, definitions)
    return {key: properties[key] for key in POLICY}


def _class_names(known: Mapping[str, type[Processor]]) -> dict[str, Any]:
    names = [{"const": name, "description": _summary(processor)} for name, processor in known.items()]
    dotted = {
        "type": "string",
        "pattern": r"\.",
        "description": "a processor or function by its path: package.module.Name",
    }
    return {"description": "the processor: a name, or a path to it", "anyOf": [*names, dotted, VARIABLE]}


def _summary(processor: type[Processor]) -> str:
    return inspect.cleandoc(processor.__doc__ or "").partition("\n")[0]


def _step_of(
    name: str, processor: type[Processor], policy: dict[str, Any], definitions: dict[str, Any]
) -> dict[str, Any]:
    parameters = properties_of(processor, definitions)
    # A chain's own name is the name of its step.
    properties = {"class": {"const": name}, **parameters, **policy}
    if processor is Pipeline:
        properties["steps"] = STEPS
    required = [key for key, field in processor.model_fields.items() if field.is_required()]
    return {
        "type": "object",
        "title": name,
        "description": inspect.cleandoc(processor.__doc__ or name),
        "properties": properties,
        "required": ["class", *required],
        "additionalProperties": False,
    }


def properties_of(model: type[BaseModel], definitions: dict[str, Any]) -> dict[str, Any]:
    """Schemas of a model's fields; what they refer to is added to the definitions."""
    schemas, inner = _plain_schemas(model)
    properties = {}
    for name, schema in schemas.items():
        if name in WRITTEN_OTHERWISE.get(model, ()):
            continue
        properties[name] = _adapted(schema, inner, definitions)
        if description := model.model_fields[name].description:
            properties[name]["description"] = description
    return properties


def _plain_schemas(model: type[BaseModel]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Pydantic's schemas of the fields, and the definitions that they refer to."""
    try:
        schema = model.model_json_schema()
    except PydanticInvalidForJsonSchema:  # a parameter that only Python code can give spoils only itself
        return {name: _of_field(name, field) for name, field in model.model_fields.items()}, {}
    return schema.get("properties", {}), schema.get("$defs", {})


def _of_field(name: str, field: FieldInfo) -> dict[str, Any]:
    config = ConfigDict(arbitrary_types_allowed=True)
    alone = create_model("Parameter", __config__=config, **{name: (field.annotation, field)})  # type: ignore[call-overload]
    try:
        schema = alone.model_json_schema()
    except PydanticInvalidForJsonSchema:
        return {}
    return {} if "$defs" in schema else schema["properties"][name]


def _adapted(
    schema: Any, inner: dict[str, Any], definitions: dict[str, Any], *, variable: bool = True
) -> dict[str, Any]:
    """A schema in which steps are steps, definitions have moved, and ``${name}`` may stand for any value."""
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-etendue") == "steps":
        return {**{key: schema[key] for key in ABOUT if key in schema}, "$ref": "#/$defs/steps"}
    made = {key: value for key, value in schema.items() if key != "title"}
    if "$ref" in made:
        made["$ref"] = _moved(made["$ref"].rpartition("/")[2], inner, definitions)
    for key in ("items", "additionalProperties", "not", "contains"):
        if isinstance(made.get(key), dict):
            made[key] = _adapted(made[key], inner, definitions)
    for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        if key in made:
            made[key] = [_adapted(part, inner, definitions, variable=False) for part in made[key]]
    if "properties" in made:
        made["properties"] = {key: _adapted(part, inner, definitions) for key, part in made["properties"].items()}
    return _or_variable(made) if variable else made


def _moved(name: str, inner: dict[str, Any], definitions: dict[str, Any]) -> str:
    """Where a definition of one processor is in the whole schema. Two of one name may differ."""
    content = inner[name]
    number = 1
    while True:
        key = name if number == 1 else f"{name}-{number}"
        known = definitions.get(key)
        if known is None:
            origin = definitions[key] = {ORIGIN: content}
            origin.update(_adapted(content, inner, definitions, variable=False))
            return f"#/$defs/{key}"
        if known.get(ORIGIN) == content:
            return f"#/$defs/{key}"
        number += 1


def _or_variable(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema, or a text with a variable in it."""
    if schema.get("type") == "string" and not RESTRICTIONS & schema.keys():
        return schema
    if not TYPES & schema.keys():
        return schema
    about = {key: schema.pop(key) for key in ABOUT if key in schema}
    if "anyOf" in schema and len(schema) == 1:
        return {**about, "anyOf": [*(part for part in schema["anyOf"] if part != VARIABLE), VARIABLE]}
    return {**about, "anyOf": [schema, VARIABLE]}
