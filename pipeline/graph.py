"""A chain as a drawing: an indented tree for terminals, Mermaid for pages."""

from collections.abc import Iterator
from typing import Any

from ..processors import Processor
from .config.dump import step_data
from .pipeline import Pipeline, inner_chains
from .step import POLICY, Step

BRANCH, LAST, BAR, BLANK = "├─ ", "└─ ", "│  ", "   "


def to_text(pipeline: Pipeline) -> str:
    """The chain as an indented tree, with policies and the parameters that differ from their defaults.

    >>> print(to_text(pipeline))
    photometry: From the raw frame to calibrated fluxes.
    ├─ SubtractBackground  box_size: 32
    ├─ Branch
    │  ├─ [EXPTIME: > 30]
    │  │  └─ CosmicRays
    │  └─ [otherwise: pass]
    └─ Save  (on_error: warn)
    """
    title = pipeline.name or "pipeline"
    head = f"{title}: {pipeline.description}" if pipeline.description else title
    return "\n".join([head, *_tree(pipeline)])


def _tree(chain: Pipeline) -> Iterator[str]:
    for step in chain.steps:
        last = step is chain.steps[-1]
        yield (LAST if last else BRANCH) + described(step)
        yield from (((BLANK if last else BAR) + line) for line in _inside(step.processor))


def _inside(processor: Processor) -> Iterator[str]:
    if isinstance(processor, Pipeline):
        yield from _tree(processor)
        return
    ways = list(ways_of(processor))
    for number, (label, chain) in enumerate(ways, 1):
        last = number == len(ways)
        yield f"{LAST if last else BRANCH}[{label}]"
        if chain is not None:
            yield from (((BLANK if last else BAR) + line) for line in _tree(chain))


def ways_of(processor: Processor) -> Iterator[tuple[str, Pipeline | None]]:
    """The chains of a composite with what leads into each; a way without steps has none."""
    for where, chain in inner_chains(processor):
        yield _way_label(processor, where), chain
    if isinstance(otherwise := getattr(processor, "otherwise", None), str):
        yield f"otherwise: {otherwise}", None


def _way_label(processor: Processor, where: tuple[str | int, ...]) -> str:
    last = str(where[-1])
    if len(where) > 1 and isinstance(index := where[1], int):
        case: Any = getattr(processor, str(where[0]))[index]
        condition = ", ".join(f"{key}: {_value(test)}" for key, test in case.when.root.items())
        return f"{case.name}: {condition}" if case.name else condition
    return last


def described(step: Step) -> str:
    """A step in one line: name, class, parameters that differ from their defaults, policy."""
    cls = step.class_name.rpartition(".")[2]
    parts = [step.label if step.label == cls else f"{step.label} ({cls})"]
    data = own_data(step)
    if parameters := _listed({key: value for key, value in data.items() if key not in POLICY}):
        parts.append(parameters)
    if policy := _listed({key: data[key] for key in POLICY if key in data and key != "name"}):
        parts.append(f"({policy})")
    return "  ".join(parts)


def own_data(step: Step) -> dict[str, Any]:
    """What the step's YAML says besides its class and the steps within it."""
    inside = {where[0] for where, _ in inner_chains(step.processor)} | {"otherwise"}
    return {key: value for key, value in step_data(step, check=False).items() if key != "class" and key not in inside}


def _listed(data: dict[str, Any]) -> str:
    return ", ".join(f"{key}: {_value(value)}" for key, value in data.items())


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case dict():
            return "{" + ", ".join(f"{key}: {_value(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(_value(item) for item in value) + "]"
    return str(value)


def to_mermaid(pipeline: Pipeline) -> str:
    """The chain as a Mermaid flowchart."""
    drawing = _Drawing()
    end = drawing.chain(pipeline, drawing.node("image", "([", "])"))
    drawing.link(end, drawing.node("result", "([", "])"))
    return "\n".join(["flowchart TD", *drawing.lines]) + "\n"


class _Drawing:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.count = 0

    def node(self, text: str, opening: str = "[", closing: str = "]") -> str:
        name = f"n{self.count}"
        self.count += 1
        self.lines.append(f'    {name}{opening}"{_quoted(text)}"{closing}')
        return name

    def link(self, start: str, end: str, label: str = "") -> None:
        self.lines.append(f'    {start} -->|"{_quoted(label)}"| {end}' if label else f"    {start} --> {end}")

    def chain(self, chain: Pipeline, start: str, label: str = "") -> str:
        """Draw the steps of a chain behind a node; the node that the chain ends with."""
        for step in chain.steps:
            start, label = self.step(step, start, label), ""
        return start

    def step(self, step: Step, start: str, label: str) -> str:
        processor = step.processor
        if isinstance(processor, Pipeline):
            return self.chain(processor, start, label)
        ways = list(ways_of(processor))
        if not ways:
            made = self.node(described(step).replace("  ", "\n"))
            self.link(start, made, label)
            return made
        choice = self.node(step.label, "{", "}")
        self.link(start, choice, label)
        join = self.node(" ", "((", "))")
        keep = getattr(processor, "keep", None)
        is_fork = "keep" in type(processor).model_fields
        if is_fork and keep is None:
            self.link(choice, join)
        for way, inner in ways:
            if way in ("otherwise: drop", "otherwise: fail"):
                self.link(choice, self.node(way.partition(": ")[2], "([", "])"), "otherwise")
            elif inner is None or not inner.steps:
                self.link(choice, join, way.partition(":")[0])
            else:
                last = self.chain(inner, choice, way)
                if not is_fork or way == keep:
                    self.link(last, join)
        return join


def _quoted(text: str) -> str:
    """Text as Mermaid can show it: its own signs and HTML are written as entities."""
    entities = {"&": "&amp;", '"': "&quot;", "<": "&lt;", ">": "&gt;", "#": "&#35;", "\n": "<br/>"}
    return "".join(entities.get(sign, sign) for sign in text)
