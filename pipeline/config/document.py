"""A chain file with its includes and variables, as one tree."""

import os
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from .layout import inner_lists, step_patterns
from .nodes import ListNode, MapNode, Mark, Node, ScalarNode, SyntaxProblem, from_plain, read_tree
from .problems import Problems, did_you_mean
from .variables import Unknown, Variables, value_node

TOP_KEYS = ("name", "description", "vars", "keywords", "include", "read", "expects", "night", "steps")
SUFFIXES = (".yaml", ".yml")
MAX_INCLUDES = 200
MERGED = ("keywords", "read")


def builtin_chains() -> dict[str, Path]:
    """The chains that come with the package: name -> file."""
    folder = Path(str(files("etendue.configs")))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find_chain(name: str | Path, base: Path | None = None) -> Path:
    """The file of a chain: a path (from `base`), or the name of a built-in one.

    Raises
    ------
    FileNotFoundError
        There is neither; the message says what there is.
    """
    path = Path(name).expanduser() if base is None else base / Path(name).expanduser()
    if path.is_file():
        return path
    chains = builtin_chains()
    if str(name) in chains:
        return chains[str(name)]
    if path.is_dir():
        raise FileNotFoundError(f"'{path}' is a folder, not a chain file")
    if Path(name).suffix in SUFFIXES or len(Path(name).parts) > 1:
        raise FileNotFoundError(f"there is no file '{path}'")
    raise FileNotFoundError(f"there is no chain '{name}'{did_you_mean(str(name), chains)}")


