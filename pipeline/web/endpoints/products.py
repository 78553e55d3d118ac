"""Products: download, picture, header, provenance, catalogue."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, BinaryIO, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat
from starlette.responses import FileResponse, Response, StreamingResponse

from ...daemon.queue import Product
from ..routes import Asked, Route, ask_clerk, json_text
from ..security import ANSWER_POLICY
from ..service import Refused
from ..shapes import Header, ImageInfo, Pixel, Provenance, Sources
from ..summaries import shown

CHUNK = 1 << 18
MEDIA_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".fits": "application/fits"}
"""What browsers may show. Everything else is bytes to them: nothing that we serve is ever run."""

COPIES = 6
LARGEST_COPY = 1_000_000_000
"""Of a product in an object store that is copied here to be looked at [byte]."""

Level = Annotated[FiniteFloat, Field(ge=-1e30, le=1e30)]
Position = Annotated[FiniteFloat, Field(ge=-1e6, le=1e6)]


class PictureQuery(BaseModel):
    """Which part of an image to show, and how."""

    model_config = ConfigDict(extra="forbid")

    x0: int = Field(0, ge=-1_000_000, le=1_000_000, description="first column [px]; what is outside is cut off")
    y0: int = Field(0, ge=-1_000_000, le=1_000_000, description="first row [px]; row 0 is at the bottom")
    width: int | None = Field(None, ge=1, le=1_000_000, description="columns; all by default")
    height: int | None = Field(None, ge=1, le=1_000_000, description="rows; all by default")
    scale: FiniteFloat | None = Field(None, gt=0, le=64, description="pixels of the picture per pixel of the image")
    size: int | None = Field(None, ge=1, le=2400, description="longer side of the picture, instead of `scale`")
    stretch: Literal["asinh", "linear", "log", "sqrt", "zscale"] = Field("asinh", description="how values become grey")
    low: Level | None = Field(None, description="value shown black; found in the image by default")
    high: Level | None = Field(None, description="value shown white")
    plane: Literal["data", "raw", "uncertainty", "mask"] = Field("data", description="what of the image is shown")
    mask: bool = Field(False, description="tint excluded pixels")
    format: Literal["auto", "png", "jpeg"] = Field("auto", description="kind of picture")


class PixelQuery(BaseModel):
    """Which pixel to tell."""

    model_config = ConfigDict(extra="forbid")

    x: Position = Field(description="position [px]; the centre of the first pixel is (0, 0)")
    y: Position = Field(description="row 0 is at the bottom of a picture")
    plane: Literal["data", "raw", "uncertainty", "mask"] = Field("data", description="what of the image is told")


class SourcesQuery(BaseModel):
    """How many sources to tell."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(2000, ge=1, le=20_000, description="the brightest of them")


async def download(asked: Asked) -> Response:
    """The file itself."""
    product = await _product(asked)
    headers = file_headers(product.name)
    media_type = MEDIA_TYPES.get(PurePosixPath(product.name).suffix.lower(), "application/octet-stream")
    path = await _local_path(asked, product)
    if path is not None:
        if not await asyncio.to_thread(path.is_file):
            raise Refused(404, f"{shown(product.name)} is not in its place any more")
        return FileResponse(path, headers=headers, media_type=media_type)
    stream = await asyncio.to_thread(_destination(asked, product).open, product.name)
    return StreamingResponse(_pieces(stream), headers=headers, media_type=media_type)


def file_headers(name: str) -> dict[str, str]:
    """Headers with which a file is downloaded and never shown as a page, whatever its name."""
    base = "".join(sign if sign.isprintable() else "_" for sign in shown(PurePosixPath(name).name)) or "product"
    plain = "".join(sign if sign.isascii() and sign not in '"\\%;' else "_" for sign in base)
    return {
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(base, safe='')}",
        "Content-Security-Policy": ANSWER_POLICY,
        "Cache-Control": "private, no-cache",
    }


async def _pieces(stream: BinaryIO) -> AsyncIterator[bytes]:
    try:
        while piece := await asyncio.to_thread(stream.read, CHUNK):
            yield piece
    finally:
        await asyncio.to_thread(stream.close)


async def show_info(asked: Asked) -> Response:
    """Size, planes and good levels of an image."""
    return json_text(await _looked_at(asked, "image_info", "id", "name"))


async def show_header(asked: Asked) -> Response:
    """The header of an image, card by card."""
    return json_text(await _looked_at(asked, "image_header", "name"))


async def show_provenance(asked: Asked) -> Response:
    """What was done to an image, with versions, parameters and checksums."""
    return json_text(await _looked_at(asked, "image_provenance", "id"))


