"""From the tree of a chain file to a Pipeline, with every problem at the place where it is written."""

import difflib
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ...images import Image
from ...processors import Processor, UnknownProcessorError, find_processor
from ..contracts import check_contracts
from ..pipeline import Pipeline
from ..step import POLICY, Step
from .layout import Pattern, item_label, narrowed, step_label
from .nodes import ListNode, MapNode, Mark, Node, ScalarNode, plain
from .problems import Problems, did_you_mean
from .variables import Unknown
from .wording import in_words

Path = tuple[str | int, ...]


class Placeholder(Processor):
    """Stands for a step that could not be built, so that the others are checked as well."""

    def process(self, image: Image, *_state: Any) -> Image:  # pragma: no cover
        """Nothing."""
        return image


class Builder:
    """Builds a pipeline; notes problems instead of stopping at the first."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems
        self.places: dict[Path, tuple[Mark, str]] = {}

    def pipeline(self, tree: MapNode, *, check: bool = True) -> Pipeline:
        """The pipeline of a complete tree; a meaningless one if there are problems."""
        steps: list[Step] = []
        node = tree.entries.get("steps")
        if node is None:
            self.problems.add(tree.mark, "", "'steps' is missing: the list of what is done")
        elif not isinstance(node, Unknown):
            steps = self.steps(node, ("steps",), "steps")
        values = {key: plain(value) for key, value in tree.entries.items() if key != "steps" and _is_known(value)}
        for key in [key for key, value in values.items() if value is None]:
            del values[key]
        made = self._validated(Pipeline, {**values, "steps": steps}, tree, "")
        if made is None:
            return Pipeline(steps=())
        if check:
            for problem in check_contracts(made):
                mark, where = self.places.get(problem.path, (tree.mark, problem.step))
                self.problems.add(mark, where, problem.message)
        return made

    def steps(self, node: Node, path: Path, where: str) -> list[Step]:
        """The steps of a list."""
        if not isinstance(node, ListNode):
            self.problems.add(node.mark, where, "must be a list: one entry '- class: …' for each step")
            return []
        return [self.step(item, (*path, index), f"{where}.{index + 1}") for index, item in enumerate(node.items)]

    def step(self, node: Node, path: Path, where: str) -> Step:
        """One step; a placeholder if it cannot be built."""
        if isinstance(node, Unknown):
            return Step(processor=Placeholder())
        if not isinstance(node, MapNode):
            self.problems.add(node.mark, where, "a step is a mapping that begins with 'class: …'")
            return Step(processor=Placeholder())
        where = f"{where} ({step_label(node)})" if step_label(node) else where
        self.places[path] = (node.mark, where)
        policy = {
            key: plain(node.entries[key]) for key in POLICY if key in node.entries and _is_known(node.entries[key])
        }
        processor = self._processor(node, path, where)
        step = self._validated(Step, {"processor": processor or Placeholder(), **policy}, node, where)
        return step or Step(processor=Placeholder())

    def _processor(self, node: MapNode, path: Path, where: str) -> Processor | None:
        named = node.entries.get("class")
        if isinstance(named, Unknown):
            return None
        if named is None:
            written = {key.lower(): key for key in node.entries}
            near = difflib.get_close_matches("class", written, n=1)
            hint = f"; is '{written[near[0]]}' meant to be it?" if near else ": the name of a processor"
            self.problems.add(node.mark, where, f"'class' is missing{hint}")
            return None
        if not isinstance(named, ScalarNode) or not isinstance(named.value, str):
            self.problems.add(named.mark, where, "class: must be the name of a processor")
            return None
        try:
            cls = find_processor(named.value)
        except UnknownProcessorError as error:
            self.problems.add(named.mark, where.partition(" (")[0], str(error))
            return None
        except Exception as error:  # noqa: BLE001 - a module of the user's may fail in any way when it is imported
            self.problems.add(named.mark, where, f"cannot import '{named.value}': {type(error).__name__}: {error}")
            return None
        own = ("name",) if "name" in cls.model_fields else ()
        parameters = {}
        for key, value in node.entries.items():
            if key == "class" or (key in POLICY and key not in own):
                continue
            inner = narrowed(getattr(cls, "step_paths", ()), key)
            if _is_known(value, deep=not inner):
                parameters[key] = self._value(value, inner, (*path, key), f"{where.partition(' (')[0]}.{key}")
        made = self._validated(cls, parameters, node, where)
        # What a step with an unknown value would read is not known either.
        return made if all(map(_is_known, node.entries.values())) else None

    def _value(self, node: Node, patterns: tuple[Pattern, ...], path: Path, where: str) -> Any:
        """A parameter as Python data, in which lists of steps have become steps."""
        if not patterns:
            return plain(node)
        match node:
            case ListNode() if () in patterns:
                return self.steps(node, path, where)
            case ListNode():
                return [
                    self._value(item, narrowed(patterns, "*"), (*path, index), f"{where}.{item_label(item, index + 1)}")
                    for index, item in enumerate(node.items)
                ]
            case MapNode() if () not in patterns:
                return {
                    key: self._value(value, narrowed(patterns, key), (*path, key), f"{where}.{key}")
                    for key, value in node.entries.items()
                }
            case MapNode():
                return self.steps(node, path, where)
        return plain(node)

    def _validated(self, cls: Any, values: Mapping[str, Any], node: MapNode, where: str) -> Any:
        try:
            made = cls.model_validate(values)
            for key, value in values.items():
                if key in node.entries and _is_number_from_bool(value, getattr(made, key, None)):
                    self.problems.add(node.entries[key].mark, where, f"{key}: true or false is not a number")
            return made
        except ValidationError as error:
            self._report(error.errors(), cls, node, where)
        except Exception as error:  # noqa: BLE001 - a plugin's validator may raise anything
            self.problems.add(node.mark, where, f"{type(error).__name__}: {error}")
        return None

    def _report(self, errors: list[ErrorDetails], cls: Any, node: MapNode, where: str) -> None:
        """Note pydantic's errors; what the members of a union say about one value becomes one sentence."""
        sentences: dict[tuple[Mark, str], list[str]] = {}
        inner = {error["loc"][:depth] for error in errors for depth in range(len(error["loc"]))}
        for error in errors:
            if error["type"] == "too_short" and error["loc"] in inner:
                continue  # it counts only the entries that are right
            mark, label, message = _placed(error, cls, node)
            if message is None:
                continue
            known = sentences.setdefault((mark, label), [])
            if message not in known:
                known.append(message)
        for (mark, label), messages in sentences.items():
            text = ", or ".join(messages[:3])
            self.problems.add(mark, where, f"{label}: {text}" if label else text)


