"""A web server that can behave badly, for whatever fetches files by HTTP."""

import contextlib
import gzip
import http.server
import threading
from collections.abc import Callable, Iterator

import pytest

Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


class WebServer:
    """Listens on loopback; :attr:`answers` says what it does for each path.

    Attributes
    ----------
    answers : dict
        Path without query -> function that gets the request's handler.
    requests : list of (str, dict)
        Path and headers (in small letters) of each request.
    ended : threading.Event
        Set when the server ends: whoever makes a client wait waits for this.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.ended = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.requests.append((self.path, {key.lower(): value for key, value in self.headers.items()}))
                answer = outer.answers.get(self.path.partition("?")[0], outer._missing)
                with contextlib.suppress(OSError):  # the client has gone, as it should
                    answer(self)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing is printed."""

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                """Clients may go away as they like."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """End it."""
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def gives(self, path: str, content: bytes, **headers: str) -> None:
        """Answer with a file; headers with ``_`` for ``-``."""

        def answer(request: http.server.BaseHTTPRequestHandler) -> None:
            self.begin(request, {"Content-Length": str(len(content)), **_spelled(headers)})
            request.wfile.write(content)

        self.answers[path] = answer

    def says(self, path: str, status: int, **headers: str) -> None:
        """Answer with a status and nothing else."""

        def answer(request: http.server.BaseHTTPRequestHandler) -> None:
            self.begin(request, {"Content-Length": "0", **_spelled(headers)}, status)

        self.answers[path] = answer

    def breaks_off(self, path: str, content: bytes, announced: int) -> None:
        """Announce more than is sent."""

        def answer(request: http.server.BaseHTTPRequestHandler) -> None:
            self.begin(request, {"Content-Length": str(announced)})
            request.wfile.write(content)
            request.close_connection = True

        self.answers[path] = answer

    def never_ends(self, path: str, content: bytes) -> None:
        """Send some bytes and then more and more of them, without saying how many."""

        def answer(request: http.server.BaseHTTPRequestHandler) -> None:
            self.begin(request, {"Connection": "close"})
            request.wfile.write(content)
            while not self.ended.is_set():
                request.wfile.write(bytes(65536))

        self.answers[path] = answer

    def falls_asleep(self, path: str, content: bytes) -> None:
        """Send some bytes of a large file, and then nothing."""

        def answer(request: http.server.BaseHTTPRequestHandler) -> None:
            self.begin(request, {"Content-Length": "100000000"})
            request.wfile.write(content)
            request.wfile.flush()
            self.ended.wait()

        self.answers[path] = answer

    def gives_packed(self, path: str, content: bytes) -> None:
        """Pack by gzip, though nobody asked for it."""
        self.gives(path, gzip.compress(content), Content_Encoding="gzip")

    def begin(self, request: http.server.BaseHTTPRequestHandler, headers: dict[str, str], status: int = 200) -> None:
        """Send status and headers."""
        request.send_response(status)
        for key, value in headers.items():
            request.send_header(key, value)
        request.end_headers()

    def _missing(self, request: http.server.BaseHTTPRequestHandler) -> None:
        self.begin(request, {"Content-Length": "0"}, 404)


def _spelled(headers: dict[str, str]) -> dict[str, str]:
    return {key.replace("_", "-"): value for key, value in headers.items()}


@pytest.fixture
def web_server() -> Iterator[WebServer]:
    """A web server on loopback."""
    server = WebServer()
    yield server
    server.close()
