"""What a run leaves behind: the images, what became of each, and where the time went."""

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import overload

from astropy.table import Table

from ...images import Image, ImageError
from ..pipeline import Pipeline
from .one_image import holds_pixels
from .outcome import Outcome


@dataclass(frozen=True, slots=True)
class Run:
    """The facts of a run.

    Attributes
    ----------
    pipeline : Pipeline
        The chain.
    output : Path
        Where products went.
    total : int
        Number of images that were asked for.
    seconds : float
        How long it took [s].
    workers : int
        Number of processes; 1 means that the images were taken through the chain in this process.
    interrupted : bool
        It was stopped before all images had been started.
    warnings : tuple of str
        What went wrong with the run itself, and not with an image.
    """

    pipeline: Pipeline
    output: Path
    total: int
    seconds: float
    workers: int = 1
    interrupted: bool = False
    warnings: tuple[str, ...] = ()


class Results(Sequence[Image]):
    """The images that came out of a chain, in the order of the input, each read when it is asked for.

    An image is read from the last of its products that holds pixels; without one, from the copy that a run
    started in Python keeps as long as these results live.

    Attributes
    ----------
    outcomes : list of Outcome
        What became of each input that was started, in the order of the input.
    run : Run
        The facts of the run.
    """

    def __init__(self, outcomes: Sequence[Outcome], run: Run, temporary: TemporaryDirectory[str] | None = None) -> None:
        self.outcomes = list(outcomes)
        self.run = run
        self._temporary = temporary  # removed together with the results

    def __len__(self) -> int:
        return len(self.done)

    @overload
    def __getitem__(self, index: int) -> Image: ...

    @overload
    def __getitem__(self, index: slice) -> list[Image]: ...

    def __getitem__(self, index: int | slice) -> Image | list[Image]:
        if isinstance(index, slice):
            return [image_of(outcome) for outcome in self.done[index]]
        return image_of(self.done[index])

    def __iter__(self) -> Iterator[Image]:
        return map(image_of, self.done)

    @property
    def done(self) -> list[Outcome]:
        """Images that came out of the chain, in this run or (when it resumed one) in an earlier one."""
        return [outcome for outcome in self.outcomes if outcome.succeeded]

    @property
    def failed(self) -> list[Outcome]:
        """Images that failed, each with its step and reason."""
        return [outcome for outcome in self.outcomes if outcome.status == "failed"]

    @property
    def dropped(self) -> list[Outcome]:
        """Images that ended on the way, which is fine."""
        return [outcome for outcome in self.outcomes if outcome.status == "dropped"]

    @property
    def resumed(self) -> list[Outcome]:
        """Images that an earlier run had done."""
        return [outcome for outcome in self.outcomes if outcome.status == "resumed"]

    @property
    def seconds(self) -> float:
        """How long the run took [s]."""
        return self.run.seconds

    @property
    def interrupted(self) -> bool:
        """Whether the run was stopped before all images had been started."""
        return self.run.interrupted

    def name_of(self, outcome: Outcome) -> str:
        """What a person calls an image: the name of its file, with the folders where another one has the same."""
        return shown(outcome.path) if self._namesakes[outcome.path.name] > 1 else outcome.path.name

    @cached_property
    def _namesakes(self) -> Counter[str]:
        return Counter(outcome.path.name for outcome in self.outcomes)

    def summary(self) -> str:
        """What a person needs after a run: how many, how long, where, and each failure with its step and reason."""
        counts = [f"{len(self.done)} done"]
        if warned := sum(any(how == "warned" for _, _, how in outcome.timings) for outcome in self.done):
            counts[0] += f" ({warned} with warnings)"
        if self.resumed:
            counts[0] += f" ({len(self.resumed)} by an earlier run)"
        if self.dropped:
            counts.append(f"{len(self.dropped)} ended on the way")
        if self.failed:
            counts.append(f"{len(self.failed)} failed")
        where = f" -> {shown(self.run.output)}/" if any(outcome.products for outcome in self.outcomes) else ""
        lines = [f"{', '.join(counts)} in {spell(self.seconds)}{where}"]
        lines += [f"  {self.name_of(outcome)}  {reason(outcome)}" for outcome in self.failed]
        lines += [f"  {self.name_of(outcome)}  {note}" for outcome in self.outcomes for note in outcome.notes]
        lines += [f"  {warning}" for warning in self.run.warnings]
        if self.interrupted:
            left = self.run.total - len(self.outcomes)
            lines.append(f"Interrupted: {left} of {self.run.total} images were not taken; run again with resume")
        return "\n".join(lines)

    def step_times(self) -> Table:
        """Where the time went.

        Returns
        -------
        Table
            One row a step in the order of the chain: ``step``, ``images`` it ran on, ``seconds`` in all,
            ``median`` and ``slowest`` for one image [s]. Steps inside others are named ``Outer/Inner``, and their
            time is part of the outer one's. Steps that were passed over are not counted.
        """
        times: dict[str, list[float]] = {}
        for outcome in self.outcomes:
            if outcome.status != "resumed":
                for step, seconds, how in outcome.timings:
                    times.setdefault(step, [])
                    if how != "skipped":
                        times[step].append(seconds)
        rows = [
            (step, len(all_), sum(all_), statistics.median(all_) if all_ else 0.0, max(all_, default=0.0))
            for step, all_ in _outer_first(times).items()
        ]
        columns = ("step", "images", "seconds", "median", "slowest")
        table = Table(rows=rows, names=columns) if rows else Table(names=columns, dtype=(str, int, float, float, float))
        for column in columns[2:]:
            table[column].unit = "s"
        return table

    def write_report(self, path: str | Path) -> Path:
        """Write the report of the run: one HTML file, see :func:`etendue.pipeline.report.write_report`."""
        from ..report import write_report

        return write_report(self, path)

    def __repr__(self) -> str:
        return f"<Results: {self.summary().splitlines()[0]}>"


def image_of(outcome: Outcome) -> Image:
    """The image that came out of the chain.

    Raises
    ------
    ImageError
        It is in no file.
    """
    kept = () if outcome.kept is None else (outcome.kept,)
    for candidate in (*reversed(outcome.products), *kept):
        if holds_pixels(candidate):
            image = Image.from_file(candidate)
            if candidate == outcome.kept:
                image.name = outcome.path.name
            return image
    raise ImageError(
        f"{outcome.path.name}: the chain saves no image; add the step Save, or run it with keep=True to keep a copy"
    )


def reason(outcome: Outcome) -> str:
    """Step and cause of a failure, as one line."""
    return f"{outcome.step}: {cause(outcome)}" if outcome.step else cause(outcome)


def cause(outcome: Outcome) -> str:
    """Why an image failed, without the name of its file, which stands beside it."""
    return outcome.error.removeprefix(f"image {outcome.path.name}: ").removeprefix(f"{outcome.path}: ")


def spell(seconds: float) -> str:
    """A time as people read it: ``12 ms``, ``3.9 s``, ``4 min 10 s``, ``2 h 05 min``."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def shown(path: Path) -> str:
    """A path as a person would type it: relative to the current folder if it lies below it."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def _outer_first(times: dict[str, list[float]]) -> dict[str, list[float]]:
    """Steps in the order of the chain. A composite step is recorded after its inner ones; it is shown before them."""
    ordered: dict[str, list[float]] = {}
    for step in times:
        parts = step.split("/")
        for depth in range(1, len(parts) + 1):
            outer = "/".join(parts[:depth])
            if outer in times:
                ordered.setdefault(outer, times[outer])
    return ordered
