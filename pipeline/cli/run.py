"""`run` and `replay`: take images through a chain, and say what became of them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .arguments import (
    ChainArgument,
    JsonOption,
    SetOption,
    VarOption,
    byte_size,
    duration,
    know_local_modules,
    load_chain,
)
from .terminal import console, plural, print_json, progress_console

if TYPE_CHECKING:
    from rich.console import Console

    from ..running import Results

REPORT = "report.html"
NOTHING_WRITTEN = "Nothing was written: the chain has no step Save, SaveCatalog or SavePicture that did its work"

OutputOption = Annotated[
    Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where products go; made if it is not there.")
]


def run(
    pipeline: ChainArgument,
    images: Annotated[list[Path], typer.Argument(metavar="FILES|FOLDERS", help="Images, and folders of them.")],
    output: OutputOption,
    workers: Annotated[int, typer.Option("--workers", "-w", min=1, help="Worker processes.")] = 1,
    settings: SetOption = [],  # noqa: B006 - typer copies defaults
    variables: VarOption = [],  # noqa: B006
    resume: Annotated[bool, typer.Option("--resume", help="Leave out what an earlier run has done.")] = False,
    report: Annotated[bool, typer.Option("--report", help=f"Write an HTML report, FOLDER/{REPORT}.")] = False,
    report_to: Annotated[
        Path | None, typer.Option("--report-to", metavar="FILE", help="Write the HTML report to this file.")
    ] = None,
    memory: Annotated[
        str | None, typer.Option("--memory", metavar="SIZE", help="What all workers may use together: 4GB.")
    ] = None,
    timeout: Annotated[
        str | None, typer.Option("--timeout", metavar="TIME", help="Longest time for one image: 90 s, 5 min.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Take images through a chain.

    Raw input is never overwritten. Ctrl-C stops cleanly: running images are finished, and --resume goes on later.

    A chain may use processors of your own: `class: mysteps.Invert` finds mysteps.py beside the chain, or in the
    current folder.
    """
    from ..running import find_images, run_pipeline
    from ..running.progress import progress_reporter

    chain = load_chain(pipeline, settings, variables)
    budget = None if memory is None else byte_size(memory)
    limit = None if timeout is None else duration(timeout, "--timeout")
    paths = find_images(images, output=output, read=chain.read)
    prepare_output(output)
    page = report_to or (output / REPORT if report else None)
    if page is not None:
        prepare_page(page)

    out = console(stderr=as_json)
    name = chain.name or Path(pipeline).stem
    out.print(
        f"{name}: {plural(len(chain.steps), 'step')}, {plural(len(paths), 'image')}, {plural(workers, 'worker')}",
        soft_wrap=True,
    )
    results = run_pipeline(
        chain,
        paths,
        output=output,
        workers=workers,
        resume=resume,
        on_event=progress_reporter(progress_console(out)),
        memory=budget,
        timeout=limit,
    )
    finish(results, output, page, out, as_json=as_json)


def replay(
    product: Annotated[Path, typer.Argument(metavar="PRODUCT", help="A FITS file that Etendue wrote.")],
    output: OutputOption,
    source: Annotated[
        Path | None,
        typer.Option("--source", metavar="FILE", help="Where the raw image lies now, if it was moved; or its folder."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a product again: the same steps and parameters on the same raw image, as its provenance tells."""
    from ..running.replay import recipe_of
    from ..running.replay import replay as replay_product

    require_file(product)
    if source is not None and not source.is_dir():
        require_file(source)
    prepare_output(output)
    know_local_modules()
    recipe = recipe_of(product)
    out = console(stderr=as_json)
    out.print(f"{product.name}: {plural(len(recipe.steps), 'step')} again", soft_wrap=True)
    results = replay_product(product, output=output, source=source)
    finish(results, output, None, out, as_json=as_json)


def prepare_output(output: Path, option: str = "-o ") -> None:
    """Make the output folder, which `option` has given.

    Raises
    ------
    ConfigError
        It is a file, or cannot be made.
    """
    from ..errors import ConfigError

    if output.exists() and not output.is_dir():
        raise ConfigError(f"{option}{output}: this is a file; products go to a folder, choose another name")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{option}{output}: the folder cannot be made: {error.strerror or error}") from error


def prepare_page(page: Path) -> None:
    """Make the folder of a report before the run, not to lose it after.

    Raises
    ------
    ConfigError
        It is a folder, or its folder cannot be made.
    """
    from ..errors import ConfigError

    if page.is_dir():
        raise ConfigError(f"--report-to {page}: this is a folder; give a file, for example {page / REPORT}")
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--report-to {page}: its folder cannot be made: {error.strerror or error}") from error


def require_file(path: Path) -> None:
    """Refuse what is not there, or is a folder, with a sentence.

    Raises
    ------
    ConfigError
        There is no such file.
    """
    from ..errors import ConfigError

    if not path.exists():
        raise ConfigError(f"{path}: there is no such file")
    if path.is_dir():
        raise ConfigError(f"{path}: this is a folder; give one file")


def finish(results: "Results", output: Path, page: Path | None, out: "Console", *, as_json: bool) -> None:
    """Say what became of the images, write the report, and end with the exit code that tells how it went."""
    if not as_json:
        out.print(results.summary(), soft_wrap=True)
        if results.done and not any(outcome.products for outcome in results.outcomes):
            out.print(NOTHING_WRITTEN, soft_wrap=True)
    if page is not None:
        results.write_report(page)
        if not as_json:
            out.print(f"Report: {page}", soft_wrap=True)
    if as_json:
        print_json(results_as_json(results, output, page))
    if results.interrupted:
        raise typer.Exit(130)
    if results.failed:
        raise typer.Exit(1)


def results_as_json(results: "Results", output: Path, page: Path | None) -> dict[str, Any]:
    """The outcome of a run as plain data."""
    return {
        "done": len(results.done),
        "failed": len(results.failed),
        "dropped": len(results.dropped),
        "resumed": len(results.resumed),
        "seconds": results.seconds,
        "interrupted": results.interrupted,
        "output": str(output),
        "report": None if page is None else str(page),
        "images": [
            {
                "path": str(outcome.path),
                "status": outcome.status,
                "products": [str(product) for product in outcome.products],
                "step": outcome.step,
                "error": outcome.error,
                "seconds": outcome.seconds,
                "facts": dict(outcome.facts),
                "notes": list(outcome.notes),
            }
            for outcome in results.outcomes
        ],
    }
