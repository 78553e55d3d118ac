"""What the header and the provenance of a master say."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ....images.header import Header
from ....images.io import file_checksum
from ....images.keywords import header_value
from ....images.provenance import Activity

NOT_OF_A_MASTER = (
    "CHECKSUM", "DATASUM", "FILENAME", "ORIGFILE", "FNAME", "SATURATE", "DATE-END", "DATE-BEG", "DATE-AVG", "OBJECT",
    "NCOMBINE", "NREJECT",
)  # fmt: skip
"""Cards of the first raw frame that say something about it alone."""

Inputs = Sequence[tuple[str, Sequence[Path]]]


def mean_time(headers: Sequence[Header]) -> datetime | None:
    """Mean of the times of observation; None if one is not known."""
    times = [header_value(header, "observation_time") for header in headers]
    known = [time for time in times if time is not None]
    if not known or len(known) < len(times):
        return None
    return datetime.fromtimestamp(sum(time.timestamp() for time in known) / len(known), tz=UTC)


def master_header(first: Header, kind: str, count: int, time: datetime | None, *, unit: str = "adu") -> Header:
    """Header of a master: that of its first frame, and what it is.

    Parameters
    ----------
    first : Header
        Header of the first prepared frame.
    kind : str
        "master bias", "master dark", "master flat", or "bad pixels".
    count : int
        Number of frames.
    time : datetime
        Mean time of the frames.
    unit : str
        Unit of the pixels.
    """
    header = Header(first, copy=True)
    for key in NOT_OF_A_MASTER:
        header.remove(key, ignore_missing=True, remove_all=True)
    header["IMAGETYP"] = (kind, "kind of frame")
    header["NCOMBINE"] = (count, "number of frames combined")
    header["MSTATUS"] = ("candidate", "used only when accepted")
    if unit == "1":
        header["BUNIT"] = ("1", "no unit: normalised")
    else:
        header["BUNIT"] = (unit, "unit of the pixels")
    if time is not None:
        header["DATE-OBS"] = (time.replace(tzinfo=None).isoformat(timespec="milliseconds"), "[UTC] mean of the frames")
        if "TIMESYS" in header:
            header["TIMESYS"] = "UTC"
        if "MJD-OBS" in header:
            epoch = datetime(1858, 11, 17, tzinfo=UTC)
            header["MJD-OBS"] = ((time - epoch).total_seconds() / 86400, "[d] mean of the frames")
    return header


def master_record(function: str, parameters: Mapping[str, Any], inputs: Inputs) -> Activity:
    """The activity that made a master, with the checksums of all files that went into it.

    Parameters
    ----------
    function : str
        The function of this package that makes it: ``"master_bias"``.
    parameters : mapping
        Its parameters.
    inputs : sequence of (str, paths)
        What files were used as, and which.

    Raises
    ------
    OSError
        A file is no longer there.
    """
    files = tuple(file_checksum(path, role=role) for role, paths in inputs for path in paths)
    return Activity(
        "".join(word.capitalize() for word in function.split("_")),
        f"etendue.processors.combination.{function}",
        f"etendue {version('etendue')}",
        {key: value for key, value in parameters.items() if value is not None},
        files,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
    )
