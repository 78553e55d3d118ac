"""Jobs: lists, one of them, and what a person can do about them."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from ...daemon.queue import Filter, JobKind, JobQueue, JobState, is_pruned
from ..routes import Asked, Route, ask_clerk, json_text
from ..service import Refused
from ..shapes import Changed, Header, JobDetail, JobFilter, JobLog, JobPage, PauseRequest, Timing, Words
from ..summaries import attempt_info, outdated_info, product_info, shown, summary_fields, summary_of

LARGEST_PAGE = 200
NIGHT = r"^\d{4}-\d{2}-\d{2}$"


class JobsQuery(BaseModel):
    """Which jobs to list."""

    model_config = ConfigDict(extra="forbid")

    state: list[JobState] = Field([], description="one or several states; all by default")
    chain: Words | None = Field(None, description="name of the chain")
    source: Words | None = Field(None, description="name of the source")
    night: str | None = Field(None, pattern=NIGHT, description="2026-03-20")
    kind: JobKind | None = Field(None, description="what is done: image, tick, frame (calibration), masters")
    q: Words | None = Field(None, description="text in name, path, object or error")
    order: Literal["newest", "oldest"] = Field("newest", description="which come first")
    limit: int = Field(50, ge=1, le=LARGEST_PAGE, description="jobs on a page")
    before: int | None = Field(None, ge=0, le=2**63 - 1, description="`next` of the page before")


def _filter(asked: Any) -> Filter:
    """What the queue understands."""
    states = tuple(getattr(asked, "state", ()) or getattr(asked, "states", ()))
    return Filter(
        states=states, chain=asked.chain, source=asked.source, night=asked.night, kind=asked.kind, text=asked.q or ""
    )


async def list_jobs(asked: Asked) -> Response:
    """Jobs, page by page."""
    query = asked.query
    service = asked.service
    return json_text(await service.db(_page, service.queue, _filter(query), query.order, query.limit, query.before))


def _page(queue: JobQueue, wanted: Filter, order: Any, limit: int, before: int | None) -> str:
    """A page as JSON. It runs in a thread of its own, as making it takes a while."""
    found = queue.search(wanted, order=order, limit=limit, before=before)
    page = JobPage(jobs=[summary_of(job) for job in found.jobs], total=found.total, next=found.next)
    return page.model_dump_json()


async def show_job(asked: Asked) -> Response:
    """Everything about a job, but its log and the header of its file."""
    number = asked.path["id"]
    since, step = asked.service.running().get(number, (0.0, ""))
    return json_text(await asked.service.db(_detail, asked.service.queue, number, since, step))


def _detail(queue: JobQueue, number: int, since: float, step: str) -> str:
    job = queue.get(number)
    attempts = queue.attempts(number)
    return JobDetail(
        **summary_fields(job),
        key=job.key,
        priority=job.priority,
        destination=job.destination,
        generation=job.generation,
        mtime=job.mtime_ns / 1e9,
        memory=job.memory,
        interruptions=job.interruptions,
        daemon=str(job.owner or (attempts[-1].daemon if attempts else "")),
        deadline=job.deadline,
        fingerprint=job.fingerprint,
        traceback=shown(job.traceback),
        timings=[Timing(step=name, seconds=seconds, outcome=outcome) for name, seconds, outcome in job.timings],
        notes=[shown(note) for note in job.notes],
        facts=_plain(job.facts),
        payload=_plain(job.payload),
        attempts_made=[attempt_info(attempt) for attempt in attempts],
        products=[product_info(product) for product in queue.products(number)],
        outdated=[outdated_info(one) for one in queue.outdated(number)],
        pruned=is_pruned(job, attempts),
        running_since=since,
        running_step=step,
        has_log=bool(job.log) or any(attempt.log for attempt in attempts),
        chain_text=shown(queue.chain_text(job.fingerprint)[1]) if job.fingerprint else "",
    ).model_dump_json()


def _plain(facts: Any) -> Any:
    """JSON data that can be written as UTF-8."""
    match facts:
        case str():
            return shown(facts)
        case list() | tuple():
            return [_plain(item) for item in facts]
        case bool() | int() | float() | None:
            return facts
    return {shown(str(key)): _plain(value) for key, value in facts.items()}


async def show_log(asked: Asked) -> Response:
    """What the steps have said, in the last attempt and in earlier ones."""
    return json_text(await asked.service.db(_log, asked.service.queue, asked.path["id"]))


def _log(queue: JobQueue, number: int) -> str:
    job, attempts = queue.get(number), queue.attempts(number)
    logs = [shown(attempt.log) for attempt in attempts]
    last = shown(job.log) or (logs[-1] if logs else "")
    return JobLog(id=number, log=last, attempts=logs[:-1]).model_dump_json()


async def show_raw_header(asked: Asked) -> Response:
    """The header of the file that came in."""
    job = await asked.service.db(asked.service.queue.get, asked.path["id"])
    if job.path is None:
        raise Refused(404, "this job has no input file: its chain makes the image itself")
    arguments = {"path": str(job.path), "name": shown(job.label)}
    return json_text(await ask_clerk(asked, "image_header", arguments))


# --- what a person does -------------------------------------------------------------------------------------------


async def retry_job(asked: Asked) -> Changed:
    """Try a job again that has failed, was skipped or dropped."""
    return await _change_one(
        asked, asked.service.queue.retry, "only one that failed, was skipped or dropped can be retried"
    )


async def drop_job(asked: Asked) -> Changed:
    """Decide that nothing is to be done about a job that waits or has failed."""
    return await _change_one(
        asked, asked.service.queue.drop, "only one that waits, is queued or has failed can be dropped"
    )


async def requeue_job(asked: Asked) -> Changed:
    """Do again what is done; the new products replace the old ones."""
    service, number = asked.service, asked.path["id"]
    await service.db(service.queue.get, number)
    made = await service.change(service.queue.requeue, [number])
    if not made:
        raise Refused(409, f"job {number} cannot be done again now: only a job that has come to an end can")
    return Changed(changed=len(made), jobs=list(made))


async def _change_one(asked: Asked, change: Any, which: str) -> Changed:
    service, number = asked.service, asked.path["id"]
    job = await service.db(service.queue.get, number)
    if not await service.change(change, [number]):
        raise Refused(409, f"job {number} is {job.state}: {which}")
    return Changed(changed=1)


async def retry_jobs(asked: Asked) -> Changed:
    """Try all jobs of a filter again that have failed, were skipped or dropped."""
    return Changed(changed=await asked.service.change(asked.service.queue.retry, _chosen(asked.body)))


async def drop_jobs(asked: Asked) -> Changed:
    """Drop all jobs of a filter that wait, are queued or have failed."""
    return Changed(changed=await asked.service.change(asked.service.queue.drop, _chosen(asked.body)))


def _chosen(body: JobFilter) -> Any:
    """Numbers of jobs, or a filter; never everything by mistake."""
    if body.is_empty():
        raise Refused(422, "say which jobs: by numbers, states, chain, source, night, kind or text")
    if not body.ids:
        return _filter(body)
    if body.model_fields_set - {"ids"}:
        raise Refused(422, "give either numbers of jobs, or a filter")
    return body.ids


async def pause(asked: Asked) -> Changed:
    """Begin no more work: of one chain, or of all. What runs is finished."""
    chain = _known_chain(asked)
    service = asked.service
    await service.change(service.queue.pause, chain, asked.body.reason, asked.visitor.name)
    asked.board.outdate()
    return Changed(changed=1)


async def resume(asked: Asked) -> Changed:
    """Let work go on."""
    chain = _known_chain(asked)
    await asked.service.change(asked.service.queue.resume, chain)
    asked.board.outdate()
    return Changed(changed=1)


def _known_chain(asked: Asked) -> str | None:
    chain = asked.body.chain
    if chain is not None and chain not in asked.service.chains:
        raise Refused(404, f"there is no chain '{chain}'; there are {', '.join(asked.service.chains)}")
    return chain


ROUTES = (
    Route(method="GET", path="/api/jobs", endpoint=list_jobs, answer=JobPage, query=JobsQuery),
    Route(method="POST", path="/api/jobs/retry", endpoint=retry_jobs, answer=Changed, body=JobFilter, right="change"),
    Route(method="POST", path="/api/jobs/drop", endpoint=drop_jobs, answer=Changed, body=JobFilter, right="change"),
    Route(method="GET", path="/api/jobs/{id:int}", endpoint=show_job, answer=JobDetail),
    Route(method="GET", path="/api/jobs/{id:int}/log", endpoint=show_log, answer=JobLog),
    Route(
        method="GET", path="/api/jobs/{id:int}/raw-header", endpoint=show_raw_header, answer=Header, errors=(404, 422)
    ),
    *(
        Route(
            method="POST",
            path=f"/api/jobs/{{id:int}}/{word}",
            endpoint=endpoint,
            answer=Changed,
            right="change",
            errors=(409,),
        )
        for word, endpoint in (("retry", retry_job), ("drop", drop_job), ("requeue", requeue_job))
    ),
    *(
        Route(
            method="POST",
            path=f"/api/{word}",
            endpoint=endpoint,
            answer=Changed,
            body=PauseRequest,
            right="change",
            errors=(404,),
        )
        for word, endpoint in (("pause", pause), ("resume", resume))
    ),
)
