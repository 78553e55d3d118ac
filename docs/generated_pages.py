"""Sphinx extension: pages that are written from the code, so that nothing is said twice.

Before Sphinx reads the sources, it writes into ``docs/generated``: the catalogue columns, the header keywords, the
pixel flags, the file formats, the built-in chains, what the calibration library compares, the rules for the types of
raw frames, the settings of a night, the keys of an observatory, and the reference of all processors with their
parameters.
"""

import dataclasses
import inspect
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

HERE = Path(__file__).parent
GENERATED = HERE / "generated"


def table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += [
        "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in rows
    ]
    return "\n".join(lines) + "\n"


def code(text: str) -> str:
    """Text as inline code; nothing for nothing."""
    return f"`{text}`" if text else ""


def catalog_columns() -> str:
    """The one table of catalogue columns."""
    from etendue.images.catalog import COLUMNS, FAMILIES

    known = [(code(name), c.unit, c.dtype, c.description) for name, c in COLUMNS.items()]
    families = [(code(f"{name}_{{k}}"), c.unit, c.dtype, c.description) for name, c in FAMILIES.items()]
    return table(("column", "unit", "type", "meaning"), known + families)


def keywords() -> str:
    """Properties of an image that come from its header."""
    from etendue.images.keywords import KEYWORDS

    rows = [
        (code(f"image.{name}"), k.unit, k.description, ", ".join(code(card) for card in k.cards))
        for name, k in KEYWORDS.items()
    ]
    return table(("property", "unit", "meaning", "cards, the first that is present counts"), rows)


def flags() -> str:
    """The bits of an integer mask, with the docstring that stands below each of them."""
    from etendue.images import PixelFlag

    source = inspect.getsource(PixelFlag)
    rows = []
    for flag in PixelFlag:
        text = source.partition(f"{flag.name} = {flag.value}\n")[2].split('"""')[1]
        rows.append((code(str(flag.name)), flag.value, text))
    return table(("flag", "value", "meaning"), rows)


def file_formats() -> str:
    """What is read and written."""
    from etendue.images.io import formats

    rows = [
        (
            known.name,
            ", ".join(code(suffix) for suffix in known.suffixes),
            "yes" if known.write is not None else "no",
        )
        for known in formats()
    ]
    return table(("format", "suffixes", "written"), rows)


def chains() -> str:
    """The chains that come with Etendue, whole."""
    from etendue.pipeline import builtin_chains

    parts = [f"### {name}\n\n```yaml\n{path.read_text()}```\n" for name, path in sorted(builtin_chains().items())]
    return "\n".join(parts)


def rules() -> str:
    """What check_processor tries."""
    from etendue.processors.testing import checks

    return table(
        ("rule", "what is tried"), [(code(name), text.strip().partition("\n\n")[0]) for name, text in checks()]
    )


def library_keys() -> str:
    """What must be equal for a master to belong to a frame."""
    from etendue.images.keywords import KEYWORDS
    from etendue.processors.calibration.library import DEFAULT_KEYS

    def told(key: str, tolerance: float | None) -> str:
        return code(key) + (f" ± {tolerance:g} {KEYWORDS[key].unit}" if tolerance else "")

    rows = [
        (code(kind), ", ".join(told(key, tolerance) for key, tolerance in keys.items()))
        for kind, keys in DEFAULT_KEYS.items()
    ]
    return table(("master", "equal"), rows)


def comparison_limits() -> str:
    """How far a new master may differ from the last one of its kind."""
    from numpydoc.docscrape import NumpyDocString

    from etendue.processors.combination import Limits

    described = {item.name: " ".join(item.desc) for item in NumpyDocString(inspect.getdoc(Limits) or "")["Attributes"]}
    rows = [(code(field.name), field.default, described[field.name]) for field in dataclasses.fields(Limits)]
    return table(("limit", "value", "of what"), rows)


def frame_rules() -> str:
    """The rules that tell the type of a raw frame, in their order."""
    from etendue.pipeline.night.frame_types import RULES

    def told(tests: Any) -> str:
        words = list(tests) if isinstance(tests, list | tuple) else [tests]
        return ", ".join(code(str(word)) for word in words[:6]) + (" …" if len(words) > 6 else "")

    rows = [
        (str(rule.type), "; ".join(f"{name.replace('_', ' ')} {told(tests)}" for name, tests in rule.when.root.items()))
        for rule in RULES
    ]
    return table(("type", "if"), rows)


