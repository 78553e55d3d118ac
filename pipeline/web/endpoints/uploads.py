"""Files that are sent to the daemon."""

import asyncio
from collections.abc import AsyncIterator

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from ...daemon.settings import UploadSource
from ..routes import Asked, Route, declared_length
from ..service import Refused
from ..shapes import Uploaded
from ..summaries import shown

IDLE = 20.0
"""A connection on which nothing comes for so long is closed [s]."""

FORM = "multipart/form-data"
"""What ``curl -F`` sends: the file is wrapped into it. What ``--data-binary`` calls a form is the file itself."""


class UploadQuery(BaseModel):
    """What the file is called."""

    model_config = ConfigDict(extra="forbid")

    filename: str = Field(min_length=1, max_length=255, pattern=r"^[^\x00]+$", description="its name, without folders")


async def upload(asked: Asked) -> Uploaded:
    """Send an image: the body of the request is the file itself.

    It is in the queue when the answer comes. ``curl --data-binary @image.fits
    'http://…/api/upload/NAME?filename=image.fits'`` needs the header ``X-Etendue: 1``, or a token.
    """
    request, name = asked.request, asked.path["source"]
    source = _source(asked, name)
    content = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content == FORM:
        raise Refused(415, "send the file itself as the body, not a form: --data-binary @FILE, not -F")
    length = declared_length(request)
    if length is not None and length > source.limit:
        raise Refused(413, f"the file has {length} bytes, and {name} takes at most {source.limit}")
    stream = bounded(request, source.limit, source.timeout)
    number = await asked.service.upload(name, asked.query.filename, stream, length, asked.visitor.name)
    return Uploaded(job=number, name=shown(asked.query.filename))


def _source(asked: Asked, name: str) -> UploadSource:
    for source in asked.service.settings.sources:
        if isinstance(source, UploadSource) and source.name == name:
            return source
    raise Refused(404, f"there is no upload '{name[:64]}'")


async def bounded(request: Request, limit: int, longest: float) -> AsyncIterator[bytes]:
    """The body, as long as it is not too long and keeps coming.

    Parameters
    ----------
    request : Request
        What is sent.
    limit : int
        [byte]
    longest : float
        Longest time in all [s].

    Raises
    ------
    Refused
        It is too long (413), or too slow (408).
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + longest
    received = 0
    stream = request.stream().__aiter__()
    while True:
        try:
            async with asyncio.timeout(max(0.0, min(IDLE, end - loop.time()))):
                part = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise Refused(408, f"the file did not come in time: {received} bytes of it did") from None
        received += len(part)
        if received > limit:
            raise Refused(413, f"the file is longer than {limit} bytes")
        if part:
            yield part


ROUTES = (
    Route(
        method="POST",
        path="/api/upload/{source}",
        endpoint=upload,
        answer=Uploaded,
        query=UploadQuery,
        body=bytes,
        right="change",
        status=201,
        errors=(507,),
    ),
)
