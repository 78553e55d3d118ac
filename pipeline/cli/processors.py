"""`processors`: what there is to put into a chain, and how."""

import inspect
import json
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .arguments import ImportOption, JsonOption, import_processors, know_local_modules
from .terminal import console, print_json, print_table

if TYPE_CHECKING:
    from rich.table import Table

WIDE = 110
"""Columns that a terminal needs for the table of parameters [characters]."""

COMPOSITION, PLUGINS = "composition", "plugins"


def processors(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A processor: its registered name or dotted path.")
    ] = None,
    modules: ImportOption = [],  # noqa: B006 - typer copies defaults
    as_json: JsonOption = False,
) -> None:
    """List the processors, or explain one of them: what it does, its parameters, a piece of YAML."""
    import warnings

    from ... import processors as room
    from ...processors.registry import broken_plugins

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # broken plugins are listed below
        known = dict(room.processors())
    known |= import_processors(modules)
    if name is not None:
        know_local_modules()
        found = known.get(name) or room.find_processor(name)
        _explain(name, found, as_json=as_json)
        return
    broken = broken_plugins()
    groups: dict[str, dict[str, str]] = defaultdict(dict)
    for key, processor in known.items():
        groups[kind_of(processor)][key] = summary(processor)
    if as_json:
        print_json({"processors": groups, "broken": [[b.name, b.distribution, b.reason] for b in broken]})
        return
    _print_list(groups, broken)


def kind_of(processor: type) -> str:
    """The kind of work: the folder that the processor lives in, or that it comes from a plugin."""
    parts = processor.__module__.split(".")
    if parts[:2] == ["etendue", "processors"] and len(parts) > 2:
        return parts[2]
    return COMPOSITION if parts[0] == "etendue" else PLUGINS


def documentation(processor: type) -> str:
    """The docstring as plain text: roles such as ``:class:`Save``` become their names."""
    text = inspect.cleandoc(processor.__doc__ or "")
    text = re.sub(r"\.\. code-block::.*\n\n", "", text)
    text = re.sub(r":[a-z:]+:`~?(?:[^`<]*<)?([^`>]*)>?`", lambda match: match[1].rpartition(".")[2], text)
    return "\n\n".join(_unwrapped(paragraph) for paragraph in text.replace("``", "").split("\n\n"))


def _unwrapped(paragraph: str) -> str:
    """Prose on one line, to be broken where the terminal ends; lists, tables and sections stay as they are."""
    lines = paragraph.splitlines()
    is_prose = not any(line[:1] in " -*>|=" or line[:1].isdigit() for line in lines)
    return " ".join(lines) if is_prose else paragraph


def summary(processor: type) -> str:
    """First line of the documentation."""
    return (documentation(processor).splitlines() or [""])[0]


def _print_list(groups: dict[str, dict[str, str]], broken: Any) -> None:
    from rich.table import Table
    from rich.text import Text

    out = console()
    order = sorted(groups, key=lambda kind: (kind == PLUGINS, kind == COMPOSITION, kind))
    width = max(len(key) for group in groups.values() for key in group)
    for kind in order:
        out.print(Text(kind, style="bold"))
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(min_width=width + 2, no_wrap=True, style="cyan")
        table.add_column()
        for key, line in sorted(groups[kind].items()):
            table.add_row(f"  {key}", line)
        print_table(out, table)
    if broken:
        out.print(Text("not available", style="bold red"))
        for plugin in broken:
            out.print(f"  {plugin.name} of {plugin.distribution}: {plugin.reason}", soft_wrap=True)
    if out.is_terminal:
        out.print(Text("\netendue processors NAME explains one of them", style="dim"))


def parameters(processor: type) -> list[dict[str, Any]]:
    """Name, type in words, default, description and parameters inside of each parameter."""
    schema = field_schema(processor)
    definitions = schema.get("$defs", {})
    found = []
    for name, field in processor.model_fields.items():  # type: ignore[attr-defined]
        described = schema.get("properties", {}).get(name, {})
        required = field.is_required()
        found.append(
            {
                "name": name,
                "type": type_words(described, definitions) or str(field.annotation),
                "required": required,
                "default": None if required else plain_default(field),
                "description": field.description or "",
                "inner": inner_parameters(described, definitions),
            }
        )
    return found


def plain_default(field: Any) -> Any:
    """The default of a parameter as it is written in a chain."""
    from pydantic import TypeAdapter

    kind: Any = Annotated[field.annotation, field]  # pyright: ignore[reportInvalidTypeForm]
    adapter = TypeAdapter(kind)
    return adapter.dump_python(field.get_default(call_default_factory=True), mode="json")


