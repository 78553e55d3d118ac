"""What commands print on: colours and tables on a terminal, plain lines when piped."""

import json
import math
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

PIPED_WIDTH = 160
"""Columns of a table that does not go to a terminal [characters]; lines of text are never broken there."""


def console(*, stderr: bool = False) -> "Console":
    """A console that prints text as it is: file names may contain brackets. NO_COLOR and pipes are respected."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(
        stderr=stderr,
        markup=False,
        highlight=False,
        emoji=False,
        width=None if stream.isatty() else PIPED_WIDTH,
        soft_wrap=not stream.isatty(),
    )


def progress_console(out: "Console") -> "Console":
    """Where progress is shown: with everything else on a terminal, as log lines on stderr when that is piped."""
    return out if out.is_terminal else console(stderr=True)


def print_table(out: "Console", table: "Table") -> None:
    """Print a table; without the spaces that fill its last column where they are not seen."""
    with out.capture() as captured:
        out.print(table)
    for line in captured.get().splitlines():
        out.file.write(line.rstrip(" ") + "\n")


def print_json(value: Any) -> None:
    """One JSON document on stdout. NaN and infinities, which JSON does not have, become null."""
    text = json.dumps(_finite(value), indent=2, default=str, ensure_ascii=False)
    print(text.encode("utf-8", "backslashreplace").decode())  # names of files need not be text


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def number(value: Any, digits: int = 4) -> str:
    """A number for people; a dash for one that is not there."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def plural(count: int, noun: str) -> str:
    """``1 image``, ``2 images``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
