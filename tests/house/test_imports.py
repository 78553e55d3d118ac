"""Imports point one way, pipeline -> processors -> images, and never in a circle. Nothing dangerous is imported."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = "etendue"
ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("images", "processors", "pipeline")
ALL_ROOMS = (*ROOMS, "configs")

UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
UNSAFE_CALLS = {"eval", "exec", "yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load", "os.system"}


@dataclass(frozen=True)
class Import:
    """One import of one of our own modules."""

    source: str
    target: str
    path: Path
    line: int
    at_start: bool
    """Whether it runs when the module is imported (not in a function, not for type checkers only)."""


def modules(root: Path, rooms: tuple[str, ...]) -> dict[str, Path]:
    """Dotted names of all modules of the rooms, and of the root package, with their files."""
    found = {}
    for room in (*rooms, PACKAGE):
        base = PACKAGE if room == PACKAGE else f"{PACKAGE}.{room}"
        for path in sorted((root / room).rglob("*.py")):
            parts = path.relative_to(root / room).with_suffix("").parts
            found[".".join((base, *(part for part in parts if part != "__init__")))] = path
    return found


def imports(name: str, path: Path, known: Mapping[str, Path]) -> Iterator[Import]:
    """All imports of known modules in one module, wherever they stand."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node, at_start in _nodes(ast.parse(path.read_text(), str(path)), at_start=True):
        for target in _targets(node, package, known):
            yield Import(name, target, path, getattr(node, "lineno", 0), at_start)


def all_imports(root: Path, rooms: tuple[str, ...]) -> list[Import]:
    """All imports of our own modules in the tree."""
    known = modules(root, rooms)
    return [found for name, path in known.items() for found in imports(name, path, known)]


def backward(found: list[Import], rooms: tuple[str, ...]) -> list[str]:
    """Imports from a lower room to a higher one; `rooms` stand lowest first. Type-checking imports count too."""
    rank = {room: height for height, room in enumerate(rooms)}
    top = len(rooms)
    return [
        f"{i.path}:{i.line}: {i.source} imports {i.target}"
        for i in found
        if i.target != PACKAGE and rank.get(_room(i.source), top) < rank.get(_room(i.target), top)
    ]


def cycle(found: list[Import]) -> list[str]:
    """One cycle among the imports that run at start, as the modules along it; empty if there is none."""
    graph = TopologicalSorter[str]()
    for i in found:
        if i.at_start and i.source != i.target:
            graph.add(i.source, i.target)
    try:
        graph.prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def _room(module: str) -> str:
    return module.removeprefix(f"{PACKAGE}.").partition(".")[0]


def _nodes(node: ast.AST, *, at_start: bool) -> Iterator[tuple[ast.AST, bool]]:
    for child in ast.iter_child_nodes(node):
        yield child, at_start
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for statement in child.body:
                yield statement, False
                yield from _nodes(statement, at_start=False)
            for statement in child.orelse:
                yield statement, at_start
                yield from _nodes(statement, at_start=at_start)
            continue
        inside_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from _nodes(child, at_start=at_start and not inside_function)


def _targets(node: ast.AST, package: str, known: Mapping[str, Path]) -> Iterator[str]:
    match node:
        case ast.Import():
            yield from (alias.name for alias in node.names if alias.name in known)
        case ast.ImportFrom():
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                above = parts[: len(parts) - node.level + 1]
                base = ".".join((*above, base) if base else above)
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                if inner in known:
                    yield inner
                elif base in known:
                    yield base
        case ast.Call(func=function, args=[ast.Constant(value=str(name)), *_]):
            if ast.unparse(function).endswith("import_module") and name in known:
                yield name


def tree(folder: Path, files: dict[str, str]) -> Path:
    for room in (*ALL_ROOMS, "etendue"):
        (folder / room).mkdir()
        (folder / room / "__init__.py").touch()
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_imports_point_one_way():
    assert backward(all_imports(ROOT, ALL_ROOMS), ROOMS) == []


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_has_no_import_cycle(room):
    found = all_imports(ROOT, ALL_ROOMS)
    inside = f"etendue.{room}"
    assert cycle([i for i in found if i.source.startswith(inside) and i.target.startswith(inside)]) == []


@pytest.mark.parametrize(
    "line",
    [
        "from ..pipeline import Pipeline",
        "import etendue.pipeline.pipeline",
        "from etendue.pipeline.pipeline import Pipeline",
        "def f():\n    from ..pipeline.pipeline import Pipeline",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..pipeline import Pipeline",
        "import importlib\nimportlib.import_module('etendue.pipeline.pipeline')",
    ],
)
def test_an_import_that_points_back_is_caught(tmp_path, line):
    root = tree(tmp_path, {"processors/a.py": line, "pipeline/pipeline.py": "from ..processors import a"})

    (problem,) = backward(all_imports(root, ALL_ROOMS), ROOMS)

    assert "processors/a.py" in problem
    assert "etendue.processors.a imports etendue.pipeline" in problem


def test_a_cycle_is_caught(tmp_path):
    files = {
        "images/a.py": "from .b import x",
        "images/b.py": "from . import c",
        "images/c.py": "from ..images import a",
    }
    found = all_imports(tree(tmp_path, files), ALL_ROOMS)

    around = cycle(found)

    assert set(around) == {"etendue.images.a", "etendue.images.b", "etendue.images.c"}


def test_a_module_that_needs_its_own_package_is_a_cycle(tmp_path):
    files = {"images/__init__.py": "from .a import x", "images/a.py": "from . import y"}
    assert cycle(all_imports(tree(tmp_path, files), ALL_ROOMS))


@pytest.mark.parametrize(
    "line",
    [
        "def f():\n    from .a import x",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .a import x",
    ],
)
def test_an_import_that_does_not_run_at_start_makes_no_cycle(tmp_path, line):
    root = tree(tmp_path, {"images/a.py": "from .b import x", "images/b.py": line})
    assert cycle(all_imports(root, ALL_ROOMS)) == []


def unsafe(path: Path) -> list[str]:
    problems = []
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        match node:
            case ast.Import():
                names = [alias.name for alias in node.names if alias.name.partition(".")[0] in UNSAFE_MODULES]
            case ast.ImportFrom(module=str(module)):
                names = [module] if module.partition(".")[0] in UNSAFE_MODULES else []
            case ast.Call():
                names = [ast.unparse(node.func)] if ast.unparse(node.func) in UNSAFE_CALLS else []
            case ast.keyword(arg="allow_pickle", value=ast.Constant(value=True)):
                names = ["allow_pickle=True"]
        problems.extend(f"{path}:{getattr(node, 'lineno', 0)}: {name}" for name in names)
    return problems


def test_nothing_that_runs_foreign_code_is_used():
    files = [path for room in (*ALL_ROOMS, "etendue") for path in (ROOT / room).rglob("*.py")]
    assert [problem for path in files for problem in unsafe(path)] == []


@pytest.mark.parametrize(
    "line", ["import pickle", "from joblib import load", "eval('1')", "yaml.load(x)", "np.load(f, allow_pickle=True)"]
)
def test_what_runs_foreign_code_is_caught(tmp_path, line):
    (tmp_path / "a.py").write_text(line)
    assert unsafe(tmp_path / "a.py")