def inner_parameters(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The parameters of a parameter that is a group of them."""
    group = definitions.get(schema.get("$ref", "").rpartition("/")[2], {})
    return {
        name: {
            "type": type_words(described, definitions),
            "required": name in group.get("required", ()),
            "default": described.get("default"),
            "description": described.get("description", ""),
        }
        for name, described in group.get("properties", {}).items()
    }


def field_schema(processor: type) -> dict[str, Any]:
    """The processor's JSON Schema; an empty one if a parameter's type has none."""
    from pydantic.errors import PydanticInvalidForJsonSchema

    try:
        return processor.model_json_schema()  # type: ignore[attr-defined]
    except PydanticInvalidForJsonSchema:
        return {}


LIMITS = {"exclusiveMinimum": ">", "minimum": "≥", "exclusiveMaximum": "<", "maximum": "≤"}
WORDS = {"number": "number", "integer": "integer", "string": "text", "boolean": "true | false", "null": "null"}


def type_words(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    """A JSON Schema type as people say it: ``integer > 0``, ``mean | median``, ``list of number``."""
    if "$ref" in schema:
        reference = schema["$ref"].rpartition("/")[2]
        inner = definitions.get(reference, {})
        return reference if "properties" in inner else type_words(inner, definitions)
    if "enum" in schema:
        return " | ".join(map(_value_words, schema["enum"]))
    if "const" in schema:
        return _value_words(schema["const"])
    if alternatives := schema.get("anyOf") or schema.get("oneOf"):
        words = [type_words(alternative, definitions) for alternative in alternatives]
        return " | ".join(dict.fromkeys(word for word in words if word))
    match schema.get("type"):
        case "array" if "prefixItems" in schema:
            return "[" + ", ".join(type_words(item, definitions) for item in schema["prefixItems"]) + "]"
        case "array":
            item = type_words(schema.get("items", {}), definitions)
            return f"list of ({item})" if "|" in item else f"list of {item}"
        case "object":
            values = schema.get("additionalProperties")
            return f"mapping to {type_words(values, definitions)}" if isinstance(values, dict) else "mapping"
        case str(name):
            limits = [f"{sign} {schema[key]:g}" for key, sign in LIMITS.items() if key in schema]
            return " ".join([WORDS.get(name, name), ", ".join(limits)]).strip()
    return "anything"


def _value_words(value: Any) -> str:
    """A value as it is written in a chain, text without quotes: ``false``, ``mean``."""
    return value if isinstance(value, str) else json.dumps(value)


def _explain(name: str, processor: type, *, as_json: bool) -> None:
    from ...processors import processor_name
    from ..step import distribution_of

    fields = parameters(processor)
    reads, writes = sorted(processor.reads), sorted(processor.writes)  # type: ignore[attr-defined]
    if as_json:
        print_json(
            {
                "name": processor_name(processor),
                "from": distribution_of(processor.__module__),
                "documentation": documentation(processor),
                "reads": reads,
                "writes": writes,
                "parameters": fields,
            }
        )
        return
    from rich.text import Text

    out = console()
    out.print(Text.assemble((name, "bold cyan"), (f"   {distribution_of(processor.__module__)}", "dim")))
    out.print(documentation(processor))
    out.print()
    if reads or writes:
        out.print(Text.assemble(("reads  ", "bold"), ", ".join(reads) or "nothing"))
        out.print(Text.assemble(("writes ", "bold"), ", ".join(writes) or "nothing"))
        out.print()
    if fields:
        rows = [row for field in fields for row in ((field["name"], field), *indented(field["inner"]))]
        print_table(out, _wide_table(rows) if out.width >= WIDE else _narrow_table(rows))
        out.print()
    out.print(Text("in a chain", style="bold"))
    out.print(snippet(name, fields))


def indented(group: dict[str, dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """The members of a group of parameters, to stand below it."""
    return [(f"  {name}", field) for name, field in group.items()]


def _wide_table(rows: list[tuple[str, dict[str, Any]]]) -> "Table":
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("parameter", style="cyan", no_wrap=True)
    table.add_column("type", max_width=36)
    table.add_column("default", max_width=28)
    table.add_column("description")
    for name, field in rows:
        table.add_row(name, field["type"], default_words(field), field["description"])
    return table


def _narrow_table(rows: list[tuple[str, dict[str, Any]]]) -> "Table":
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("parameter", style="cyan", no_wrap=True)
    table.add_column("type, default, description")
    for name, field in rows:
        words = ", ".join(filter(None, (field["type"], default_words(field))))
        table.add_row(name, f"{words}\n{field['description']}")
    return table


def default_words(field: dict[str, Any]) -> str:
    """The default as it is written in YAML; that of a group of parameters is told by its members."""
    if field["required"]:
        return "required"
    return "" if field.get("inner") else inline_yaml(field["default"])


def inline_yaml(value: Any) -> str:
    """A value as it is written in YAML, on one line."""
    import yaml

    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True)
    return text.removesuffix("...\n").strip()


def snippet(name: str, fields: list[dict[str, Any]]) -> str:
    """A step with this processor as it stands in a chain; what is required comes first, without a value."""
    lines = ["steps:", f"  - class: {name}"]
    for field in sorted(fields, key=lambda field: not field["required"]):
        value = f"…  # {field['description'] or field['type']}" if field["required"] else inline_yaml(field["default"])
        if field["inner"] and isinstance(field["default"], dict):
            lines.append(f"    {field['name']}:")
            lines += [f"      {key}: {inline_yaml(inner)}" for key, inner in field["default"].items()]
        else:
            lines.append(f"    {field['name']}: {value}")
    return "\n".join(lines)
