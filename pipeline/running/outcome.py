"""What became of one image, and what is told while a run goes on."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from .causes import Cause

Status = Literal["done", "failed", "dropped", "resumed"]

LONGEST_TRACEBACK = 20_000
"""Characters kept of a traceback; its end, where the cause stands, is kept."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one image.

    Attributes
    ----------
    path : Path
        The input file; for an image that was never in a file, its name.
    status : {"done", "failed", "dropped", "resumed"}
        ``dropped``: the image ended on the way, and that is fine. ``resumed``: an earlier run had done it.
    products : tuple of Path
        Files that were written, in order.
    step : str
        The step that failed or ended the image.
    error : str
        One line: why it failed or ended.
    traceback : str
        Where in the code it failed, for whoever repairs it.
    seconds : float
        From the start of reading to the last product [s].
    timings : tuple of (str, float, str)
        Step, seconds [s] and outcome of each step, in order; the first one is ``read``.
    facts : mapping
        Small numbers about the image: ``background`` (median of its pixels before the first step), ``n_sources`` and
        ``fwhm`` (median of the final catalogue [px]) …, and what its header says.
    notes : tuple of str
        What else a person should know, for example that a worker process died in the first attempt.
    kept : Path or None
        A copy of the final image in the run's temporary folder, if there is one.
    cause : str
        What kind of failure it was; see :data:`~etendue.pipeline.running.causes.Cause`. Empty if it did not fail.
    log : str
        What the steps logged and printed, where somebody keeps it (the daemon does).
    checksum : str
        SHA-256 of the input file, hexadecimal; empty if it was not read to its end.
    """

    path: Path
    status: Status
    products: tuple[Path, ...] = ()
    step: str = ""
    error: str = ""
    traceback: str = ""
    seconds: float = 0.0
    timings: tuple[tuple[str, float, str], ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    kept: Path | None = None
    cause: Cause = ""
    log: str = ""
    checksum: str = ""

    @property
    def succeeded(self) -> bool:
        """Whether the image came out of the chain, in this run or in an earlier one."""
        return self.status in ("done", "resumed")

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data; :meth:`from_json` makes the same outcome of it."""
        plain = asdict(self)
        plain["path"] = str(self.path)
        plain["products"] = [str(product) for product in self.products]
        plain["traceback"] = self.traceback[-LONGEST_TRACEBACK:]
        plain["kept"] = None if self.kept is None else str(self.kept)
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """The outcome that :meth:`to_json` described.

        Raises
        ------
        ValueError
            The data are not those of an outcome.
        """
        try:
            return cls(
                path=Path(plain["path"]),
                status=plain["status"],
                products=tuple(Path(product) for product in plain["products"]),
                step=str(plain["step"]),
                error=str(plain["error"]),
                traceback=str(plain["traceback"]),
                seconds=float(plain["seconds"]),
                timings=tuple((str(step), float(seconds), str(how)) for step, seconds, how in plain["timings"]),
                facts=dict(plain["facts"]),
                notes=tuple(str(note) for note in plain["notes"]),
                kept=None if plain["kept"] is None else Path(plain["kept"]),
                cause=plain.get("cause", ""),
                log=str(plain.get("log", "")),
                checksum=str(plain.get("checksum", "")),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"this is not the record of an outcome: {error!r}") from error


@dataclass(frozen=True, slots=True)
class Event:
    """What a run tells while it goes on.

    Attributes
    ----------
    kind : {"started", "image", "stopping", "finished"}
        One ``started``, one ``image`` for each image that came to an end, one ``finished``; ``stopping`` when a person
        has asked for the end, and the images that run are finished first.
    outcome : Outcome or None
        Of an ``image`` event.
    done, failed, total : int
        Images so far: came to an end without failure, failed, and all of the run.
    seconds : float
        Since the start of the run [s].
    name : str
        Of the chain.
    """

    kind: Literal["started", "image", "stopping", "finished"]
    outcome: Outcome | None
    done: int
    failed: int
    total: int
    seconds: float = 0.0
    name: str = ""
