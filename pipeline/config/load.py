"""Load a chain file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..pipeline import Pipeline
from .build import Builder
from .document import Document, find_chain, read_chain
from .nodes import Mark, Node, SyntaxProblem, read_tree
from .overrides import Overrides, apply_overrides
from .problems import Problems


def load_pipeline(
    path_or_name: str | Path,
    *,
    variables: Mapping[str, Any] | None = None,
    overrides: Overrides = (),
    check: bool = True,
) -> Pipeline:
    """The pipeline of a chain file, or a built-in one by its name.

    Parameters
    ----------
    path_or_name : str or Path
        A YAML file, or a name from :func:`builtin_chains`. A file goes before a built-in chain of that name.
    variables : mapping
        Values for the file's ``vars``; text is read as YAML, so that ``"3"`` is a number.
    overrides : iterable of str, or mapping
        ``"steps.SepSourceDetection.threshold=3"``, or ``{"steps.SepSourceDetection.threshold": 3}``.
    check : bool
        Whether contracts between steps are checked, too.

    Raises
    ------
    ConfigError
        With all problems, one line each: ``file:line:column: where: what``. Nothing has been run.
    """
    try:
        path = find_chain(path_or_name)
        root = read_chain(path, Mark(str(path_or_name)))
    except FileNotFoundError as error:
        raise ConfigError(str(error)) from None
    except SyntaxProblem as problem:
        raise ConfigError(f"{problem.mark}: {problem.message}") from None
    return _assemble(root, path.parent, (path.resolve(),), variables, overrides, check)


def chain_files(path_or_name: str | Path) -> list[Path]:
    """The file of a chain, and all files that it includes; those of them that can be read.

    Raises
    ------
    FileNotFoundError
        There is no such chain.
    """
    path = find_chain(path_or_name)
    document = Document({}, Problems())
    try:
        document.whole(read_chain(path, Mark(str(path))), path.parent, (path.resolve(),))
    except SyntaxProblem:
        return [path]
    return [path, *document.files]


def parse_pipeline(
    text: str,
    *,
    filename: str = "<text>",
    variables: Mapping[str, Any] | None = None,
    overrides: Overrides = (),
    check: bool = True,
    base: Path | None = None,
) -> Pipeline:
    """The pipeline of a YAML text; see :func:`load_pipeline`.

    Parameters
    ----------
    text : str
        The chain.
    filename : str
        What messages call it.
    base : Path
        Folder that included files are searched in; the current one by default.

    Raises
    ------
    ConfigError
        With all problems, one line each.
    """
    try:
        root = read_tree(text, filename)
    except SyntaxProblem as problem:
        raise ConfigError(f"{problem.mark}: {problem.message}") from None
    return _assemble(root, base or Path(), (), variables, overrides, check)


def _assemble(
    root: Node,
    base: Path,
    opened: tuple[Path, ...],
    variables: Mapping[str, Any] | None,
    overrides: Overrides,
    check: bool,
) -> Pipeline:
    problems = Problems()
    tree = Document(variables or {}, problems).whole(root, base, opened)
    apply_overrides(tree, overrides, problems)
    pipeline = Builder(problems).pipeline(tree, check=check)
    problems.raise_if_any()
    return pipeline
