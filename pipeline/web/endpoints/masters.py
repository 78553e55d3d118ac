"""Masters that wait for a person: how they compare with the last ones, and what that person says."""

import logging
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from ...daemon.queue import Job, JobKind
from ..routes import Asked, Route, ask_clerk, json_text
from ..security import ANSWER_POLICY
from ..service import Refused
from ..shapes import MasterComparison, MasterDecision, MasterStatus
from ..shapes.masters import FileName
from ..summaries import shown

log = logging.getLogger(__name__)


class MasterQuery(BaseModel):
    """Which master to tell about."""

    model_config = ConfigDict(extra="forbid")

    name: FileName = Field(description="its file in the library")


class MasterPictureQuery(MasterQuery):
    """Which master to show."""

    which: Literal["new", "last"] = Field("new", description="the master, or the last accepted one of its kind")
    size: int = Field(600, ge=1, le=2400, description="longer side of the picture")


async def show_comparison(asked: Asked) -> Response:
    """A master against the last accepted one of its kind, as `etendue masters check` does it."""
    job, master = await _master(asked, asked.query.name)
    return json_text(await ask_clerk(asked, "master_comparison", {**_place(asked, master), "job": job.id}))


async def show_master(asked: Asked) -> Response:
    """A picture of a master, or of the last one of its kind. Both have the same levels."""
    _, master = await _master(asked, asked.query.name)
    arguments = {**_place(asked, master), "which": asked.query.which, "size": asked.query.size}
    made = await asked.service.page_clerk.call("master_picture", arguments)
    headers = {"Content-Security-Policy": ANSWER_POLICY, "Cache-Control": "no-store"}
    return Response(made["content"], headers=headers, media_type=made["type"])


async def accept_master(asked: Asked) -> MasterStatus:
    """Allow a candidate to be used, as `etendue masters accept` does. Frames that wait for it go on."""
    return await _judge(asked, "accepted")


async def reject_master(asked: Asked) -> MasterStatus:
    """Forbid a candidate to be used, as `etendue masters reject` does. The file remains."""
    return await _judge(asked, "rejected")


async def _judge(asked: Asked, status: Literal["accepted", "rejected"]) -> MasterStatus:
    """The file is changed first: whoever ends in between leaves the rest to the keeper of the nights."""
    from ...daemon.nights.decisions import note_decisions

    service, body = asked.service, asked.body
    job, master = await _master(asked, body.name)
    because = f"by {asked.visitor.name}{f': {body.reason}' if body.reason else ''}"
    arguments = {**_place(asked, master), "status": status, "because": because, "base": body.base}
    found = await service.page_clerk.call("judge_master", arguments)
    if found["status"] != "candidate":
        await service.change(note_decisions, service.queue, job.id, {master["name"]: found["status"]})
    if found["status"] != status:
        raise Refused(409, f"{shown(master['name'])} cannot be {status}: {found['refused']}")
    log.info("master %s: %s %s", master["name"], status, because, extra={"job": job.id})
    return MasterStatus(name=shown(master["name"]), status=status)


async def _master(asked: Asked, name: str) -> tuple[Job, Mapping[str, Any]]:
    """A master that a job has built: nothing else in the library, or beside it, can be named."""
    number = asked.path["id"]
    job = await asked.service.db(asked.service.queue.get, number)
    known = job.facts.get("nights", {}).get("masters", ()) if job.kind is JobKind.MASTERS else ()
    found = next((master for master in known if master["name"] == name), None)
    if found is None:
        raise Refused(404, f"job {number} has built no master '{shown(name)[:200]}'")
    return job, found


def _place(asked: Asked, master: Mapping[str, Any]) -> dict[str, Any]:
    nights = asked.service.settings.nights
    if nights is None:
        raise Refused(404, "there is no section nights in the configuration, and so no library of masters")
    return {"library": str(nights.library), "name": master["name"]}


ROUTES = (
    Route(
        method="GET",
        path="/api/jobs/{id:int}/masters/comparison",
        endpoint=show_comparison,
        answer=MasterComparison,
        query=MasterQuery,
    ),
    Route(
        method="GET",
        path="/api/jobs/{id:int}/masters/picture",
        endpoint=show_master,
        answer="image/png",
        query=MasterPictureQuery,
    ),
    *(
        Route(
            method="POST",
            path=f"/api/jobs/{{id:int}}/masters/{word}",
            endpoint=endpoint,
            answer=MasterStatus,
            body=MasterDecision,
            right="change",
            errors=(404, 409),
        )
        for word, endpoint in (("accept", accept_master), ("reject", reject_master))
    ),
)
