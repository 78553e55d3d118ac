"""``--set steps.SepSourceDetection.threshold=3``: change a chain without writing to its file.

A step is addressed by its name, by its class, or by its number from 1; steps within steps by the way to them:
``steps.Branch.cases.light.steps.SepPhotometry.apertures=[3,5]``.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ..pipeline import unique_names
from .layout import Pattern, item_label, narrowed, step_label, step_patterns
from .nodes import ListNode, MapNode, Mark, Node, SyntaxProblem, from_plain
from .problems import Problems, did_you_mean
from .variables import value_node

Overrides = Iterable[str] | Mapping[str, Any]
TOP = ("steps", "read", "keywords")


class Missed(Exception):
    """The path leads nowhere; the message says where it ended."""


def apply_overrides(tree: MapNode, overrides: Overrides, problems: Problems) -> None:
    """Set values in the tree of a chain. The values' marks say which override they come from."""
    for path, origin, value in _pairs(overrides):
        mark = Mark(origin)
        try:
            if path is None:
                raise Missed("write steps.NAME.KEY=VALUE")
            node = value_node(value, origin) if isinstance(value, str) else from_plain(value, mark)
            _set(tree, path, node, mark)
        except SyntaxProblem as problem:
            problems.add(mark, "", problem.message)
        except Missed as missed:
            problems.add(mark, "", str(missed))


def _pairs(overrides: Overrides) -> list[tuple[list[str] | None, str, Any]]:
    if isinstance(overrides, Mapping):
        return [(_parts(key), f"--set {key}={value}", value) for key, value in overrides.items()]
    if isinstance(overrides, str):
        overrides = [overrides]
    pairs = []
    for text in overrides:
        path, equals, value = text.partition("=")
        pairs.append((_parts(path) if equals else None, f"--set {text}", value))
    return pairs


def _parts(path: str) -> list[str] | None:
    parts = [part.strip() for part in path.split(".")]
    return parts if all(parts) else None


def _set(tree: MapNode, path: list[str], node: Node, mark: Mark) -> None:
    if path[0] not in TOP:
        raise Missed(f"there is no '{path[0]}'{did_you_mean(path[0], TOP)}; a path begins with steps.NAME")
    if path[0] != "steps":
        _descend(tree, (), path, node, mark)
        return
    _descend(tree, (("steps",),), path, node, mark)


def _descend(here: Node, patterns: tuple[Pattern, ...], path: list[str], node: Node, mark: Mark) -> None:
    """Follow the path; `patterns` say where lists of steps begin."""
    key, rest = path[0], path[1:]
    if () in patterns and isinstance(here, ListNode):
        step, used = _step(here, path)
        if not path[used:]:
            raise Missed(f"'{'.'.join(path)}' is a step; add the key to set: steps.{key}.KEY=VALUE")
        _descend(step, step_patterns(step), path[used:], node, mark)
        return
    if isinstance(here, ListNode):
        labels = [item_label(item, number) for number, item in enumerate(here.items, 1)]
        number = _number(key, labels)
        if number is None:
            raise Missed(f"there is no item '{key}'{did_you_mean(key, labels)}")
        if rest:
            _descend(here.items[number], narrowed(patterns, key), rest, node, mark)
        else:
            here.items[number] = node
        return
    if not isinstance(here, MapNode):
        raise Missed(f"'{key}' cannot be set: what it should be a part of is a single value")
    if not rest:
        here.set(key, node, mark)
        return
    if key not in here.entries:
        if narrowed(patterns, key):
            raise Missed(f"there is no '{key}' in the chain{did_you_mean(key, here.entries)}")
        here.set(key, MapNode({}, {}, mark), mark)
    _descend(here.entries[key], narrowed(patterns, key), rest, node, mark)


def _step(steps: ListNode, path: list[str]) -> tuple[Node, int]:
    """The step that a path begins with, and how many parts of the path name it (a dotted class has several)."""
    names = unique_names([step_label(step) for step in steps.items])
    number = _number(path[0], names)
    if number is not None:
        return steps.items[number], 1
    for used in range(2, len(path)):
        dotted = ".".join(path[:used])
        for step in steps.items:
            if (
                isinstance(step, MapNode)
                and "class" in step.entries
                and getattr(step.entries["class"], "value", 0) == dotted
            ):
                return step, used
    for number, step in enumerate(steps.items):  # a class whose step has a name of its own
        if isinstance(step, MapNode) and getattr(step.entries.get("class"), "value", None) == path[0]:
            return steps.items[number], 1
    raise Missed(f"there is no step '{path[0]}'{did_you_mean(path[0], names)}")


def _number(word: str, labels: list[str]) -> int | None:
    if word in labels:
        return labels.index(word)
    if word.isdecimal() and 1 <= int(word) <= len(labels):
        return int(word) - 1
    return None
