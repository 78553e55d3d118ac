"""Masters that wait for a person: how they compare with the last ones, how both look, and what was decided."""

import os
from pathlib import Path
from typing import Any, Literal

from ....images import ImageError, TransientError
from ....images.display import encode, picture
from ....processors.calibration.library import CalibrationLibrary, MasterEntry, Status, read_entry, set_status
from ...night.checking import checked_master
from ..shapes import MasterComparison
from .opened import open_image
from .pictures import bounded_scale, rendered


def master_comparison(*, library: str, name: str, job: int) -> dict[str, bytes]:
    """A master against the last accepted one of its kind: :class:`MasterComparison`.

    Parameters
    ----------
    library : str
        Folder of masters.
    name : str
        File in it.
    job : int
        That has built it.
    """
    folder = Path(library)
    base = content_of(folder / name)
    found = checked_master(CalibrationLibrary(folder), _entry(folder, name))
    last = found["compared_with"]
    answer = MasterComparison(
        job=job,
        name=name,
        kind=found["kind"],
        status=found["status"],
        compared_with=None if last is None else _below(Path(last), folder),
        passed=found["passed"],
        reasons=found["reasons"],
        figures=found["figures"],
        base=base,
    )
    return {"json": answer.model_dump_json().encode()}


def master_picture(
    *, library: str, name: str, which: Literal["new", "last"] = "new", size: int = 600
) -> dict[str, Any]:
    """A picture of a master, or of the last one of its kind; both have the same levels, so that they can be compared.

    Parameters
    ----------
    library, name : str
        Folder of masters, and file in it.
    which : {"new", "last"}
        The master itself, or what it is compared with.
    size : int
        Longer side of the picture [px].

    Raises
    ------
    ImageError
        There is no other master of its kind.
    """
    folder = Path(library)
    entry = _entry(folder, name)
    last = CalibrationLibrary(folder).last_like(entry)
    if which == "last" and last is None:
        raise ImageError(f"{name} is the first of its kind")
    both = [open_image(str(one.path)) for one in (entry, last) if one is not None]
    cuts = [one.cut("data", "linear") for one in both]
    black, white = min(low for low, _ in cuts), max(high for _, high in cuts)
    image = both[0 if which == "new" else 1]
    rows, columns = image.shown().shape[-2:]
    scale = bounded_scale(None, size, max(rows, columns))
    region = (0, 0, columns, rows)
    array = rendered(image, "data", region, scale, lambda part: picture(part, vmin=black, vmax=white))
    return {"content": encode(array, "png"), "type": "image/png"}


def judge_master(*, library: str, name: str, status: Status, because: str, base: str = "") -> dict[str, Any]:
    """Say whether a candidate may be used, as ``etendue masters accept`` does.

    Parameters
    ----------
    library, name : str
        Folder of masters, and file in it.
    status : {"accepted", "rejected"}
        What it shall be.
    because : str
        Who says so, and why.
    base : str
        ``base`` of the comparison that was looked at; empty: whatever the file holds now.

    Returns
    -------
    dict
        ``status`` of the file now; ``refused``: why nothing was changed, empty if it was.

    Raises
    ------
    TransientError
        The library cannot be written to.
    """
    path = Path(library) / name
    if base and base != content_of(path):
        return {"status": _entry(Path(library), name).status, "refused": "it has changed meanwhile; look at it again"}
    now = _entry(Path(library), name).status
    if now != "candidate":
        return {"status": now, "refused": f"it is {now} already"}
    try:
        set_status(path, status, because)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise TransientError(f"{path} cannot be written: {error.strerror or error}") from error
    return {"status": status, "refused": ""}


def content_of(path: Path) -> str:
    """What identifies the content of a file, as long as nobody sets times back."""
    found = path.stat()
    return f"{found.st_size}-{found.st_mtime_ns}-{found.st_ino}"


def _entry(folder: Path, name: str) -> MasterEntry:
    entry = read_entry(folder / name)
    if entry.kind is None:
        raise ImageError(f"{name} is no master any more: {entry.problems.get('') or 'its header does not say so'}")
    return entry


def _below(path: Path, folder: Path) -> str:
    whole = Path(os.path.abspath(folder))  # noqa: PTH100 - as the library calls its files, whatever is a link
    return str(path.relative_to(whole)) if path.is_relative_to(whole) else path.name
