"""Nights: masters, and how good the frames are."""

import re

from starlette.responses import Response

from ...daemon.queue import JobQueue
from ...daemon.settings import MastersSettings
from ..routes import Asked, Route, json_text
from ..service import Refused
from ..shapes import NightDetail, NightRow, Nights
from ..summaries import shown
from .jobs import NIGHT

MOST_NIGHTS = 400


async def list_nights(asked: Asked) -> Response:
    """The last nights, newest first."""
    return json_text(await asked.service.db(_nights, asked.service.queue))


def _nights(queue: JobQueue) -> str:
    """It runs in a thread of its own."""
    rows: dict[str, NightRow] = {}
    for found in queue.nights(MOST_NIGHTS):
        row = rows.setdefault(found.night, NightRow(night=found.night, instruments=[], counts={}, kinds={}))
        if found.instrument:
            row.instruments.append(shown(found.instrument))
        for state, number in found.states.items():
            row.counts[str(state)] = row.counts.get(str(state), 0) + number
        for kind, by_state in found.kinds.items():
            row.kinds[str(kind)] = row.kinds.get(str(kind), 0) + sum(by_state.values())
    return Nights(nights=[*rows.values()]).model_dump_json()


async def show_night(asked: Asked) -> Response:
    """One night: groups of calibration frames, masters, and the quality of each science frame."""
    night = asked.path["night"]
    if not re.fullmatch(NIGHT[1:-1], night):
        raise Refused(404, "a night is called like 2026-03-20")
    configured = asked.service.settings.nights
    masters = None if configured is None else configured.masters
    return json_text(await asked.service.db(_night, asked.service.queue, night, masters))


def _night(queue: JobQueue, night: str, masters: MastersSettings | None) -> str:
    from ...daemon.nights import night_summary

    return NightDetail.model_validate(night_summary(queue, night, masters)).model_dump_json()


ROUTES = (
    Route(method="GET", path="/api/nights", endpoint=list_nights, answer=Nights),
    Route(
        method="GET", path="/api/nights/{night}", endpoint=show_night, answer=NightDetail, parts={"night": "its date"}
    ),
)
