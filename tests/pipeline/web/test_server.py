"""What strangers do to a socket: slow, endless, lying and oversized requests. Afterwards the page answers as before."""

import socket
import time
from typing import Any

import httpx
import psutil
import pytest

from etendue.pipeline.web import lingering, routes, server
from etendue.pipeline.web.endpoints import uploads
from tests.pipeline.web.serving import WAIT, Served

HEAD = "Host: 127.0.0.1\r\nX-Etendue: 1\r\n"
UPLOAD = f"POST /api/upload/camera?filename=a.fits HTTP/1.1\r\n{HEAD}"


def connected(served: Served) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", served.port), timeout=WAIT)
    made.settimeout(WAIT)
    return made


def answer_of(connection: socket.socket) -> str:
    """Everything until the other end closes, or the head of an answer."""
    received = b""
    while part := connection.recv(65_536):
        received += part
        if b"\r\n\r\n" in received and b"}" in received:
            break
    return received.decode("latin-1")


def is_well(served: Served) -> bool:
    return httpx.get(f"{served.address}/api/now", timeout=WAIT).status_code == 200


def test_an_upload_arrives_as_it_was_sent(served: Served):
    content = bytes(range(256)) * 5000

    answer = httpx.post(
        f"{served.address}/api/upload/camera?filename=caf%C3%A9.fits",
        content=content,
        headers={"X-Etendue": "1"},
        timeout=WAIT,
    )

    assert answer.status_code == 201
    assert answer.json()["name"] == "café.fits"
    assert served.service.uploads == [("camera", "café.fits", content, "local")]
    assert served.service.queue.get(answer.json()["job"]).source == "camera"


def test_an_upload_is_taken_as_curl_sends_it(served: Served):
    """`--data-binary @a.fits` calls the file a form, and the guide says to send it so."""
    answer = httpx.post(
        f"{served.address}/api/upload/camera?filename=a.fits",
        content=b"abc",
        headers={"X-Etendue": "1", "Content-Type": "application/x-www-form-urlencoded"},
        timeout=WAIT,
    )

    assert answer.status_code == 201
    assert served.service.uploads[0][2] == b"abc"


def test_an_upload_in_chunks_is_taken_too(served: Served):
    answer = httpx.post(
        f"{served.address}/api/upload/camera?filename=a.fits",
        content=iter([b"a" * 1000, b"b" * 1000]),
        headers={"X-Etendue": "1"},
        timeout=WAIT,
    )

    assert answer.status_code == 201
    assert served.service.uploads[0][2] == b"a" * 1000 + b"b" * 1000


def test_a_file_that_says_it_is_too_large_is_refused_before_it_is_sent(served: Served):
    with connected(served) as connection:
        connection.sendall(f"{UPLOAD}Content-Length: 99000000\r\n\r\n".encode())

        assert " 413 " in answer_of(connection)
    assert is_well(served)


def test_a_file_that_becomes_too_large_is_refused_on_the_way(served: Served, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lingering, "MOST", 5_000_000)
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    with connected(served) as connection:
        connection.sendall(f"{UPLOAD}Transfer-Encoding: chunked\r\n\r\n".encode())
        sent = 0
        try:
            while sent < 200:
                connection.sendall(chunk)
                sent += 1
        except OSError:
            pass
        assert sent < 60
    assert served.service.uploads == []
    assert is_well(served)


def test_a_file_that_ends_too_early_is_no_upload(served: Served):
    with connected(served) as connection:
        connection.sendall(f"{UPLOAD}Content-Length: 1000\r\n\r\n".encode() + b"x" * 999)
        connection.shutdown(socket.SHUT_WR)
        answer_of(connection)

    assert served.service.uploads == []
    assert is_well(served)


def test_a_file_that_is_longer_than_it_says_is_cut_there(served: Served):
    with connected(served) as connection:
        connection.sendall(f"{UPLOAD}Content-Length: 3\r\n\r\n".encode() + b"abcGET /api/now HTTP/1.1\r\n\r\n")
        assert " 201 " in answer_of(connection)

    assert served.service.uploads[0][2] == b"abc"


