"""`new`: the beginnings of something of your own."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")


@app.callback()
def new() -> None:
    """Make something of your own."""


@app.command()
def plugin(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the package, in lower case: remove_fringes.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where its folder is made.")
    ] = Path(),
) -> None:
    """Make a package with one processor, its test, and the entry point that announces it.

    It installs and runs as it is: the processor then appears in YAML, in `etendue processors`, and in the schema.
    """
    from .scaffold import class_name, write_plugin

    folder = write_plugin(name, output)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            typer.echo(f"  {path}")
    typer.echo(
        f"{folder}: a plugin with the processor {class_name(name)}. Next:\n"
        f"  pip install {folder}\n"
        f"  etendue processors {class_name(name)}"
    )
