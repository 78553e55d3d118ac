"""The calibration library: which master frames there are, and which one belongs to a frame."""

from .entry import Kind, MasterEntry, Status, read_entry
from .keys import DEFAULT_KEYS, LibraryError
from .library import CalibrationLibrary, Explanation, Match, master_name, set_status
from .matching import NoMatchError
from .words import days

__all__ = [
    "DEFAULT_KEYS",
    "CalibrationLibrary",
    "Explanation",
    "Kind",
    "LibraryError",
    "MasterEntry",
    "Match",
    "NoMatchError",
    "Status",
    "days",
    "master_name",
    "read_entry",
    "set_status",
]
