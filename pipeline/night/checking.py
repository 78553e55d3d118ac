"""A master of the library against the last one of its kind, as it is looked at by a person."""

from typing import Any

from ...images import Image
from ...processors.calibration.library import CalibrationLibrary, MasterEntry
from ...processors.combination.comparison import compare_masters


def checked_master(shelf: CalibrationLibrary, entry: MasterEntry) -> dict[str, Any]:
    """The comparison of a master with the last accepted one of its kind.

    Parameters
    ----------
    shelf : CalibrationLibrary
        Where the last one is.
    entry : MasterEntry
        The master.

    Returns
    -------
    dict
        JSON data: ``path, kind, status, compared_with`` (path, or None), ``passed, reasons, figures``.

    Raises
    ------
    ImageError
        One of both files is damaged.
    FileNotFoundError
        The master has gone.
    """
    last = shelf.last_like(entry)
    comparison = compare_masters(Image.from_file(entry.path), None if last is None else Image.from_file(last.path))
    return {
        "path": str(entry.path),
        "kind": entry.kind,
        "status": entry.status,
        "compared_with": None if last is None else str(last.path),
        "passed": comparison.passed,
        "reasons": [comparison.summary()],
        "figures": dict(comparison.figures),
    }