@pytest.mark.parametrize("length", ["-1", "1e3", "0x10", "+5", "99999999999999999999999", "3, 4", "³"])
def test_a_length_that_is_none_is_refused(served: Served, length: str):
    with connected(served) as connection:
        connection.sendall(f"{UPLOAD}Content-Length: {length}\r\n\r\nabc".encode())
        assert " 4" in answer_of(connection)[:16]
    assert served.service.uploads == []


def test_two_ways_to_say_the_length_smuggle_nothing(served: Served):
    smuggled = "0\r\n\r\nPOST /api/pause HTTP/1.1\r\n" + HEAD + "Content-Length: 2\r\n\r\n{}"
    with connected(served) as connection:
        text = f"{UPLOAD}Content-Length: {len(smuggled)}\r\nTransfer-Encoding: chunked\r\n\r\n{smuggled}"
        connection.sendall(text.encode())
        answer_of(connection)

    assert served.service.queue.paused() == []


def test_a_form_is_told_how_to_do_it(served: Served):
    answer = httpx.post(
        f"{served.address}/api/upload/camera?filename=a.fits",
        files={"file": b"abc"},
        headers={"X-Etendue": "1"},
        timeout=WAIT,
    )

    assert answer.status_code == 415
    assert "the file itself" in answer.json()["error"]


@pytest.mark.parametrize("query", ["", "?filename=", "?filename=a.fits&filename=b.fits", "?filename=" + "x" * 300])
def test_an_upload_needs_one_name(served: Served, query: str):
    answer = httpx.post(f"{served.address}/api/upload/camera{query}", content=b"x", headers={"X-Etendue": "1"})

    assert answer.status_code == 422


@pytest.mark.parametrize("source", ["nothing", "incoming", "..%2f..", "camera%2f.."])
def test_only_uploads_of_the_configuration_take_files(served: Served, source: str):
    answer = httpx.post(
        f"{served.address}/api/upload/{source}?filename=a.fits", content=b"x", headers={"X-Etendue": "1"}
    )

    assert answer.status_code in (404, 405)


