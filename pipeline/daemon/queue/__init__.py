"""The queue: a table of jobs that survives whatever happens to those who work on them."""

import importlib
from typing import TYPE_CHECKING, Any

from .job import OPEN_STATES, Attempt, Job, JobKind, JobState, NewJob, Order, Piece, Product, is_pruned

if TYPE_CHECKING:
    from .errors import (
        LostLease,
        NameTaken,
        QueueBusyError,
        QueueError,
        QueueStorageError,
        UnknownDaemon,
        UnknownJob,
        UnknownProduct,
    )
    from .queue import JobQueue
    from .records import (
        Added,
        DaemonFacts,
        DaemonRow,
        Filter,
        Found,
        LeaseWatch,
        NightCount,
        OutdatedProduct,
        Pause,
        Record,
        Recovered,
        Statistics,
        StepTime,
    )

__all__ = [
    "OPEN_STATES",
    "Added",
    "Attempt",
    "DaemonFacts",
    "DaemonRow",
    "Filter",
    "Found",
    "Job",
    "JobKind",
    "JobQueue",
    "JobState",
    "LeaseWatch",
    "LostLease",
    "NameTaken",
    "NewJob",
    "NightCount",
    "Order",
    "OutdatedProduct",
    "Pause",
    "Piece",
    "Product",
    "QueueBusyError",
    "QueueError",
    "QueueStorageError",
    "Record",
    "Recovered",
    "Statistics",
    "StepTime",
    "UnknownDaemon",
    "UnknownJob",
    "UnknownProduct",
    "is_pruned",
]

IMPORTED_WHEN_ASKED_FOR = {
    ".errors": (
        "LostLease", "NameTaken", "QueueBusyError", "QueueError", "QueueStorageError", "UnknownDaemon", "UnknownJob",
        "UnknownProduct",
    ),
    ".queue": ("JobQueue",),
    ".records": (
        "Added", "DaemonFacts", "DaemonRow", "Filter", "Found", "LeaseWatch", "NightCount", "OutdatedProduct", "Pause",
        "Record", "Recovered", "Statistics", "StepTime",
    ),
}  # fmt: skip
"""Settings need to know what a job is, and no database."""


def __getattr__(name: str) -> Any:
    for module, names in IMPORTED_WHEN_ASKED_FOR.items():
        if name in names:
            return getattr(importlib.import_module(module, __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
