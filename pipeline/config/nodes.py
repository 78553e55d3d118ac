"""A chain file as a tree in which everything knows its line and column.

YAML is read by its events, so nothing is ever constructed: no tag, no Python object, no date. Scalars follow the
core schema of YAML 1.2: ``on`` and ``12:30:00`` are text, ``1e-3`` is a number, ``010`` is ten and ``0o17`` fifteen.

References
----------
YAML 1.2.2, section 10.3.2 (core schema).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

MAX_NODES = 20_000
"""Nodes of a file after all aliases are followed: nobody writes so many, but nine lines can ask for a billion."""

MAX_DEPTH = 60
MAX_CHARACTERS = 2_000_000

NULL = re.compile(r"~|null|Null|NULL|")
TRUE = re.compile(r"true|True|TRUE")
FALSE = re.compile(r"false|False|FALSE")
INTEGER = re.compile(r"[-+]?[0-9]{1,400}")
OCTAL = re.compile(r"0o[0-7]{1,400}")
HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]{1,400}")
FLOAT = re.compile(r"[-+]?(\.[0-9]{1,400}|[0-9]{1,400}(\.[0-9]{0,400})?)([eE][-+]?[0-9]{1,9})?")
INFINITY = re.compile(r"([-+]?)\.(inf|Inf|INF)")
NAN = re.compile(r"\.(nan|NaN|NAN)")


@dataclass(frozen=True, slots=True)
class Mark:
    """Where something is written: file, line and column, both from 1; line 0 for what is not in a file."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


class SyntaxProblem(Exception):
    """The text cannot be read as a tree."""

    def __init__(self, mark: Mark, message: str) -> None:
        super().__init__(message)
        self.mark, self.message = mark, message


@dataclass(slots=True)
class ScalarNode:
    """A scalar: its text, and the value that the text means."""

    value: Any
    mark: Mark
    size: int = 1


@dataclass(slots=True)
class ListNode:
    """A sequence."""

    items: list["Node"]
    mark: Mark
    size: int = 1


@dataclass(slots=True)
class MapNode:
    """A mapping; the marks of its keys are kept beside the values."""

    entries: dict[str, "Node"]
    marks: dict[str, Mark]
    mark: Mark
    size: int = 1

    def set(self, key: str, node: "Node", mark: Mark) -> None:
        """Set a value and say where its key is written."""
        self.entries[key], self.marks[key] = node, mark


Node = ScalarNode | ListNode | MapNode


def plain(node: Node) -> Any:
    """The node's content as Python data."""
    match node:
        case ScalarNode():
            return node.value
        case ListNode():
            return [plain(item) for item in node.items]
        case MapNode():
            return {key: plain(value) for key, value in node.entries.items()}


def from_plain(value: Any, mark: Mark) -> Node:
    """A node from Python data.

    Raises
    ------
    TypeError
        The data are of a kind that YAML does not have.
    """
    if isinstance(value, Mapping):
        entries = {str(key): from_plain(item, mark) for key, item in value.items()}
        return MapNode(entries, dict.fromkeys(entries, mark), mark)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return ListNode([from_plain(item, mark) for item in value], mark)
    if value is None or isinstance(value, bool | int | float | str):
        return ScalarNode(value, mark)
    raise TypeError(f"{mark}: {type(value).__name__} cannot be written in YAML")


def scalar_value(text: str) -> Any:
    """What an unquoted scalar means in the core schema of YAML 1.2."""
    if NULL.fullmatch(text):
        return None
    if TRUE.fullmatch(text) or FALSE.fullmatch(text):
        return text[0] in "tT"
    if INTEGER.fullmatch(text):
        return int(text)
    if OCTAL.fullmatch(text):
        return int(text[2:], 8)
    if HEXADECIMAL.fullmatch(text):
        return int(text[2:], 16)
    if FLOAT.fullmatch(text):
        return float(text)
    if match := INFINITY.fullmatch(text):
        return float(match[1] + "inf")
    return float("nan") if NAN.fullmatch(text) else text


