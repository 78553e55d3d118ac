"""The command `etendue`: its commands, what its errors look like, its exit codes."""

import os
import sys
import warnings
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from . import chains, demo, files, masters, new, processors, reduce, run, simulate
from .daemon import queue, serve

UsageError: Any = typer.BadParameter.__bases__[0]
"""What typer raises for wrong arguments; newer versions of it carry their own copy of click."""

DEBUG = "--debug"


class Commands(TyperGroup):
    """Errors of the user are sentences on stderr and exit code 2; Ctrl-C is 130. ``--debug`` shows the traceback."""

    def main(self, args: Any = None, *arguments: Any, standalone_mode: bool = True, **options: Any) -> Any:
        given = list(sys.argv[1:] if args is None else args)
        wanted = [argument for argument in given if argument != DEBUG]
        options["prog_name"] = "etendue"
        if not standalone_mode or len(wanted) < len(given):
            return super().main(wanted, *arguments, standalone_mode=standalone_mode, **options)
        sys.exit(self._exit_code(wanted, *arguments, **options))

    def _exit_code(self, *arguments: Any, **options: Any) -> int:
        try:
            code = super().main(*arguments, standalone_mode=False, **options)
            sys.stdout.flush()
        except UsageError as error:
            if type(error).__name__ == "NoArgsIsHelpError":  # it has printed the help of the group
                return 2
            return _complain(_usage(error))
        except BrokenPipeError:
            # The reader has gone (`etendue processors | head`); the interpreter must not flush into it at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        except FileNotFoundError as error:
            return _complain(f"{error.filename}: there is no such file or folder" if error.filename else str(error))
        except OSError as error:
            return _complain(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        except (KeyboardInterrupt, typer.Abort):
            return 130
        except Exception as error:
            if not _is_for_the_user(error):
                raise
            return _complain(str(error))
        return code if isinstance(code, int) else 0


def _is_for_the_user(error: Exception) -> bool:
    """Whether the error is a sentence for the user; anything else is a defect of ours and keeps its traceback."""
    from ...images import EtendueError
    from ...processors import UnknownProcessorError

    return isinstance(error, EtendueError | UnknownProcessorError)


def _complain(message: str) -> int:
    print(message, file=sys.stderr)
    return 2


def _usage(error: Any) -> str:
    """One line: which command, what is wrong with it, where its help is."""
    command = error.ctx.command_path if error.ctx is not None else "etendue"
    message = " ".join(error.format_message().replace("Value error, ", "").split()).rstrip(".")
    return f"{command}: {message[:1].lower()}{message[1:]} ({command} --help tells more)"


app = typer.Typer(
    name="etendue",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 all done, 1 some images failed, 2 wrong configuration or arguments, 130 stopped by Ctrl-C. "
    "--debug, anywhere on the line, shows the traceback of an error.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"etendue {version('etendue')}")
        raise typer.Exit


@app.callback()
def etendue(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Images from telescopes and microscopes, from the raw frame to the classified catalogue."""


RUNNING = "Running"
DAEMON = "Day and night"
CHAINS = "Chains and processors"
IMAGES = "Images"
STARTING = "To begin with"

app.command("demo", rich_help_panel=STARTING)(demo.demo)
app.add_typer(simulate.app, name="simulate", rich_help_panel=STARTING)
app.add_typer(new.app, name="new", rich_help_panel=STARTING)
app.command("run", rich_help_panel=RUNNING)(run.run)
app.command("reduce", rich_help_panel=RUNNING)(reduce.reduce)
app.command("replay", rich_help_panel=RUNNING)(run.replay)
app.add_typer(masters.app, name="masters", rich_help_panel=RUNNING)
app.command("serve", rich_help_panel=DAEMON)(serve.serve)
app.command("reload", rich_help_panel=DAEMON)(serve.reload)
app.add_typer(queue.app, name="queue", rich_help_panel=DAEMON)
app.command("token", rich_help_panel=DAEMON)(serve.token)
app.command("validate", rich_help_panel=CHAINS)(chains.validate)
app.command("graph", rich_help_panel=CHAINS)(chains.graph)
app.command("schema", rich_help_panel=CHAINS)(chains.schema)
app.command("processors", rich_help_panel=CHAINS)(processors.processors)
app.command("info", rich_help_panel=IMAGES)(files.info)
app.command("show", rich_help_panel=IMAGES)(files.show)


def main() -> None:
    """Run the command line and exit."""
    warnings.filterwarnings("ignore", module=r"astropy\.")  # odd headers are the rule; what matters becomes an error
    warnings.showwarning = _print_warning
    app()


def _print_warning(message: Warning | str, *_: Any) -> None:
    print(f"warning: {message}", file=sys.stderr)