def night_settings() -> str:
    """The keys of the section `night` of a chain."""
    from etendue.pipeline.night import NightSettings

    return parameters(NightSettings)


def observatory_settings() -> str:
    """The keys of ``observatory.yaml``."""
    from observatory_page import rows, sections

    head = ("key", "value", "default", "meaning")
    return "\n".join(f"### {title}\n\n{table(head, rows(model, keys, type_of))}" for title, model, keys in sections())


def type_of(schema: dict[str, Any]) -> str:
    """The type of a parameter in words, from its JSON Schema."""
    if "enum" in schema:
        return " or ".join(code(json.dumps(value)) for value in schema["enum"])
    if "const" in schema:
        return code(json.dumps(schema["const"]))
    if "$ref" in schema:
        return schema["$ref"].rpartition("/")[2]
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(dict.fromkeys(type_of(choice) for choice in schema[key]))
    kind = schema.get("type", "anything")
    if kind == "array":
        inner = schema.get("items") or (schema.get("prefixItems") or [{}])[0]
        return f"list of {type_of(inner)}" if isinstance(inner, dict) else "list"
    limits = [
        f"{sign} {schema[key]}"
        for key, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
        if key in schema
    ]
    words = {"object": "mapping", "string": "text", "boolean": "true or false", "null": "nothing"}
    return " ".join([words.get(kind, kind), *limits])


def parameters(processor: Any) -> str:
    """The parameters of one processor as a table."""
    from pydantic_core import PydanticUndefined

    schema = processor.model_json_schema()["properties"] if processor.model_fields else {}
    rows = []
    for name, field in processor.model_fields.items():
        default = field.get_default(call_default_factory=True, validated_data={})
        shown = "required" if default is PydanticUndefined else code(json_text(default))
        rows.append((code(name), type_of(schema.get(name, {})), shown, field.description or ""))
    return table(("parameter", "type", "default", "meaning"), rows) if rows else "No parameters.\n"


def json_text(value: Any) -> str:
    """A default as it would stand in YAML."""
    return json.dumps(value, ensure_ascii=False, default=str)


def processor_reference() -> str:
    """All processors, grouped by the folder that they live in."""
    from etendue.processors import processors

    groups: dict[str, list[tuple[str, Any]]] = {}
    for name, processor in processors().items():
        parts = processor.__module__.split(".")
        if parts[0] == "etendue":
            groups.setdefault("chains" if parts[1] == "pipeline" else parts[2], []).append((name, processor))
    lines = [
        "# All processors\n",
        "Generated from the processors themselves; `etendue processors NAME` says the same.\n",
    ]
    for group in sorted(groups):
        lines.append(f"## {group}\n")
        for name, processor in groups[group]:
            lines += [f"### {name}\n", docstring(processor), names_line(processor), parameters(processor)]
    return "\n".join(lines)


def docstring(processor: Any) -> str:
    """The docstring, rendered by numpydoc's rules inside a reStructuredText block."""
    from numpydoc.docscrape_sphinx import SphinxDocString

    sections = SphinxDocString(inspect.getdoc(processor) or "", {"show_class_members": False})
    # One reference a line, as our docstrings have it, is one paragraph each on the page.
    ends = [line + "\n" if line.endswith((".", ").")) else line for line in sections["References"]]
    sections["References"] = "\n".join(ends).split("\n") if ends else []
    text = str(sections)
    return f"````{{eval-rst}}\n{text.strip()}\n````\n"


def names_line(processor: Any) -> str:
    """What it reads and writes."""
    parts = []
    for what in ("reads", "writes"):
        names = getattr(processor, what)
        if not isinstance(names, property) and names:
            parts.append(f"{what} " + ", ".join(code(name) for name in sorted(names)))
    return ("*" + "; ".join(parts) + "*\n") if parts else ""


PAGES = {
    "catalog_columns.md": catalog_columns,
    "keywords.md": keywords,
    "flags.md": flags,
    "formats.md": file_formats,
    "chains.md": chains,
    "rules.md": rules,
    "library_keys.md": library_keys,
    "comparison_limits.md": comparison_limits,
    "frame_rules.md": frame_rules,
    "night_settings.md": night_settings,
    "observatory.md": observatory_settings,
    "processors.md": processor_reference,
}


def write_pages(_app: "Sphinx") -> None:
    """Write all pages, leaving alone those that have not changed."""
    GENERATED.mkdir(exist_ok=True)
    for name, make in PAGES.items():
        text, path = make(), GENERATED / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def setup(app: "Sphinx") -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
