"""Who may do what, decided before a request reaches an endpoint.

With tokens in the configuration, everything but the page's own files and ``/healthz`` needs one, and changing needs
one with the right to. A browser sends a token only from the page itself: it stands in a header, never in a cookie, so
another site cannot make a visitor's browser use it.

Without tokens the daemon listens on a loopback address only, and whoever works on this machine may look, retry, upload
and pause. Then it is the browser that must be distrusted: another site may send requests to loopback addresses (so
the origin is checked), and may give its own name this address (so the name is checked: DNS rebinding).

References
----------
OWASP Cheat Sheet Series: Cross-Site Request Forgery Prevention. W3C Fetch Metadata Request Headers.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from ..daemon.settings import WebSettings, is_loopback

Right = Literal["none", "read", "change", "save"]
"""What an endpoint needs. ``save`` writes chains: it needs a token always."""

ORDER: Mapping[str, int] = {"none": 0, "read": 1, "change": 2, "save": 3}
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
LONGEST_TOKEN = 512
HARMLESS_SITES = ("same-origin", "none")
FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
OWN_HEADER = "x-etendue"
"""No form of another site can send a header of its own name without asking first, and we never say yes."""

PAGE_POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
ANSWER_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks.

    Attributes
    ----------
    name : str
        From the configuration; ``local`` for somebody on this machine.
    right : {"none", "read", "change"}
        What they may do.
    has_token : bool
        Whether they have shown a token.
    """

    name: str
    right: Literal["none", "read", "change"]
    has_token: bool = False

    @property
    def may_save(self) -> bool:
        """Whether they may change chains."""
        return self.has_token and self.right == "change"

    def may(self, right: Right) -> bool:
        """Whether their right is enough."""
        return self.may_save if right == "save" else ORDER[self.right] >= ORDER[right]


NOBODY = Visitor("", "none")
LOCAL = Visitor("local", "change")


class Denied(Exception):
    """The request is refused.

    Attributes
    ----------
    status : int
        400, 401, 403 or 415.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def visitor_of(web: WebSettings, method: str, headers: Iterable[tuple[bytes, bytes]], client: str | None) -> Visitor:
    """Who asks, from the headers of a request.

    Parameters
    ----------
    web : WebSettings
        Tokens, and the names under which we are reached.
    method : str
        Of the request.
    headers : iterable of (bytes, bytes)
        Names in small letters, and values, as they came.
    client : str or None
        Address of the other end.

    Raises
    ------
    Denied
        The request is malformed, shows a token that nobody has, or comes from another site.
    """
    sent: dict[str, list[str]] = {}
    for key, value in headers:
        sent.setdefault(key.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    for once in ("host", "authorization", "origin", "content-length", "content-type"):
        if len(sent.get(once, ())) > 1:
            raise Denied(400, f"the header {once} is given more than once")
    if web.tokens:
        return _with_token(web, sent)
    _check_local(web, method, sent, client)
    return LOCAL


def _with_token(web: WebSettings, sent: Mapping[str, list[str]]) -> Visitor:
    if "authorization" not in sent:
        return NOBODY
    scheme, _, token = sent["authorization"][0].strip().partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not 0 < len(token) <= LONGEST_TOKEN:
        raise Denied(401, "the header Authorization must be 'Bearer TOKEN'")
    given = token_hash(token)
    found = NOBODY
    for entry in web.tokens:  # all of them, always: how long it takes tells nothing
        if hmac.compare_digest(given, entry.hash):
            found = Visitor(entry.name, entry.right, has_token=True)
    if found is NOBODY:
        raise Denied(401, "nobody has this token")
    return found


def token_hash(token: str) -> str:
    """What the configuration says of a token. A token is 256 random bits, so no salt and no slow hash is needed."""
    return "sha256:" + hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def _check_local(web: WebSettings, method: str, sent: Mapping[str, list[str]], client: str | None) -> None:
    """Let nobody in who is not a program, or our own page, on this machine."""
    if client is not None and not is_loopback(client):
        raise Denied(403, f"{client} is another machine, and no tokens are configured")
    if any(name in sent for name in FORWARDED):
        raise Denied(403, "the request comes through a proxy, so from anywhere: add tokens to the configuration")
    host = sent.get("host", [""])[0]
    known = LOOPBACK_NAMES | {web.host.lower(), *(name.lower() for name in web.names)}
    if not _host_name(host) or _host_name(host) not in known:
        raise Denied(403, f"the page is not known under the name '{host[:100]}'; add it to web.names if it is right")
    site = sent.get("sec-fetch-site", ["none"])[0].strip().lower()
    is_visit = method in ("GET", "HEAD") and sent.get("sec-fetch-mode", [""])[0].strip().lower() == "navigate"
    if site not in HARMLESS_SITES and not (is_visit and sent.get("sec-fetch-dest", [""])[0] == "document"):
        raise Denied(403, "the request was made by another site")
    origin = sent.get("origin", [None])[0]
    if origin is not None and (_netloc(origin) != host.lower()):
        raise Denied(403, f"the request was made by another site: {origin[:100]}")
    if method not in ("GET", "HEAD", "OPTIONS") and OWN_HEADER not in sent:
        content = sent.get("content-type", [""])[0].partition(";")[0].strip().lower()
        if content != "application/json":
            raise Denied(415, "a change must be sent as application/json, or with the header X-Etendue: 1")


def _netloc(origin: str) -> str:
    """Name and port of an origin, in small letters; empty for ``null`` and nonsense."""
    try:
        return urlsplit(origin.strip()).netloc.lower()
    except ValueError:
        return ""


def _host_name(host: str) -> str:
    """The name in a Host header, without the port; empty if it is malformed."""
    name, colon, port = host.strip().lower().rpartition(":")
    if not colon or (name.startswith("[") and not name.endswith("]")):
        return host.strip().lower()
    return name if port.isdecimal() or not port else ""
