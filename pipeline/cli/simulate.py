"""`simulate`: frames of a sky whose truth is known."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup


class FieldByDefault(TyperGroup):
    """``simulate DIR`` is ``simulate field DIR``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help"):
            args = ["field", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=FieldByDefault, no_args_is_help=True, rich_markup_mode="markdown")


@app.callback()
def simulate() -> None:
    """Simulate a field or a whole raw night whose truth is known; `simulate DIR` is `simulate field DIR`."""


@app.command()
def field(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where frames and truth go; made if not there.")],
    frames: Annotated[int, typer.Option("--frames", "-n", min=1, help="How many frames.")] = 5,
    size: Annotated[int, typer.Option("--size", min=32, max=16384, help="Side of a frame [px].")] = 1024,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same frames.")] = 1,
) -> None:
    """Simulate frames of one field of stars and galaxies, with the true catalogue beside each."""
    from ...processors.simulation import write_fields
    from .run import prepare_output
    from .terminal import plural

    prepare_output(folder, option="")
    written = write_fields(folder, frames, shape=(size, size), seed=seed)
    typer.echo(f"{plural(len(written), 'frame')} of {size} × {size} px -> {folder}")
    typer.echo(f"Next: etendue run photometry {folder} -o reduced/ --report")


@app.command()
def night(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where frames and truth go; made if not there.")],
    frames: Annotated[int, typer.Option("--frames", "-n", min=1, help="How many science frames.")] = 40,
    size: Annotated[int, typer.Option("--size", min=64, max=16384, help="Side of a frame [px].")] = 1024,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same frames.")] = 1,
) -> None:
    """Simulate the raw frames of a night: biases, darks, flats, and a field with a variable star and a transit."""
    from ...processors.simulation import simulate_night
    from ..errors import ConfigError
    from .run import prepare_output
    from .terminal import console, plural, progress_console

    prepare_output(folder, option="")
    progress = progress_console(console())
    try:
        with progress.status("simulating a night …") as status:
            written = simulate_night(
                folder, seed, frames, size, on_frame=lambda path: status.update(f"simulating a night … {path.name}")
            )
    except ValueError as error:
        raise ConfigError(f"--frames {frames}: {error}") from error
    except FileExistsError as error:
        raise ConfigError(str(error)) from error
    typer.echo(f"{plural(len(written), 'raw frame')} of {size} × {size} px, {frames} of them science -> {folder}")
    typer.echo(f"Truth: {folder / 'truth'}")
