"""What was done to an image, by what, with which settings and from which files.

The vocabulary is that of the W3C PROV model: an *activity* (a step of a chain, the reading of a file)
uses *entities* (files, known by their checksum). Records are made by the framework around every step;
this module only knows their form and how they travel in a FITS table.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from astropy.table import Table


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file that was used: enough to find it again and to know that it is the same.

    Attributes
    ----------
    path : str
        Where it was.
    size : int
        Its length [byte].
    sha256 : str
        Checksum of its content, hexadecimal.
    role : str
        What it was used as: ``"image"``, ``"bias"``, ``"reference catalogue"`` …
    """

    path: str
    size: int
    sha256: str
    role: str = "image"


@dataclass(frozen=True, slots=True)
class Activity:
    """One step that an image went through.

    Attributes
    ----------
    step : str
        Name of the step in its chain.
    processor : str
        Registered name or dotted path of the processor; ``"read"`` for the reading of a file.
    version : str
        Distribution and version that the processor came from: ``"etendue 0.1.0"``.
    parameters : mapping
        All parameters, defaults included, as plain JSON data.
    inputs : tuple of InputFile
        Files that were used.
    started : str
        UTC, ISO 8601.
    seconds : float
        How long it took [s].
    outcome : {"done", "warned", "skipped"}
        ``warned``: the step failed, and the chain went on with the image as it was before.
        ``skipped``: the step's condition (`when`) did not hold.
    message : str
        Why it was warned or skipped.
    """

    step: str
    processor: str
    version: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[InputFile, ...] = ()
    started: str = ""
    seconds: float = 0.0
    outcome: str = "done"
    message: str = ""

    def summary(self) -> str:
        """One line for the HISTORY of a header, of at most 72 ASCII characters."""
        text = f"etendue: {self.step} ({self.version or self.processor}) {self.outcome}"
        if self.message:
            text += f": {self.message}"
        return text.encode("ascii", "replace").decode()[:72].replace("\n", " ")


COLUMNS = ("step", "processor", "version", "parameters", "inputs", "started", "seconds", "outcome", "message")


def to_table(activities: Sequence[Activity]) -> Table:
    """Activities as a table of one row each; parameters and inputs are JSON text."""
    rows = [
        (
            a.step,
            a.processor,
            a.version,
            json.dumps(dict(a.parameters)),
            json.dumps([[f.path, f.size, f.sha256, f.role] for f in a.inputs]),
            a.started,
            a.seconds,
            a.outcome,
            a.message.encode("ascii", "backslashreplace").decode(),
        )
        for a in activities
    ]
    return Table(rows=rows, names=COLUMNS) if rows else Table(names=COLUMNS)


def from_table(table: Table) -> tuple[Activity, ...]:
    """The activities that :func:`to_table` wrote.

    Raises
    ------
    ValueError
        The table has other columns, or its JSON is damaged.
    """
    if missing := [name for name in COLUMNS if name not in table.colnames]:
        raise ValueError(f"the provenance table lacks the columns {', '.join(missing)}")
    return tuple(
        Activity(
            step=str(row["step"]),
            processor=str(row["processor"]),
            version=str(row["version"]),
            parameters=json.loads(str(row["parameters"])),
            inputs=tuple(InputFile(*entry) for entry in json.loads(str(row["inputs"]))),
            started=str(row["started"]),
            seconds=float(row["seconds"]),
            outcome=str(row["outcome"]),
            message=str(row["message"]),
        )
        for row in table
    )
