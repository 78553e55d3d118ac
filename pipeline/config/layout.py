"""Where steps stand within the tree of a chain file."""

from collections.abc import Iterator

from ...processors import Processor, UnknownProcessorError, find_processor
from .nodes import ListNode, MapNode, Node, ScalarNode

Pattern = tuple[str, ...]


def class_text(step: Node) -> str | None:
    """What the step's ``class:`` says, if it says a word."""
    if isinstance(step, MapNode) and isinstance(named := step.entries.get("class"), ScalarNode):
        return named.value if isinstance(named.value, str) else None
    return None


def step_patterns(step: Node) -> tuple[Pattern, ...]:
    """Where a step holds steps of its own; see `step_paths` of composites."""
    processor = processor_of(step)
    return () if processor is None else getattr(processor, "step_paths", ())


def processor_of(step: Node) -> type[Processor] | None:
    """The class of a step, or None where it is not known: that is reported when the step is built."""
    name = class_text(step)
    if name is None or "." in name:  # a plugin by its path is imported once, when it is built
        return None
    try:
        return find_processor(name)
    except UnknownProcessorError:
        return None


def step_label(step: Node) -> str:
    """The step's name, or that of its class without the path."""
    if isinstance(step, MapNode) and isinstance(named := step.entries.get("name"), ScalarNode) and named.value:
        return str(named.value)
    return (class_text(step) or "").rpartition(".")[2]


def item_label(item: Node, number: int) -> str:
    """What an item of a list is called: its name, or its number from 1."""
    if isinstance(item, MapNode) and isinstance(named := item.entries.get("name"), ScalarNode) and named.value:
        return str(named.value)
    return str(number)


def inner_lists(node: Node, patterns: tuple[Pattern, ...]) -> Iterator[ListNode]:
    """The lists of steps within a step."""
    for pattern in patterns:
        found: list[Node] = [node]
        for part in pattern:
            found = [inner for outer in found for inner in _children(outer, part)]
        yield from (inner for inner in found if isinstance(inner, ListNode))


def _children(node: Node, part: str) -> list[Node]:
    match node:
        case MapNode():
            return list(node.entries.values()) if part == "*" else [node.entries[part]] if part in node.entries else []
        case ListNode():
            return node.items if part == "*" else []
    return []


def narrowed(patterns: tuple[Pattern, ...], key: str) -> tuple[Pattern, ...]:
    """What is left of the patterns one step further in."""
    return tuple(pattern[1:] for pattern in patterns if pattern and pattern[0] in (key, "*"))
