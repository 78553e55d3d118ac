"""`queue`: look at the jobs of a daemon and decide about them, whether it runs or not."""

import typer

from .changing import drop, pause, requeue, resume, retry
from .looking import check, export, list_, show
from .outdated import outdated

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")


@app.callback()
def queue() -> None:
    """The jobs of a daemon, running or stopped: list them, look into one, try again, drop, pause.

    The queue is named by the configuration of the daemon (`observatory.yaml`), or by the address of its database
    (`sqlite:////data/state/queue.db`, `postgresql://…`). What is changed here a running daemon notices within a second.
    """


app.command("list")(list_)
for _command in (show, retry, drop, requeue, pause, resume, outdated, export, check):
    app.command()(_command)

__all__ = ["app"]