def read_chain(path: Path, mark: Mark) -> Node:
    """The tree of a chain file.

    Raises
    ------
    SyntaxProblem
        The file cannot be read, or is no YAML.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SyntaxProblem(Mark(str(path)), f"is not a text file in UTF-8 (byte {error.start})") from None
    except OSError as error:
        raise SyntaxProblem(mark, f"cannot read {path}: {error.strerror or error}") from None
    return read_tree(text, str(path))


class Document:
    """Puts a chain together from its files.

    Parameters
    ----------
    variables : mapping
        Values that win over those of the files; text is read as YAML.
    problems : Problems
        Where problems are noted.
    within : Path
        Folder in which included files must lie; built-in chains may always be included. By default, anywhere.
    """

    def __init__(self, variables: Mapping[str, Any], problems: Problems, *, within: Path | None = None) -> None:
        self.problems = problems
        self.within = within
        self.opened = 0
        self.files: list[Path] = []
        self.known: dict[str, Mark] = {}
        self.given: dict[str, Node] = {}
        for name, value in variables.items():
            origin = f"--var {name}"
            try:
                self.given[name] = (
                    value_node(value, origin) if isinstance(value, str) else from_plain(value, Mark(origin))
                )
            except SyntaxProblem as problem:
                problems.add(Mark(origin), "", problem.message)

    def whole(self, root: Node, base: Path, opened: tuple[Path, ...] = ()) -> MapNode:
        """The complete tree of a file: includes merged, step lists spliced, variables replaced."""
        tree, _ = self._resolved(root, base, self.given, opened)
        for name in self.given:
            if name not in self.known:
                self.problems.add(
                    Mark(f"--var {name}"), "", f"unknown variable '{name}'{did_you_mean(name, self.known)}"
                )
        return tree

    def _resolved(
        self, root: Node, base: Path, outer: Mapping[str, Node], opened: tuple[Path, ...]
    ) -> tuple[MapNode, dict[str, Node]]:
        """One file, seen from a file that includes it with the variables `outer`; and the variables it knows."""
        root = self._checked_root(root)
        own = self._own_variables(root)
        visible = {**own, **outer}
        included: list[MapNode] = []
        inherited: dict[str, Node] = {}
        for name in self._include_names(root, visible):
            tree, variables = self._included(name, base, visible, opened)
            included.append(tree)
            inherited |= variables
        visible = {**inherited, **visible}
        variables = Variables(visible, self.problems)
        variables.resolve_all()
        made = MapNode({}, {}, root.mark)
        for key, node in root.entries.items():
            if key not in ("vars", "include"):
                made.set(key, variables.substitute(node), root.marks[key])
        if isinstance(steps := made.entries.get("steps"), ListNode):
            self._splice(steps, base, visible, opened)
        _merge(made, included)
        return made, visible

    def _checked_root(self, root: Node) -> MapNode:
        if not isinstance(root, MapNode):
            what = "the file is empty" if isinstance(root, ScalarNode) and root.value is None else "this is no chain"
            hint = "write 'steps:' above the list" if isinstance(root, ListNode) else "a chain begins with 'steps:'"
            self.problems.add(root.mark, "", f"{what}; {hint}")
            # An empty list of steps, so that 'steps' is not reported as missing as well.
            return MapNode({"steps": Unknown(None, root.mark)}, {"steps": root.mark}, root.mark)
        made = MapNode({}, {}, root.mark)
        for key, node in root.entries.items():
            if key in TOP_KEYS:
                made.set(key, node, root.marks[key])
            else:
                self.problems.add(root.marks[key], "", f"unknown key '{key}'{did_you_mean(key, TOP_KEYS)}")
        return made

    def _own_variables(self, root: MapNode) -> dict[str, Node]:
        node = root.entries.get("vars")
        if node is None or (isinstance(node, ScalarNode) and node.value is None):
            return {}
        if not isinstance(node, MapNode):
            self.problems.add(node.mark, "vars", "must be a mapping of names to values")
            return {}
        self.known |= node.marks
        return node.entries

    def _include_names(self, root: MapNode, visible: Mapping[str, Node]) -> list[ScalarNode]:
        node = root.entries.get("include")
        if node is None:
            return []
        node = Variables(visible, self.problems).substitute(node)
        return [name for item in (node.items if isinstance(node, ListNode) else [node]) if (name := self._name(item))]

    def _name(self, node: Node) -> ScalarNode | None:
        if isinstance(node, Unknown):
            return None
        if isinstance(node, ScalarNode) and isinstance(node.value, str) and node.value.strip():
            return node
        self.problems.add(node.mark, "include", "must be the name of a file, or of a built-in chain")
        return None

    def _included(
        self, name: ScalarNode, base: Path, visible: Mapping[str, Node], opened: tuple[Path, ...]
    ) -> tuple[MapNode, dict[str, Node]]:
        steps = ListNode([Unknown(None, name.mark)], name.mark)
        nothing = MapNode({"steps": steps}, {"steps": name.mark}, name.mark)
        self.opened += 1
        try:
            if self.opened > MAX_INCLUDES:
                raise SyntaxProblem(name.mark, f"more than {MAX_INCLUDES} files are included")
            self._check_within(name, base)
            path = find_chain(name.value, base)
            identity = path.resolve()
            if identity in opened:
                circle = " -> ".join(each.name for each in (*opened[opened.index(identity) :], identity))
                raise SyntaxProblem(name.mark, f"the files include each other: {circle}")
            self.files.append(path)
            root = read_chain(path, name.mark)
        except FileNotFoundError as error:
            self.problems.add(name.mark, "include", str(error))
            return nothing, {}
        except SyntaxProblem as problem:
            self.problems.add(problem.mark, "", problem.message)
            return nothing, {}
        return self._resolved(root, path.parent, visible, (*opened, identity))

    def _check_within(self, name: ScalarNode, base: Path) -> None:
        """Refuse a file outside the folder before anything tells whether it exists."""
        if self.within is None:
            return
        allowed = [self.within, self.within.resolve(), *{path.parent for path in builtin_chains().values()}]
        wanted = Path(os.path.normpath(base / Path(name.value).expanduser()))
        if not all(any(map(path.is_relative_to, allowed)) for path in (wanted, wanted.resolve())):
            raise SyntaxProblem(name.mark, f"'{name.value}' lies outside the folder of the chain")

    def _splice(self, steps: ListNode, base: Path, visible: Mapping[str, Node], opened: tuple[Path, ...]) -> None:
        """Put the steps of included files in the place of ``- include: file``, also in chains within steps."""
        made: list[Node] = []
        for item in steps.items:
            if not isinstance(item, MapNode) or "include" not in item.entries or "class" in item.entries:
                for inner in inner_lists(item, step_patterns(item)):
                    self._splice(inner, base, visible, opened)
                made.append(item)
                continue
            for key in item.entries.keys() - {"include"}:
                self.problems.add(item.marks[key], "include", f"'{key}' has no meaning beside include")
            if name := self._name(item.entries["include"]):
                tree, _ = self._included(name, base, visible, opened)
                inner = tree.entries.get("steps")
                made.extend(inner.items if isinstance(inner, ListNode) else [])
        steps.items = made


def _merge(tree: MapNode, included: list[MapNode]) -> None:
    """Steps of included files come first; of everything else what the file says itself wins."""
    for other in reversed(included):
        for key, node in other.entries.items():
            own = tree.entries.get(key)
            if own is None:
                tree.set(key, node, other.marks[key])
            elif key == "steps" and isinstance(own, ListNode) and isinstance(node, ListNode):
                tree.set(key, ListNode([*node.items, *own.items], own.mark), tree.marks[key])
            elif key in MERGED and isinstance(own, MapNode) and isinstance(node, MapNode):
                both = MapNode({**node.entries, **own.entries}, {**node.marks, **own.marks}, own.mark)
                tree.set(key, both, tree.marks[key])
