"""A chain as boxes and arrows, and its steps with all their parameters."""

from collections.abc import Mapping
from typing import Any

from ....processors import Processor, processor_name
from ...cli.processors import documentation, kind_of, parameters, snippet, summary
from ...graph import own_data, ways_of
from ...pipeline import Pipeline, inner_chains
from ...step import POLICY, Step
from ..shapes import ChainDrawing, GraphEdge, GraphNode, Parameter, ProcessorInfo, StepInfo

ENDS = {"otherwise: drop": "ends here", "otherwise: fail": "fails"}


def drawn(pipeline: Pipeline) -> ChainDrawing:
    """Nodes, edges and steps of a chain."""
    drawing = _Drawing()
    start = drawing.node("image", "image", "image")
    last = drawing.chain(pipeline, start, ("steps",))
    drawing.link(last, drawing.node("result", "result", "result"))
    return ChainDrawing(
        name=pipeline.name,
        description=pipeline.description,
        fingerprint=pipeline.fingerprint,
        nodes=drawing.nodes,
        edges=drawing.edges,
        steps=drawing.steps,
    )


def processor_info(name: str, processor: type[Processor]) -> ProcessorInfo:
    """All about a processor: what the page offers for a new step."""
    fields = parameters(processor)
    return ProcessorInfo(
        name=name,
        kind=kind_of(processor),
        summary=summary(processor),
        snippet=snippet(name, fields),
        documentation=documentation(processor),
        reads=sorted(processor.reads),
        writes=sorted(processor.writes),
        parameters=[_parameter(field, field["default"]) for field in fields],
    )


class _Drawing:
    def __init__(self) -> None:
        self.nodes: list[GraphNode] = []
        self.edges: list[GraphEdge] = []
        self.steps: list[StepInfo] = []

    def node(self, name: str, kind: Any, label: str, **more: Any) -> str:
        self.nodes.append(GraphNode(id=name, kind=kind, label=label, **more))
        return name

    def link(self, start: str, end: str, label: str = "") -> None:
        self.edges.append(GraphEdge(start=start, end=end, label=label))

    def chain(self, chain: Pipeline, start: str, path: tuple[str | int, ...], label: str = "") -> str:
        """Draw the steps of a chain behind a node; the node that it ends with."""
        for index, step in enumerate(chain.steps):
            start, label = self.step(step, start, (*path, index), label), ""
        return start

    def step(self, step: Step, start: str, path: tuple[str | int, ...], label: str) -> str:
        name = ".".join(map(str, path))
        self.steps.append(step_info(step, name, index=int(path[1]) if len(path) == 2 else None))
        processor = step.processor
        if isinstance(processor, Pipeline):
            return self.chain(processor, start, (*path, "steps"), label or step.label)
        ways = list(ways_of(processor))
        made = self.node(name, self._kind(processor, ways), step.label, **_about(step))
        self.link(start, made, label)
        return self._through(processor, made, path, ways) if ways else made

    @staticmethod
    def _kind(processor: Processor, ways: list[Any]) -> str:
        if not ways:
            return "step"
        return "fork" if "keep" in type(processor).model_fields else "choice"

    def _through(self, processor: Processor, choice: str, path: tuple[str | int, ...], ways: list[Any]) -> str:
        """Draw the chains of a composite; the node in which they come together again."""
        join = self.node(f"{choice}.join", "join", "")
        keep, is_fork = getattr(processor, "keep", None), "keep" in type(processor).model_fields
        if is_fork and keep is None:
            self.link(choice, join)
        places = [where for where, _ in inner_chains(processor)]
        for number, (way, inner) in enumerate(ways):
            if way in ENDS:
                self.link(choice, self.node(f"{choice}.end", "end", ENDS[way]), "otherwise")
            elif inner is None or not inner.steps:
                self.link(choice, join, way.partition(":")[0])
            else:
                last = self.chain(inner, choice, (*path, *places[number]), way)
                if not is_fork or way == keep:
                    self.link(last, join)
        return join


def step_info(step: Step, name: str, *, index: int | None) -> StepInfo:
    """A step with all its parameters, those of inner steps left out."""
    cls = type(step.processor)
    inside = {str(where[0]) for where, _ in inner_chains(step.processor)}
    values = step.processor.model_dump(mode="json")
    fields = [field for field in parameters(cls) if field["name"] not in inside]
    return StepInfo(
        id=name,
        name=step.label,
        processor=processor_name(cls),
        documentation=documentation(cls),
        reads=sorted(step.processor.reads),
        writes=sorted(step.processor.writes),
        parameters=[_parameter(field, values.get(field["name"])) for field in fields],
        policy=_policy(step),
        index=index,
    )


def _parameter(field: Mapping[str, Any], value: Any) -> Parameter:
    default = field["default"]
    return Parameter(
        name=field["name"],
        value=value,
        default=default,
        is_default=not field["required"] and value == default,
        required=field["required"],
        type=field["type"],
        description=field["description"],
    )


def _about(step: Step) -> dict[str, Any]:
    data = own_data(step)
    return {
        "processor": processor_name(type(step.processor)),
        "summary": summary(type(step.processor)),
        "policy": _policy(step),
        "changed": {key: value for key, value in data.items() if key not in POLICY},
    }


def _policy(step: Step) -> dict[str, Any]:
    return {key: value for key, value in own_data(step).items() if key in POLICY and key != "name"}