def read_tree(text: str, file: str) -> Node:
    """The tree of a YAML text of one document.

    Raises
    ------
    SyntaxProblem
        The text is no YAML, has tags, doubled keys or several documents, or is too large when its aliases are followed.
    """
    if len(text) > MAX_CHARACTERS:
        raise SyntaxProblem(Mark(file), f"more than {MAX_CHARACTERS} characters: this is no chain")
    try:
        return _Reader(yaml.parse(text, Loader=yaml.SafeLoader), file).document()
    except yaml.MarkedYAMLError as error:
        place = error.problem_mark or error.context_mark
        mark = Mark(file) if place is None else Mark(file, place.line + 1, place.column + 1)
        context = f" {error.context}" if error.context else ""
        raise SyntaxProblem(mark, _in_words(f"{error.problem or error}{context}")) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        column = error.position - (text.rfind("\n", 0, error.position) + 1) + 1
        raise SyntaxProblem(Mark(file, line, column), f"character U+{_code(error):04X} is not allowed") from None


def _code(error: yaml.reader.ReaderError) -> int:
    character: Any = error.character
    return character if isinstance(character, int) else ord(character)


def _in_words(problem: str) -> str:
    """The parser's message, where people meet it often in terms of what they wrote."""
    if "cannot start any token" in problem and "'\\t'" in problem:
        return "a tab cannot indent; use blanks"
    if problem.startswith("mapping values are not allowed here"):
        return "a colon where no key is expected; quote text that has ': ' in it"
    return problem


@dataclass(slots=True)
class _Reader:
    """Builds the tree from parse events."""

    events: Iterator[Any]
    file: str
    anchors: dict[str, Node] = field(default_factory=dict)
    depth: int = 0

    def document(self) -> Node:
        root: Node | None = None
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise SyntaxProblem(self.mark(event), "a second document begins; a chain file has one")
                root = self.node(next(self.events))
        return ScalarNode(None, Mark(self.file, 1, 1)) if root is None else root

    def mark(self, event: Any) -> Mark:
        return Mark(self.file, event.start_mark.line + 1, event.start_mark.column + 1)

    def node(self, event: Any) -> Node:
        mark = self.mark(event)
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.anchors:
                raise SyntaxProblem(mark, f"*{event.anchor} stands for nothing; write &{event.anchor} before it")
            return self.anchors[event.anchor]
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            raise SyntaxProblem(
                mark, f"the tag {tag} is not allowed; a chain has plain text, numbers, lists and mappings"
            )
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise SyntaxProblem(mark, f"nested more than {MAX_DEPTH} deep")
        match event:
            case yaml.ScalarEvent():
                made: Node = ScalarNode(scalar_value(event.value) if event.implicit[0] else event.value, mark)
            case yaml.SequenceStartEvent():
                made = self.sequence(mark)
            case _:
                made = self.mapping(mark)
        self.depth -= 1
        if made.size > MAX_NODES:
            raise SyntaxProblem(mark, f"more than {MAX_NODES} values when its aliases are followed")
        if event.anchor:
            self.anchors[event.anchor] = made
        return made

    def sequence(self, mark: Mark) -> ListNode:
        made = ListNode([], mark)
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            made.items.append(item := self.node(event))
            made.size += item.size
        return made

    def mapping(self, mark: Mark) -> MapNode:
        made = MapNode({}, {}, mark)
        merged: list[Node] = []
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            at = self.mark(event)
            if not isinstance(event, yaml.ScalarEvent):
                raise SyntaxProblem(at, "a key must be a word")
            self.node(event)
            key, value = event.value, self.node(next(self.events))
            made.size += 1 + value.size
            if key == "<<" and event.implicit[0]:
                merged.extend(value.items if isinstance(value, ListNode) else [value])
                continue
            if key in made.entries:
                raise SyntaxProblem(at, f"key '{key}' is already set in line {made.marks[key].line}")
            made.set(key, value, at)
        for other in merged:
            if not isinstance(other, MapNode):
                raise SyntaxProblem(other.mark, "<< takes a mapping or a list of mappings")
            for key, value in other.entries.items():
                if key not in made.entries:
                    made.set(key, value, other.marks[key])
        return made
