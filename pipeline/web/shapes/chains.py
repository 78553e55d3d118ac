"""Chains: drawings, parameters, problems; processors."""

from typing import Any, Literal

from pydantic import Field

from .base import Shape


class ChainInfo(Shape):
    """A chain in the list."""

    name: str
    file: str
    description: str
    steps: list[str]
    fingerprint: str
    problems: list[str] = Field(description="why the file as it is now is not taken over; empty in good times")
    can_be_saved: bool = Field(description="built-in chains cannot")
    paused: bool


class Chains(Shape):
    """All chains of the configuration."""

    chains: list[ChainInfo]


class Parameter(Shape):
    """A parameter of a step."""

    name: str
    value: Any
    default: Any
    is_default: bool
    required: bool
    type: str = Field(description="in words: number > 0")
    description: str


class GraphNode(Shape):
    """A step in the drawing."""

    id: str = Field(description="path of the step: steps.0, steps.2.cases.0.steps.1; image and result at the ends")
    kind: Literal["image", "step", "choice", "fork", "join", "end", "result"]
    label: str
    processor: str = ""
    summary: str = Field("", description="first line of the processor's documentation")
    policy: dict[str, Any] = Field({}, description="when, on_error, retry, timeout, where they are not the default")
    changed: dict[str, Any] = Field({}, description="parameters that are not the default")


class GraphEdge(Shape):
    """What follows what."""

    start: str
    end: str
    label: str = ""


class StepInfo(Shape):
    """A step with all its parameters."""

    id: str = Field(description="as in the graph")
    name: str
    processor: str
    documentation: str
    reads: list[str]
    writes: list[str]
    parameters: list[Parameter]
    policy: dict[str, Any]
    index: int | None = Field(description="which step of the file's own list it is; null for steps inside others")


class ConfigProblem(Shape):
    """Something that is wrong with a chain."""

    line: int = Field(description="from 1; 0 if it has no place in the text")
    column: int
    where: str = Field(description="steps.3 (SepSourceDetection)")
    message: str
    file: str = Field("", description="the file, if it is an included one")


class ChainDrawing(Shape):
    """The graph and steps of a chain."""

    name: str
    description: str
    fingerprint: str
    nodes: list[GraphNode]
    edges: list[GraphEdge]
    steps: list[StepInfo]


class ChainDetail(ChainInfo):
    """A chain with its text and drawing."""

    text: str
    base: str = Field(description="hash of the text; give it back when saving, so that nobody's change is lost")
    drawing: ChainDrawing | None = Field(description="of the chain in use; null if it never was valid")


class ChainText(Shape):
    """A chain to be looked at."""

    text: str = Field(max_length=150_000)
    name: str = Field("", max_length=64, description="chain that it would replace: includes are relative to its file")


class ChainChange(Shape):
    """A chain to be saved."""

    text: str = Field(max_length=150_000)
    base: str = Field(max_length=64, description="`base` of the text that was edited")


class Validation(Shape):
    """What is wrong with a chain, and how it would look."""

    valid: bool
    problems: list[ConfigProblem]
    drawing: ChainDrawing | None


class Saved(Shape):
    """A chain was saved and is in use."""

    name: str
    base: str
    problems: list[str] = Field(description="what the daemon said when it took it over")


class ProcessorInfo(Shape):
    """A processor that a step may name."""

    name: str
    kind: str = Field(description="kind of work: detection, photometry …")
    summary: str
    snippet: str = Field(description="a step with it, as YAML")
    documentation: str
    reads: list[str]
    writes: list[str]
    parameters: list[Parameter]


class Processors(Shape):
    """All registered processors."""

    processors: list[ProcessorInfo]