def test_a_client_that_falls_silent_is_let_go(served: Served, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(uploads, "IDLE", 0.2)
    monkeypatch.setattr(routes, "BODY_TIMEOUT", 0.2)
    for request in (
        f"{UPLOAD}Content-Length: 1000\r\n\r\nabc",
        f"POST /api/pause HTTP/1.1\r\n{HEAD}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{",
    ):
        with connected(served) as connection:
            connection.sendall(request.encode())
            assert " 408 " in answer_of(connection)
    assert is_well(served)


def test_a_client_that_sends_a_byte_at_a_time_does_not_last_for_ever(served: Served, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(routes, "BODY_TIMEOUT", 0.5)
    begin = time.monotonic()
    with connected(served) as connection:
        connection.sendall(
            f"POST /api/pause HTTP/1.1\r\n{HEAD}Content-Type: application/json\r\nContent-Length: 9999\r\n\r\n".encode()
        )
        connection.settimeout(0.05)
        received = b""
        while b"408" not in received and time.monotonic() - begin < WAIT:
            try:
                connection.sendall(b" ")
                received += connection.recv(4096)
            except TimeoutError:
                continue
            except OSError:
                break
    assert b" 408 " in received
    assert is_well(served)


@pytest.mark.parametrize("said", ["", "GET / HT", "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "])
def test_who_connects_and_does_not_ask_is_let_go(served: Served, monkeypatch: pytest.MonkeyPatch, said: str):
    monkeypatch.setattr(server, "HEAD_TIMEOUT", 0.2)
    with connected(served) as connection:
        connection.sendall(said.encode())
        assert is_closed(connection)


def test_who_begins_a_second_request_and_stops_is_let_go(served: Served, monkeypatch: pytest.MonkeyPatch):
    with connected(served) as connection:
        connection.sendall(f"GET /healthz HTTP/1.1\r\n{HEAD}\r\n".encode())
        assert " 200 " in answer_of(connection)
        monkeypatch.setattr(server, "HEAD_TIMEOUT", 0.2)
        connection.sendall(b"GET /he")
        assert is_closed(connection)


def test_who_does_not_read_the_answer_is_let_go(served: Served, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server, "READ_TIMEOUT", 0.2)
    path = served.service.products / "large.bin"
    with path.open("wb") as file:
        file.truncate(200_000_000)
    number = served.service.add_product(path)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(WAIT)
        connection.connect(("127.0.0.1", served.port))
        connection.sendall(f"GET /api/products/{number} HTTP/1.1\r\n{HEAD}\r\n".encode())
        end = time.monotonic() + WAIT
        assert connection.recv(1)  # the page has taken the connection
        while is_held(served, connection) and time.monotonic() < end:
            connection.recv(1)  # a byte in a while does not help
            time.sleep(0.02)
        assert not is_held(served, connection)
    assert is_well(served)


def is_held(served: Served, connection: socket.socket) -> bool:
    """Whether the page's end of a connection is open."""
    return any(
        one.laddr.port == served.port and one.raddr and one.raddr.port == connection.getsockname()[1]
        for one in psutil.Process().net_connections("tcp")
        if one.status == psutil.CONN_ESTABLISHED
    )


def test_silent_connections_keep_nobody_out_for_long(served: Served, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server, "HEAD_TIMEOUT", 1.0)
    silent = [connected(served) for _ in range(server.MOST_CONNECTIONS + 5)]
    try:
        end = time.monotonic() + WAIT
        while time.monotonic() < end:
            try:
                if is_well(served):
                    break
            except httpx.TransportError:
                pass
        else:
            pytest.fail("the page does not answer any more")
    finally:
        for connection in silent:
            connection.close()


def is_closed(connection: socket.socket) -> bool:
    """Whether the other end closes the connection, sooner or later."""
    try:
        while connection.recv(65_536):
            pass
    except ConnectionResetError:
        return True
    return True


@pytest.mark.parametrize(
    "flood",
    [
        "GET / HTTP/1.1\r\n" + "".join(f"X-{i}: {'y' * 1000}\r\n" for i in range(200)),
        "GET /" + "x" * 200_000 + " HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\nX: " + "y" * 200_000,
    ],
)
def test_a_flood_of_headers_is_refused(served: Served, flood: str):
    assert len(flood) > server.LONGEST_HEADERS
    with connected(served) as connection:
        try:
            connection.sendall(flood.encode() + b"\r\n")
            received = answer_of(connection)
        except OSError:
            received = ""
        assert not received or " 400 " in received.partition("\r\n")[0] or " 431 " in received.partition("\r\n")[0]
    assert is_well(served)


@pytest.mark.parametrize(
    "nonsense", [b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"\x00" * 100, b"PRI * HTTP/2.0\r\n\r\n"]
)
def test_nonsense_is_refused(served: Served, nonsense: bytes):
    with connected(served) as connection:
        connection.sendall(nonsense)
        connection.shutdown(socket.SHUT_WR)
        answer_of(connection)
    assert is_well(served)


def test_a_packed_body_is_not_unpacked(served: Served):
    """A bomb that only unpacks where somebody unpacks it."""
    import gzip

    answer = httpx.post(
        f"{served.address}/api/pause",
        content=gzip.compress(b" " * 10_000_000),
        headers={"Content-Type": "application/json", "Content-Encoding": "gzip"},
        timeout=WAIT,
    )

    assert answer.status_code == 422
    assert served.service.queue.paused() == []


def test_the_server_does_not_say_what_it_is(served: Served):
    assert "server" not in httpx.get(f"{served.address}/healthz", timeout=WAIT).headers


def test_a_taken_port_is_told(served: Served):
    with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{served.port}"):
        server.listen("127.0.0.1", served.port)


def test_an_address_is_written_for_people():
    found: dict[str, Any] = {}
    for host in ("127.0.0.1", "0.0.0.0", "::1"):
        with server.listen(host, 0) as listener:
            found[host] = server.address_of(listener).rpartition(":")[0]

    assert found == {"127.0.0.1": "http://127.0.0.1", "0.0.0.0": "http://127.0.0.1", "::1": "http://[::1]"}