async def show_sources(asked: Asked) -> Response:
    """The brightest sources of a catalogue, with the ellipses that show their extent."""
    return json_text(await _looked_at(asked, "image_sources", "id", limit=asked.query.limit))


async def show_pixel(asked: Asked) -> Response:
    """The value at a position of an image, and where on the sky that is.

    Of a plain FITS file only the header and one row are read, however large it is. Coordinates hold for the position
    itself, not for the centre of its pixel, with all distortions (SIP).
    """
    return json_text(await _looked_at(asked, "image_pixel", "id", **asked.query.model_dump()))


async def show_picture(asked: Asked) -> Response:
    """A part of an image as PNG or JPEG, at any scale; its top row is the last row of the region.

    The region is cut to what the image has; the header X-Etendue-Region says what is shown: x0, y0, width, height.
    """
    product = await _product(asked)
    arguments = {"path": await _path(asked, product), **asked.query.model_dump(exclude_defaults=True)}
    made = await asked.service.page_clerk.call("image_picture", arguments)
    content = made["content"]
    headers = {
        "X-Etendue-Region": ",".join(map(str, made["region"])),
        "Content-Security-Policy": ANSWER_POLICY,
        "Cache-Control": "private, no-cache",
        "ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"',
    }
    if asked.request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=made["type"])


async def _product(asked: Asked) -> Product:
    service = asked.service
    return await service.db(service.queue.product, asked.path["id"])


def _destination(asked: Asked, product: Product) -> Any:
    found = asked.service.destinations.get(product.destination)
    if found is None:
        raise Refused(404, f"the destination '{product.destination}' is not configured any more")
    return found


def local_path(destination: Any, name: str) -> Path | None:
    """Where a product is on this machine; None if it is somewhere else.

    Raises
    ------
    Refused
        The name leads out of the destination, by a link that somebody has put there.
    """
    folder = getattr(destination, "folder", None)
    if folder is None:
        return None
    path = (Path(folder) / name).resolve()
    if not path.is_relative_to(Path(folder).resolve()):
        raise Refused(404, f"{shown(name)} leads out of its destination")
    return path


async def _looked_at(asked: Asked, function: str, *names: str, **more: Any) -> bytes:
    """What the clerk says of a product; `names` are what it wants to know besides the path."""
    product = await _product(asked)
    known = {"id": product.id, "name": shown(product.name)}
    arguments = {"path": await _path(asked, product), **{name: known[name] for name in names}, **more}
    return await ask_clerk(asked, function, arguments)


async def _path(asked: Asked, product: Product) -> str:
    """A file on this machine with the content of a product."""
    path = await _local_path(asked, product)
    if path is None:
        destination, folder = _destination(asked, product), asked.service.settings.state / "looked-at"
        path = await asyncio.to_thread(_copied, destination, product, folder)
    return str(path)


async def _local_path(asked: Asked, product: Product) -> Path | None:
    """Where a product is on this machine; a disk that does not answer is not waited for again and again."""
    destination = _destination(asked, product)
    return await asked.service.at_destination(product.destination, local_path, destination, product.name)


def _copied(destination: Any, product: Product, folder: Path) -> Path:
    """A copy of a product from an object store; the last few are kept."""
    if product.size > LARGEST_COPY:
        raise Refused(422, f"{shown(product.name)} is too large to be shown: download it")
    path = destination.local(product.name, folder)
    copies = sorted(folder.iterdir(), key=lambda copy: copy.stat().st_mtime)
    for old in copies[:-COPIES]:
        if old != path:
            old.unlink(missing_ok=True)
    return path


FILES = ", ".join(dict.fromkeys(("application/octet-stream", *MEDIA_TYPES.values())))

ROUTES = (
    Route(method="GET", path="/api/products/{id:int}", endpoint=download, answer=FILES),
    Route(method="GET", path="/api/products/{id:int}/info", endpoint=show_info, answer=ImageInfo, errors=(422,)),
    Route(method="GET", path="/api/products/{id:int}/header", endpoint=show_header, answer=Header, errors=(422,)),
    Route(
        method="GET",
        path="/api/products/{id:int}/provenance",
        endpoint=show_provenance,
        answer=Provenance,
        errors=(422,),
    ),
    Route(method="GET", path="/api/products/{id:int}/pixel", endpoint=show_pixel, answer=Pixel, query=PixelQuery),
    Route(
        method="GET",
        path="/api/products/{id:int}/picture",
        endpoint=show_picture,
        answer="image/png, image/jpeg",
        query=PictureQuery,
    ),
    Route(
        method="GET", path="/api/products/{id:int}/sources", endpoint=show_sources, answer=Sources, query=SourcesQuery
    ),
)
