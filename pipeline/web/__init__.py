"""The web page of the daemon, and the API behind it.

``shapes`` says what is answered, ``security`` who may ask, ``app`` which address does what (``endpoints``); ``clerk``
holds what is computed in another process, ``static`` the page itself.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .server import serve_web

__all__ = ["serve_web"]


def __getattr__(name: str) -> Any:
    if name == "serve_web":  # the command line knows this package, and loads no server
        from . import server

        return server.serve_web
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
