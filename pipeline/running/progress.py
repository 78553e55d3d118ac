"""How a run shows its progress: a bar on a terminal, plain lines elsewhere."""

from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from .outcome import Event, Outcome
from .results import reason, spell

STOPPING = "Stopping: what runs is finished first; Ctrl-C again ends it"
QUIET = 10.0
"""Seconds between two lines that say how far a run is."""


def progress_reporter(console: Console | None = None) -> Callable[[Event], None]:
    """A listener for a run (``on_event``) that shows how far it is.

    On a terminal it is a bar that disappears at the end. Elsewhere it is a line every ten seconds, with one for each
    failure since; a shorter run has its summary only.

    Parameters
    ----------
    console : rich.console.Console
        Where to show it; standard error by default.
    """
    console = console or Console(stderr=True)
    return _Bar(console) if console.is_terminal else _Lines(console)


class _Bar:
    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("reduced", total=None)

    def __call__(self, event: Event) -> None:
        failed = f"  [red]{event.failed} failed[/red]" if event.failed else ""
        self._progress.update(
            self._task, total=event.total, completed=event.done + event.failed, description="reduced" + failed
        )
        match event.kind:
            case "started":
                self._progress.start()
            case "stopping":
                self._progress.console.print(STOPPING)
            case "finished":
                self._progress.stop()


class _Lines:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._told = 0.0
        self._failures: list[Text] = []

    def __call__(self, event: Event) -> None:
        if event.kind == "stopping":
            self._print(Text(STOPPING))
        if event.kind != "image":
            return
        taken = event.done + event.failed
        if event.outcome is not None and event.outcome.status == "failed":
            self._failures.append(_failure(event.outcome))
        if event.seconds - self._told >= QUIET and taken < event.total:  # after the last image comes the summary
            self._told = event.seconds
            for line in self._failures:
                self._print(line)
            self._failures.clear()
            self._print(Text(f"{event.name or 'chain'}: {taken}/{event.total} in {spell(event.seconds)}"))

    def _print(self, line: Text) -> None:
        self._console.print(line, highlight=False, soft_wrap=True)


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("")
        return Text(f"{speed:.1f} images/s" if speed >= 1 else f"{60 * speed:.1f} images/min")


def _failure(outcome: Outcome) -> Text:
    return Text.assemble("  ", (outcome.path.name, "bold"), f"  {reason(outcome)}")