def _placed(error: ErrorDetails, cls: Any, node: MapNode) -> tuple[Mark, str, str | None]:
    """Where an error is written, which parameter it concerns, and its sentence (None: said elsewhere)."""
    here: Node = node
    label: list[str] = []
    for part in error["loc"]:
        if isinstance(here, MapNode) and part in here.entries:
            last_mark = here.marks[str(part)]
            here = here.entries[str(part)]
            label.append(str(part))
            if error["type"] == "extra_forbidden" and part == error["loc"][-1]:
                return last_mark, ".".join(label[:-1]), _unknown_key(str(part), cls, node, label[:-1])
        elif isinstance(here, ListNode) and isinstance(part, int) and part < len(here.items):
            label.append(item_label(here.items[part], part + 1))
            here = here.items[part]
    if error["type"] == "missing":
        name = str(error["loc"][-1])
        if isinstance(here, MapNode) and name in here.entries:  # its value is an unknown variable
            return here.mark, "", None
        description = cls.model_fields[name].description if name in cls.model_fields and len(error["loc"]) == 1 else ""
        return here.mark, ".".join(label), f"'{name}' is missing" + (f": {description}" if description else "")
    return here.mark, ".".join(label), in_words(error)


def _unknown_key(key: str, cls: Any, node: MapNode, within: list[str]) -> str:
    """The sentence for a key that no parameter has; `within` leads to the mapping that has it."""
    here: Any = cls
    known: set[str] = set()
    for part in within:
        here = _model_in(here.model_fields[part].annotation) if part in getattr(here, "model_fields", {}) else here
    if here is not None:
        known = set(here.model_fields) - {"processor"}
    if not within and "class" in node.entries:
        known |= {*POLICY, "class"}
    return f"unknown key '{key}'{did_you_mean(key, known) if known else ''}"


def _model_in(annotation: Any) -> Any:
    """The model in a type like ``tuple[Case, ...]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part)) is not None), None)


def _is_number_from_bool(written: Any, made: Any) -> bool:
    """Whether ``true`` has become the number 1, as Python takes it."""
    if isinstance(written, Mapping) and isinstance(made, BaseModel):
        return any(_is_number_from_bool(value, getattr(made, key, None)) for key, value in written.items())
    if isinstance(written, list) and isinstance(made, list | tuple) and len(written) == len(made):
        return any(map(_is_number_from_bool, written, made))
    return isinstance(written, bool) and isinstance(made, int | float) and not isinstance(made, bool)


def _is_known(node: Node, *, deep: bool = True) -> bool:
    """Whether all variables in it were found."""
    match node:
        case Unknown():
            return False
        case ListNode() if deep:
            return all(_is_known(item) for item in node.items)
        case MapNode() if deep:
            return all(_is_known(item) for item in node.entries.values())
    return True
