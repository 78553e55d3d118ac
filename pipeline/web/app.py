"""The page and its API as one ASGI application."""

import asyncio
import contextlib
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from functools import cache, partial
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount
from starlette.routing import Route as Address
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .board import VERSION, Board
from .endpoints import chains, jobs, masters, nights, products, system, uploads
from .events import Hub
from .lingering import Lingering
from .openapi import document
from .routes import Asked, Route, failure, json_text, problem, respond
from .security import HEADERS, PAGE_POLICY, Denied, visitor_of
from .service import Service

STATIC = Path(__file__).parent / "static"


async def show_api(asked: Asked) -> Response:
    """This document: every address, what it takes and what it answers."""
    return json_text(await asyncio.to_thread(_document, f"{asked.service.settings.name}: API of Etendue"))


@cache
def _document(title: str) -> str:
    return json.dumps(document(ROUTES, title=title, version=VERSION))


ROUTES: tuple[Route, ...] = (
    *system.ROUTES,
    *jobs.ROUTES,
    *products.ROUTES,
    *nights.ROUTES,
    *masters.ROUTES,
    *chains.ROUTES,
    *uploads.ROUTES,
    Route(method="GET", path="/openapi.json", endpoint=show_api, answer="application/json", right="none"),
)


def make_app(service: Service) -> Starlette:
    """The application; its lifespan runs what tells pages of changes.

    Parameters
    ----------
    service : Service
        The daemon.
    """
    board = Board(service)
    hub = Hub(service, board)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(hub.run())
        try:
            yield
        finally:
            hub.close()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    app = Starlette(
        routes=[*_addresses(service, board, hub), Address("/", _page), Mount("/static", _Files(directory=STATIC))],
        lifespan=lifespan,
        exception_handlers={HTTPException: _no_such_address, Exception: _no_such_address},
    )
    app.state.hub = hub
    app.add_middleware(_Guard, service=service)  # type: ignore[arg-type]
    return app


def _addresses(service: Service, board: Board, hub: Hub) -> list[Address]:
    """One for each path, whatever its methods: so that a wrong method is answered with all the right ones."""
    by_path: dict[str, dict[str, Route]] = defaultdict(dict)
    for route in ROUTES:
        by_path[route.path][route.method] = route

    async def call(methods: dict[str, Route], request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        return await respond(methods[method], request, service, board, hub)

    return [Address(path, partial(call, methods), methods=[*methods]) for path, methods in by_path.items()]


async def _page(_: Request) -> Response:
    """The page itself; everything on it comes from the API."""
    return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})


class _Files(StaticFiles):
    """The page's own files: asked for again when the package has changed."""

    def file_response(self, *arguments: Any, **options: Any) -> Response:
        made = super().file_response(*arguments, **options)
        made.headers["Cache-Control"] = "no-cache"
        return made


async def _no_such_address(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code in (404, 405):
        words = {404: "there is nothing at this address", 405: f"this address does not know {request.method}"}
        made = problem(error.status_code, words[error.status_code])
        made.headers.update(error.headers or {})
        return made
    return failure(error, request)


class _Guard:
    """Decides who asks before anything else happens, and adds the headers that every answer has."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self.app = app
        self.service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        lingering = Lingering(receive, send)

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Content-Security-Policy", PAGE_POLICY)
                if message["status"] >= 400 and scope["method"] not in ("GET", "HEAD"):
                    headers["Connection"] = "close"  # what follows a refused body is no request
                    lingering.begin()
            await lingering.send(message)

        client = scope["client"][0] if scope.get("client") else None
        try:
            visitor = visitor_of(self.service.settings.web, scope["method"], scope["headers"], client)
        except Denied as error:
            await problem(error.status, str(error))(scope, lingering.receive, send_safely)
            return
        scope["etendue.visitor"] = visitor
        await self.app(scope, lingering.receive, send_safely)
