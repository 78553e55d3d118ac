"""Look at a chain that somebody has written on the page, without trusting it.

It may name registered processors only: the path of a module would be imported, and that runs its code. It may include
built-in chains and files of its own folder only: what is wrong with a file is told, and with it what stands there.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from ....processors import processors
from ...config.build import Builder
from ...config.document import Document
from ...config.nodes import ListNode, MapNode, Mark, Node, ScalarNode, SyntaxProblem, read_tree
from ...config.overrides import apply_overrides
from ...config.problems import Problems
from ...config.schema import json_schema
from ...config.variables import Unknown
from ...pipeline import Pipeline
from ...running.shipping import unpack
from ..shapes import ConfigProblem, Processors, Shape, Validation
from .drawing import drawn, processor_info

NAME = "chain"


def validate_chain(
    *,
    text: str,
    folder: str | None = None,
    variables: Mapping[str, Any] | None = None,
    overrides: Sequence[str] = (),
) -> dict[str, bytes]:
    """What is wrong with a text, and how the chain would look: :class:`Validation`.

    Parameters
    ----------
    text : str
        The chain.
    folder : str or None
        Of its file, in which it may include others; None: it may include built-in chains only.
    variables, overrides
        With which the daemon uses it.
    """
    pipeline, problems = checked(
        text, folder=None if folder is None else Path(folder), variables=variables or {}, overrides=overrides
    )
    drawing = None if problems else drawn(pipeline)
    return _json(Validation(valid=not problems, problems=problems, drawing=drawing))


def _json(answer: Shape) -> dict[str, bytes]:
    return {"json": answer.model_dump_json().encode()}


def checked(
    text: str, *, folder: Path | None, variables: Mapping[str, Any], overrides: Sequence[str]
) -> tuple[Pipeline, list[ConfigProblem]]:
    """A chain, and what is wrong with it; with problems, the chain means nothing."""
    found = Problems()
    nowhere = Path("/nonexistent")
    try:
        root = read_tree(text, NAME)
    except SyntaxProblem as problem:
        return Pipeline(steps=()), [_problem(problem.mark, "", problem.message)]
    tree = Document(variables, found, within=folder or nowhere).whole(root, folder or nowhere)
    apply_overrides(tree, overrides, found)
    _refuse_paths(tree, found)
    builder = Builder(found)
    pipeline = builder.pipeline(tree)
    for index, step in enumerate(pipeline.steps):
        if not found.found and step.processor.sequential:
            mark, where = builder.places.get(("steps", index), (tree.mark, step.label))
            found.add(
                mark, where, "remembers earlier images; the daemon shares images among workers: use `etendue run`"
            )
    ordered = sorted(
        found.found, key=lambda problem: (problem.mark.file != NAME, problem.mark.line, problem.mark.column)
    )
    return pipeline, [_problem(one.mark, one.where, one.message) for one in ordered]


def _refuse_paths(tree: Node, problems: Problems) -> None:
    """Note each ``class:`` that is a path, and put nothing in its place, so that nothing is imported."""
    for node in _mappings(tree):
        named = node.entries.get("class")
        if isinstance(named, ScalarNode) and isinstance(named.value, str) and "." in named.value:
            message = f"'{named.value}' is the path of a module; on the page, chains name registered processors only"
            problems.add(named.mark, "class", message)
            node.entries["class"] = Unknown(None, named.mark)


def _mappings(node: Node) -> Iterator[MapNode]:
    match node:
        case MapNode():
            yield node
            for inner in node.entries.values():
                yield from _mappings(inner)
        case ListNode():
            for inner in node.items:
                yield from _mappings(inner)


def _problem(mark: Mark, where: str, message: str) -> ConfigProblem:
    return ConfigProblem(
        line=mark.line if mark.file == NAME else 0,
        column=mark.column if mark.file == NAME else 0,
        where=where,
        message=message if mark.file == NAME else f"{mark}: {message}",
        file="" if mark.file == NAME else mark.file,
    )


@lru_cache(maxsize=64)
def draw_chain(*, pipeline: str) -> dict[str, bytes]:
    """The drawing of a chain in use, from its JSON, as workers get it."""
    return _json(drawn(unpack(pipeline)))


@cache
def list_processors() -> dict[str, bytes]:
    """All registered processors: :class:`Processors`."""
    return _json(Processors(processors=[processor_info(name, processor) for name, processor in processors().items()]))


@cache
def chain_schema() -> dict[str, bytes]:
    """The JSON Schema of chains."""
    return {"json": json.dumps(json_schema()).encode()}
