"""What the daemon lets other processes compute: functions by name. Nothing else can be called."""

from typing import Any

from ...running.causes import Cause
from ...web.clerk import FUNCTIONS as OF_THE_PAGE

FUNCTIONS = {
    "load_chain": "etendue.pipeline.daemon.chains:load_chain",
    "inspect": "etendue.pipeline.daemon.sources.inspect:inspect_files",
    "build_masters": "etendue.pipeline.daemon.nights.building:build_masters",
    "chain_needs": "etendue.pipeline.daemon.nights.library:chain_needs",
    "masters_at_hand": "etendue.pipeline.daemon.nights.library:masters_at_hand",
    "statuses": "etendue.pipeline.daemon.nights.library:statuses",
    **OF_THE_PAGE,
}
"""Names, and ``module:function``. A function gets keyword arguments that are JSON data, and returns such data; in a
dictionary, values may also be bytes."""


class CallError(Exception):
    """A function that was called in another process did not give a result.

    Attributes
    ----------
    kind : str
        Class of the error that it raised: ``ImageError``, ``KeyError`` …
    cause : str
        What kind of failure it was; see :data:`~etendue.pipeline.running.causes.Cause`.
    traceback : str
        Where in the code it was raised.
    """

    def __init__(self, message: str, *, kind: str = "", cause: Cause = "other", traceback: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.cause: Cause = cause
        self.traceback = traceback


def result_of(answer: dict[str, Any]) -> Any:
    """What a function returned, from the answer of a worker.

    Raises
    ------
    CallError
        It raised an error instead.
    """
    error = answer.get("error")
    if error is None:
        return answer["result"]
    raise CallError(error["message"], kind=error["kind"], cause=error["cause"], traceback=error["traceback"])
