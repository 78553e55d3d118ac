"""The programs and chains on the pages (README, user guide) do what the pages say."""

import ast
import asyncio
import builtins
import inspect
import re
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

from etendue.pipeline import ConfigError, parse_pipeline

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(
    r"(?P<note><!--[^>]*-->\n)?^(?P<fence>`{3,})(?P<language>python|yaml)\n(?P<text>.*?)^(?P=fence)$", re.M | re.S
)


def blocks(page: Path, language: str) -> list[tuple[int, str]]:
    """First line number and text of each fenced block that is not marked as not run."""
    content = page.read_text()
    return [
        (content.count("\n", 0, found.start("text")) + 1, found["text"])
        for found in FENCE.finditer(content)
        if found["language"] == language and "not run" not in (found["note"] or "")
    ]


def execute(text: str, line: int, page: Path, names: dict[str, Any]) -> None:
    """Run a block that may await at its top level, with the page's line numbers in tracebacks."""
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    program = compile("\n" * (line - 1) + text, str(page), "exec", flags=flags, dont_inherit=True)
    result = FunctionType(program, names)()
    if inspect.iscoroutine(result):
        asyncio.run(result)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.name)
def test_python_on_the_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "page", "__builtins__": builtins}
    for line, text in blocks(page, "python"):
        execute(text, line, page, names)


CHAINS = [
    pytest.param(text, id=f"{page.name}:{line}")
    for page in PAGES
    for line, text in blocks(page, "yaml")
    if re.search(r"^steps:", text, re.M)
]


@pytest.mark.parametrize("text", CHAINS)
def test_chain_on_the_page_is_valid(text):
    assert parse_pipeline(text).steps


def test_the_message_on_the_front_page_is_the_real_one():
    readme = ROOT / "README.md"
    ((_, chain),) = blocks(readme, "yaml")

    with pytest.raises(ConfigError) as caught:
        parse_pipeline(chain.replace("threshold: $", "treshold: $"), filename="field.yaml")

    assert f"`{caught.value}`" in readme.read_text()
