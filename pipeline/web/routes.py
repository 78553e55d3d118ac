"""How a request becomes a call: what an endpoint is given, what it may answer, and what its errors become."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from ...images import EtendueError, ImageError, TransientError
from ..daemon.queue import UnknownJob, UnknownProduct
from ..daemon.work.calls import CallError
from .security import ANSWER_POLICY, Denied, Right, Visitor
from .service import Refused, Service
from .shapes import Problem, Shape

if TYPE_CHECKING:
    from .board import Board
    from .events import Hub

log = logging.getLogger(__name__)

LONGEST_BODY = 2_000_000
"""Of JSON [byte]. Images come another way."""

BODY_TIMEOUT = 30.0
"""A body of JSON must be there after so long [s]: nobody keeps a connection busy with a byte a minute."""

LARGEST_ID = 2**63 - 1
"""That a database can hold."""

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, understood.

    Attributes
    ----------
    service : Service
        The daemon.
    board, hub : Board, Hub
        What happens now, and who wants to know.
    visitor : Visitor
        Who asks.
    path : dict
        Parts of the address.
    query, body : BaseModel
        As the route says; None where it takes none.
    request : Request
        The request itself.
    """

    service: Service
    board: "Board"
    hub: "Hub"
    visitor: Visitor
    path: dict[str, Any]
    query: Any
    body: Any
    request: Request


