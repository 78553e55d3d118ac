"""``${name}`` in a chain: replaced by the values of ``vars``.

A scalar that is nothing but ``${name}`` becomes the variable's value with its type, which may be a list; within
longer text the value is written out. ``$${`` stands for a literal ``${``.
"""

import re
from collections.abc import Mapping

from .nodes import MAX_NODES, ListNode, MapNode, Mark, Node, ScalarNode, read_tree, scalar_value
from .problems import Problems, did_you_mean

REFERENCE = re.compile(r"\$\$\{|\$\{([^}]*)\}|\$\{")
MAX_TEXT = 100_000
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def value_node(text: str, origin: str) -> Node:
    """A value from the command line: ``3``, ``R``, ``> 30`` as they are; ``[3, 5]``, ``{a: 1}``, ``"3"`` as YAML.

    Raises
    ------
    SyntaxProblem
        It begins like a list, a mapping or a quoted text, and is none.
    """
    text = text.strip()
    if not text.startswith(("[", "{", '"', "'")):  # elsewhere signs like > and * would have a meaning in YAML
        return ScalarNode(scalar_value(text), Mark(origin))
    return _marked(read_tree(text, origin), Mark(origin))


def _marked(node: Node, mark: Mark) -> Node:
    match node:
        case ScalarNode():
            return type(node)(node.value, mark)
        case ListNode():
            return ListNode([_marked(item, mark) for item in node.items], mark, node.size)
        case MapNode():
            entries = {key: _marked(value, mark) for key, value in node.entries.items()}
            return MapNode(entries, dict.fromkeys(entries, mark), mark, node.size)


class Variables:
    """The variables that a file sees, resolved on demand, as they may refer to each other."""

    def __init__(self, nodes: Mapping[str, Node], problems: Problems) -> None:
        self.nodes = dict(nodes)
        self.problems = problems
        self.resolved: dict[str, Node] = {}
        self.pending: list[str] = []

    def substitute(self, node: Node) -> Node:
        """The node with all references replaced. Marks stay those of the place where the reference is written."""
        match node:
            case ListNode():
                items = [self.substitute(item) for item in node.items]
                return self._bounded(ListNode(items, node.mark, 1 + sum(item.size for item in items)))
            case MapNode():
                entries = {key: self.substitute(value) for key, value in node.entries.items()}
                size = 1 + sum(1 + value.size for value in entries.values())
                return self._bounded(MapNode(entries, node.marks.copy(), node.mark, size))
            case ScalarNode(value=str() as text) if "${" in text:
                return self._in_text(text, node.mark)
        return node

    def resolve_all(self) -> None:
        """Resolve every variable, so that errors in unused ones are found as well."""
        for name, node in self.nodes.items():
            self._value(name, node.mark)

    def _bounded(self, node: Node) -> Node:
        if node.size <= MAX_NODES:
            return node
        self.problems.add(node.mark, "", f"more than {MAX_NODES} values when its variables are followed")
        return Unknown(None, node.mark)

    def _in_text(self, text: str, mark: Mark) -> Node:
        if (match := REFERENCE.fullmatch(text)) and match[1] is not None:
            return _marked(self._value(match[1].strip(), mark), mark)
        parts, position = [], 0
        for match in REFERENCE.finditer(text):
            parts.append(text[position : match.start()])
            position = match.end()
            if match[0] == "$${":
                parts.append("${")
            elif match[1] is None:
                self.problems.add(
                    mark, "", f"'${{' without a closing brace in {text!r}; write '$${{' for the signs themselves"
                )
                return Unknown(None, mark)
            else:
                parts.append(self._text_of(match[1].strip(), mark))
        whole = "".join((*parts, text[position:]))
        if len(whole) > MAX_TEXT:
            self.problems.add(mark, "", f"more than {MAX_TEXT} characters when its variables are followed")
            return Unknown(None, mark)
        return ScalarNode(whole, mark)

    def _text_of(self, name: str, mark: Mark) -> str:
        value = self._value(name, mark)
        if not isinstance(value, ScalarNode):
            self.problems.add(mark, "", f"variable '{name}' is a list or mapping and cannot be part of a text")
            return ""
        match value.value:
            case None:
                return ""
            case bool():
                return "true" if value.value else "false"
        return str(value.value)

    def _value(self, name: str, mark: Mark) -> Node:
        if name in self.resolved:
            return self.resolved[name]
        if name not in self.nodes:
            what = f"unknown variable '{name}'" if NAME.fullmatch(name) else f"'${{{name}}}' names no variable"
            self.problems.add(mark, "", what + did_you_mean(name, self.nodes))
            return Unknown(None, mark)
        if name in self.pending:
            circle = " -> ".join((*self.pending[self.pending.index(name) :], name))
            self.problems.add(self.nodes[name].mark, f"vars.{name}", f"refers to itself: {circle}")
            return Unknown(None, mark)
        self.pending.append(name)
        value = self.resolved[name] = self.substitute(self.nodes[name])
        self.pending.pop()
        return value


class Unknown(ScalarNode):
    """The value of a variable that could not be found: reported already, and not to be reported again."""

    __slots__ = ()
