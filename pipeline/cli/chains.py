"""`validate`, `graph`, `schema`: look at chains without running them."""

from pathlib import Path
from typing import Annotated

import typer

from .arguments import ChainArgument, ImportOption, JsonOption, SetOption, VarOption, import_processors, load_chain
from .terminal import plural, print_json


def validate(
    pipelines: Annotated[list[str], typer.Argument(metavar="PIPELINE", help="YAML files, or built-in chains.")],
    settings: SetOption = [],  # noqa: B006 - typer copies defaults
    variables: VarOption = [],  # noqa: B006
    as_json: JsonOption = False,
) -> None:
    """Check chains: keys, values, and that each step finds what it reads.

    All problems are listed, one line each: file:line:column: step: what is wrong.
    """
    from ..errors import ConfigError

    problems: dict[str, list[str]] = {}
    for chain in pipelines:
        try:
            pipeline = load_chain(chain, settings, variables)
        except ConfigError as error:
            problems[chain] = str(error).splitlines()
            if not as_json:
                typer.echo(str(error), err=True)
            continue
        problems[chain] = []
        if not as_json:
            typer.echo(f"{chain}: {plural(len(pipeline.steps), 'step')}, no problems")
    if as_json:
        print_json({"valid": not any(problems.values()), "problems": problems})
    if any(problems.values()):
        raise typer.Exit(2)


def graph(
    pipeline: ChainArgument,
    settings: SetOption = [],  # noqa: B006
    variables: VarOption = [],  # noqa: B006
    mermaid: Annotated[bool, typer.Option("--mermaid", help="As a Mermaid diagram, for Markdown pages.")] = False,
) -> None:
    """Draw a chain: its steps, and the parameters that differ from their defaults."""
    from ..graph import to_mermaid, to_text

    chain = load_chain(pipeline, settings, variables)
    typer.echo((to_mermaid if mermaid else to_text)(chain).rstrip("\n"))


def schema(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it to a file instead of stdout.")
    ] = None,
    modules: ImportOption = [],  # noqa: B006
) -> None:
    """Print the JSON Schema of chains, from which editors complete and check YAML.

    Put `# yaml-language-server: $schema=etendue.schema.json` on the first line of a chain. Processors of a module
    that is not installed are included with --import mysteps, as `class: mysteps.Invert`.
    """
    import json

    from ..config import json_schema

    text = json.dumps(json_schema(more=import_processors(modules)), indent=2, ensure_ascii=False) + "\n"
    if output is None:
        typer.echo(text, nl=False)
        return
    from ...images.io.atomic import atomic_write
    from ..errors import ConfigError

    try:
        with atomic_write(output) as file:
            file.write(text.encode())
    except OSError as error:
        raise ConfigError(f"-o {output}: the schema cannot be written there: {error.strerror or error}") from error
    typer.echo(
        f"{output}: the schema of chains. First line of a chain beside it:\n"
        f"# yaml-language-server: $schema={output.name}"
    )
