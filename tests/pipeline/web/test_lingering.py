"""Whoever sends a body that is refused sees why, and does not go on for ever."""

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import httpx
import pytest

from etendue.pipeline.web import lingering
from tests.pipeline.web.serving import WAIT, Served
from tests.pipeline.web.test_server import UPLOAD, connected, is_closed, is_well
from tests.servers import lacking


def by_httpx(address: str, path: Path, chunked: bool) -> tuple[int, str]:
    content = iter([path.read_bytes()]) if chunked else path.read_bytes()
    answer = httpx.post(address, content=content, headers={"X-Etendue": "1"}, timeout=WAIT)
    return answer.status_code, answer.text


def by_urllib(address: str, path: Path, chunked: bool) -> tuple[int, str]:
    data = iter([path.read_bytes()]) if chunked else path.read_bytes()
    request = urllib.request.Request(address, data=data, headers={"X-Etendue": "1"}, method="POST")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=WAIT)
    with caught.value as answer:
        return answer.code, answer.read().decode()


def by_curl(address: str, path: Path, chunked: bool) -> tuple[int, str]:
    if shutil.which("curl") is None:
        lacking("curl")
    headers = ["-H", "X-Etendue: 1", "-H", "Expect:", *(["-H", "Transfer-Encoding: chunked"] if chunked else [])]
    command = ["curl", "-sS", *headers, "--data-binary", f"@{path}", "-w", "%{stderr}%{http_code}", address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT, check=True)
    return int(done.stderr[-3:]), done.stdout


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
@pytest.mark.parametrize("send", [by_httpx, by_urllib, by_curl])
def test_every_client_is_told_that_its_file_is_too_large(served: Served, tmp_path: Path, send: Any, chunked: bool):
    """Also those that look at the answer only when they have sent everything."""
    path = tmp_path / "large.fits"
    with path.open("wb") as file:
        file.truncate(80_000_000)

    status, text = send(f"{served.address}/api/upload/camera?filename=a.fits", path, chunked)

    assert status == 413
    assert "20000000" in json.loads(text)["error"]
    assert served.service.uploads == []


def test_every_refusal_is_seen_by_who_still_sends(served: Served, tmp_path: Path):
    path = tmp_path / "large.fits"
    with path.open("wb") as file:
        file.truncate(60_000_000)

    assert by_urllib(f"{served.address}/api/upload/nothing?filename=a.fits", path, False)[0] == 404
    assert by_urllib(f"{served.address}/api/pause", path, False)[0] == 415


def test_a_refused_body_is_not_read_for_ever(served: Served, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lingering, "LONGEST", 0.3)
    with connected(served) as connection:
        connection.settimeout(0.02)
        connection.sendall(f"{UPLOAD}Content-Length: 99000000\r\n\r\n".encode())
        assert sends_until_it_is_cut(connection, b"x", pause=0.01)
    monkeypatch.setattr(lingering, "LONGEST", WAIT)
    monkeypatch.setattr(lingering, "IDLE", 0.2)
    with connected(served) as connection:
        connection.sendall(f"{UPLOAD}Content-Length: 99000000\r\n\r\nabc".encode())
        assert is_closed(connection)
    assert is_well(served)


def sends_until_it_is_cut(connection: socket.socket, piece: bytes, *, pause: float) -> bool:
    """Send a piece again and again, and take no notice of the answer; whether the other end makes an end of it."""
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        try:
            connection.sendall(piece)
        except TimeoutError:
            continue
        except OSError:
            return True
        time.sleep(pause)
    return False
