"""The daemon itself: what happens now, health, numbers, versions, configuration."""

import asyncio
import platform
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from starlette.responses import Response

from ...daemon.queue import OPEN_STATES, Filter, JobQueue, JobState
from ...daemon.settings import Observatory
from ..board import VERSION
from ..events import EventStream
from ..metrics import CONTENT_TYPE, Metrics
from ..routes import Asked, Route, answer
from ..shapes import Health, Now, Readiness, Reloaded, System
from ..summaries import shown

LIBRARIES = ("numpy", "astropy", "photutils", "sep", "numba", "pydantic", "sqlalchemy", "starlette", "uvicorn")
HIDDEN = "(hidden)"
SECRET = ("password", "secret", "token", "key", "hash", "credential", "signature")


async def show_now(asked: Asked) -> Now:
    """What happens now: running, waiting, done today, workers, disks, memory."""
    return await asked.board.now()


async def listen(asked: Asked) -> Response:
    """Changes as they happen, as server-sent events.

    ``job`` carries the summary of a job that was added or has changed, ``now`` what /api/now answers, ``changed``
    says that more has changed than is told one by one.
    """
    return EventStream(asked.hub)


async def show_health(_: Asked) -> Health:
    """Whether the daemon lives: it answers."""
    return Health()


async def show_readiness(asked: Asked) -> Response:
    """Whether the daemon can do its work; 503 and the reasons if not."""
    reasons = [shown(reason) for reason in asked.service.ready()]
    return answer(Readiness(ready=not reasons, reasons=reasons), 503 if reasons else 200)


async def show_metrics(asked: Asked) -> Response:
    """Numbers for Prometheus."""
    now = await asked.board.now()
    by_chain = await asked.service.db(_jobs_by_chain, asked.service.queue, [*asked.service.chains])
    metrics = asked.service.metrics or Metrics()
    text = await asked.service.db(metrics.text, now, by_chain)
    return Response(text, headers={"Cache-Control": "no-store"}, media_type=CONTENT_TYPE)


def _jobs_by_chain(queue: JobQueue, chains: list[str]) -> list[tuple[str, str, int]]:
    """Jobs that wait for something or somebody; those that are done are counted as they end."""
    return [
        (chain, state.value, queue.search(Filter(states=(state,), chain=chain), limit=1).total)
        for chain in chains
        for state in (*OPEN_STATES, JobState.FAILED)
    ]


async def show_system(asked: Asked) -> System:
    """Versions, configuration, workers, and what the one who asks may do."""
    service, visitor = asked.service, asked.visitor
    now = await asked.board.now()
    return System(
        name=service.settings.name,
        version=VERSION,
        python=sys.version.split()[0],
        platform=await asyncio.to_thread(platform.platform),
        versions=await asyncio.to_thread(library_versions),
        configuration=without_secrets(service.settings),
        configuration_file="" if service.settings_file is None else shown(str(service.settings_file)),
        queue=without_password(service.settings.queue.url or f"sqlite:///{service.settings.state}/queue.db"),
        daemons=now.daemons,
        workers=now.workers,
        rights=visitor.right,
        can_save_chains=visitor.may_save,
        who=visitor.name,
    )


@cache
def library_versions() -> dict[str, str]:
    """Versions of the libraries that results depend on."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def without_secrets(settings: Observatory) -> dict[str, Any]:
    """The configuration as plain data; passwords, tokens and keys are hidden."""
    return _hidden(settings.model_dump(mode="json", exclude_defaults=True))


def _hidden(plain: Any) -> Any:
    match plain:
        case dict():
            return {
                key: HIDDEN
                if any(word in str(key).lower() for word in SECRET) and not _is_harmless(str(key), value)
                else _hidden(value)
                for key, value in plain.items()
            }
        case list():
            return [_hidden(item) for item in plain]
        case str():
            return without_password(shown(plain))
    return plain


def _is_harmless(key: str, value: Any) -> bool:
    """Lists of tokens show names and rights; the name of a file or of a key is no secret."""
    return isinstance(value, list) or key in ("password_file", "path_key", "keywords") or key.startswith("steps.")


def without_password(address: str) -> str:
    """An address without the password and the query that may stand in it."""
    if "://" not in address:
        return address
    try:
        parts = urlsplit(address)
        if parts.password is None and not parts.query:
            return address
        user = f"{parts.username}@" if parts.username else ""
        host = parts.hostname or ""
        host = f"[{host}]" if ":" in host else host
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return f"{address.partition('://')[0]}://{HIDDEN}"
    return urlunsplit((parts.scheme, f"{user}{host}{port}", parts.path, HIDDEN if parts.query else "", ""))


async def reload(asked: Asked) -> Reloaded:
    """Read the configuration and its chains again; a wrong one is refused, and what was valid goes on."""
    return Reloaded(problems=[shown(line) for line in await asked.service.reload()])


ROUTES = (
    Route(method="GET", path="/healthz", endpoint=show_health, answer=Health, right="none"),
    Route(method="GET", path="/readyz", endpoint=show_readiness, answer=Readiness),
    Route(method="GET", path="/metrics", endpoint=show_metrics, answer="text/plain"),
    Route(method="GET", path="/api/now", endpoint=show_now, answer=Now),
    Route(method="GET", path="/api/events", endpoint=listen, answer="text/event-stream"),
    Route(method="GET", path="/api/system", endpoint=show_system, answer=System),
    Route(method="POST", path="/api/reload", endpoint=reload, answer=Reloaded, right="change"),
)
