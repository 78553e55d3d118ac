"""A night reduced: frames sorted, masters built, the science chain run, and a report."""

import importlib
from typing import TYPE_CHECKING, Any

from .settings import NightSettings

if TYPE_CHECKING:
    from .reduce import NightResults, reduce_night
    from .sorting import SortedNight, sort_night

__all__ = ["NightResults", "NightSettings", "SortedNight", "reduce_night", "sort_night"]

IMPORTED_WHEN_ASKED_FOR = {".reduce": ("NightResults", "reduce_night"), ".sorting": ("SortedNight", "sort_night")}
"""Every chain knows the settings of a night; what reduces one is imported by who does."""


def __getattr__(name: str) -> Any:
    for module, names in IMPORTED_WHEN_ASKED_FOR.items():
        if name in names:
            return getattr(importlib.import_module(module, __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