Endpoint = Callable[[Asked], Awaitable[Shape | Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One address and method of the API.

    Attributes
    ----------
    method, path : str
        ``GET``, ``/api/jobs/{id}``.
    endpoint : callable
        Its docstring is the documentation.
    answer : type or str
        Model of the answer, or its media type.
    right : str
        What the visitor must be allowed to.
    query, body : type
        Models of what comes along. A body that is `bytes` is left to the endpoint.
    status : int
        Of the answer.
    errors : tuple of int
        Other statuses that are to be expected, beyond those of every route.
    """

    method: str
    path: str
    endpoint: Endpoint
    answer: type[Shape] | str
    right: Right = "read"
    query: type[BaseModel] | None = None
    body: type[Any] | None = None
    status: int = 200
    errors: tuple[int, ...] = ()
    parts: dict[str, str] = field(default_factory=dict)
    """Descriptions of the parts of the address."""


def answer(shape: Shape, status: int = 200) -> Response:
    """A model as the body of an answer."""
    return json_text(shape.model_dump_json(), status)


def json_text(text: str | bytes, status: int = 200) -> Response:
    """JSON as the body of an answer."""
    headers = {"Cache-Control": "no-store", "Content-Security-Policy": ANSWER_POLICY}
    return Response(text, status, headers, media_type=JSON)


async def ask_clerk(asked: Asked, function: str, arguments: Mapping[str, Any]) -> bytes:
    """An answer that the clerk has made, as JSON."""
    return (await asked.service.page_clerk.call(function, arguments))["json"]


def problem(status: int, message: str, detail: Any = None) -> Response:
    """Why a request is not fulfilled."""
    made = answer(Problem(error=message, detail=detail), status)
    if status == 401:
        made.headers["WWW-Authenticate"] = "Bearer"
    if status == 503:
        made.headers["Retry-After"] = "2"
    return made


async def respond(route: Route, request: Request, service: Service, board: "Board", hub: "Hub") -> Response:
    """Call the endpoint of a route, and make an answer of whatever happens."""
    visitor: Visitor = request.scope["etendue.visitor"]
    try:
        _check_right(route, visitor)
        asked = Asked(
            service=service,
            board=board,
            hub=hub,
            visitor=visitor,
            path=_path(request),
            query=_query(route, request),
            body=await _body(route, request),
            request=request,
        )
        result = await route.endpoint(asked)
    except ClientDisconnect:
        return problem(400, "the connection was closed before all was sent")
    except Exception as error:  # noqa: BLE001 - one request's trouble is not the daemon's
        return failure(error, request)
    return answer(result, route.status) if isinstance(result, Shape) else result


def failure(error: Exception, request: Request) -> Response:
    """What an error becomes."""
    match error:
        case Denied():
            return problem(error.status, str(error))
        case Refused():
            return problem(error.status, str(error), error.detail)
        case HTTPException():
            made = problem(error.status_code, str(error.detail))
            made.headers.update(error.headers or {})
            return made
        case ValidationError():
            return problem(
                422, _in_words(error), error.errors(include_url=False, include_input=False, include_context=False)
            )
        case UnknownJob() | UnknownProduct():
            return problem(404, str(error))
        case CallError():
            return _clerks_failure(error, request)
        case FileNotFoundError():
            return problem(404, f"{error.filename} is not there any more")
        case ImageError():
            return problem(422, str(error))
        case TransientError() | TimeoutError() | OSError():
            log.warning("%s %s: %s: %s", request.method, request.url.path, type(error).__name__, error)
            return problem(503, str(error) or "it took too long; try again")
        case EtendueError():
            return problem(422, str(error))
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem(500, "something went wrong inside the daemon; its log says what")


def _clerks_failure(error: CallError, request: Request) -> Response:
    """What an error in the page's clerk becomes."""
    if error.cause == "image" or error.kind == "ConfigError":
        return problem(422, str(error))
    if error.kind == "FileNotFoundError":
        return problem(404, "the file is not there any more")
    log.warning("%s %s: %s\n%s", request.method, request.url.path, error, error.traceback)
    if error.cause in ("transient", "time", "died", "memory", "storage"):
        return problem(503, f"it could not be done now: {error}")
    return problem(500, "something went wrong while it was looked at; the daemon's log says what")


def _check_right(route: Route, visitor: Visitor) -> None:
    if visitor.may(route.right):
        return
    if visitor.right == "none":
        raise Denied(401, "a token is needed: send the header 'Authorization: Bearer TOKEN'")
    if route.right == "save" and not visitor.has_token:
        raise Denied(
            401,
            "a chain can only be saved with a token, also from this machine: make one with `etendue token`, "
            "and put its hash into the configuration",
        )
    raise Denied(403, f"the token of {visitor.name} is for reading only")


def _path(request: Request) -> dict[str, Any]:
    parts = dict(request.path_params)
    if any(isinstance(part, int) and part > LARGEST_ID for part in parts.values()):
        raise HTTPException(404, "there is no such thing")
    return parts


def _query(route: Route, request: Request) -> Any:
    if route.query is None:
        return None
    sent: dict[str, Any] = {}
    for key, value in request.query_params.multi_items():
        if _is_list(route.query, key):
            sent.setdefault(key, []).append(value)
        elif key in sent:
            raise Denied(422, f"{key} is given more than once")
        else:
            sent[key] = value
    return route.query.model_validate(sent)


def _is_list(model: type[BaseModel], key: str) -> bool:
    found = model.model_fields.get(key)
    return found is not None and getattr(found.annotation, "__origin__", None) is list


async def _body(route: Route, request: Request) -> Any:
    if route.body is None or route.body is bytes:
        return None
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON:
        raise Denied(415, "the body must be JSON: Content-Type: application/json")
    return route.body.model_validate_json(await whole_body(request))


async def whole_body(request: Request, limit: int = LONGEST_BODY) -> bytes:
    """The body, if it is not too long and does not take for ever."""
    _check_length(request, limit)
    parts: list[bytes] = []
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            async for part in request.stream():
                parts.append(part)
                if sum(map(len, parts)) > limit:
                    raise Refused(413, f"the body is longer than {limit} bytes")
    except TimeoutError:
        raise Refused(408, "the body did not come in time") from None
    return b"".join(parts)


def _check_length(request: Request, limit: int) -> None:
    length = declared_length(request)
    if length is not None and length > limit:
        raise Refused(413, f"the body is longer than {limit} bytes")


def declared_length(request: Request) -> int | None:
    """What Content-Length says; None where it says nothing, as when the body comes in chunks.

    Raises
    ------
    Denied
        It is no number.
    """
    text = request.headers.get("content-length")
    if text is None:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise Denied(400, "Content-Length is no number")
    return int(text)


def _in_words(error: ValidationError) -> str:
    """What is wrong with a query or a body, in one line."""
    sentences = []
    for detail in error.errors()[:5]:
        where = ".".join(map(str, detail["loc"]))
        sentences.append(f"{where}: {detail['msg']}" if where else detail["msg"])
    return "; ".join(sentences)
