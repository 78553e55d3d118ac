"""The daemon as an operator runs it: `etendue serve`, the real program with its real queue."""

import contextlib
import http.client
import os
from pathlib import Path

import httpx
import numpy as np
import pytest
from astropy.io import fits
from PIL import Image as Picture

from tests.chaos.frames import frame, put
from tests.chaos.observatory import Observatory, free_port, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


MEASURING = """\
name: reduce
steps:
  - class: SubtractBackground
  - class: SepSourceDetection
    threshold: 5
  - class: Save
    filename: "{stem}_reduced.fits"
"""


def sources_found(product: Path) -> int:
    with fits.open(product) as units:
        return len(units["CAT"].data)


def test_images_are_taken_through_their_chain_and_not_again_after_a_restart(folder: Path):
    with Observatory(folder) as observatory:
        for number in range(3):
            put(observatory.incoming / f"{number}.fits", frame(number))
        daemon = observatory.start()
        observatory.wait_until_settled(3)
        assert daemon.end() == 0
        products = {path: path.stat().st_mtime_ns for path in observatory.products.glob("*.fits")}
        assert len(products) == 6

        put(observatory.incoming / "late.fits", frame(7))
        observatory.start()
        observatory.wait_until_settled(4)

        assert observatory.counts()["done"] == 4
        assert {path: path.stat().st_mtime_ns for path in products} == products


def test_a_changed_chain_is_taken_over_and_a_wrong_one_refused(folder: Path):
    with Observatory(folder, chains={"reduce": MEASURING}) as observatory:
        chain = folder / "reduce.yaml"
        good = chain.read_text()
        observatory.start()
        page = httpx.Client(base_url=f"http://127.0.0.1:{observatory.port}", headers={"X-Etendue": "1"}, timeout=30)
        wait_for("the page answers", lambda: _answers(page))

        chain.write_text(good.replace("threshold: 5", "threshhold: 5"))
        (problem,) = page.post("/api/reload", json={}).json()["problems"]
        assert "unknown key 'threshhold', did you mean 'threshold'?" in problem
        assert page.get("/api/now").json()["problems"] == [problem]
        put(observatory.incoming / "old.fits", frame(1))
        old = observatory.wait_for_job("old.fits", "done")

        chain.write_text(good.replace("threshold: 5", "threshold: 1000"))
        assert page.post("/api/reload", json={}).json()["problems"] == []
        put(observatory.incoming / "new.fits", frame(1))
        new = observatory.wait_for_job("new.fits", "done")

        assert old.fingerprint != new.fingerprint
        assert new.facts["n_sources"] < old.facts["n_sources"]


def test_changed_code_of_ones_own_is_taken_over_with_the_chains(folder: Path):
    own = "import etendue.processors\n\nclass Own(etendue.processors.Processor):\n    def process(self, image): {}\n"
    chain = "name: own\nsteps:\n  - class: ownsteps.Own\n  - class: Save\n    filename: '{stem}_reduced.fits'\n"
    (folder / "ownsteps.py").write_text(own.format("raise ValueError('a slip')"))
    sources = [{"watch": "incoming", "chain": "own"}]
    with Observatory(folder, chains={"own": chain}, sources=sources) as observatory:
        observatory.start()
        page = httpx.Client(base_url=f"http://127.0.0.1:{observatory.port}", headers={"X-Etendue": "1"}, timeout=60)
        wait_for("the page answers", lambda: _answers(page))
        put(observatory.incoming / "frame.fits", frame(1))
        job = observatory.wait_for_job("frame.fits", "failed")

        (folder / "ownsteps.py").write_text("class Own(\n")
        (problem,) = page.post("/api/reload", json={}).json()["problems"]
        assert "SyntaxError" in problem

        (folder / "ownsteps.py").write_text(own.format("return image"))
        assert page.post("/api/reload", json={}).json()["problems"] == []
        observatory.queue.retry([job.id])
        observatory.wait_for_job("frame.fits", "done")

        (folder / "moved").mkdir()  # to where no chain was at the start
        (folder / "moved" / "movedsteps.py").write_text(own.format("raise ValueError('moved')"))
        (folder / "moved" / "own.yaml").write_text(chain.replace("ownsteps", "movedsteps"))
        config = folder / "observatory.yaml"
        config.write_text(config.read_text().replace("own.yaml", "moved/own.yaml"))
        assert page.post("/api/reload", json={}).json()["problems"] == []
        put(observatory.incoming / "other.fits", frame(2))
        assert "moved" in observatory.wait_for_job("other.fits", "failed").error


def test_a_disk_that_does_not_answer_does_not_keep_the_daemon_from_ending(folder: Path):
    with Observatory(folder) as observatory:
        daemon = observatory.start()
        known_by = observatory.products / ".etendue" / "id"
        identity = known_by.read_text()
        known_by.unlink()
        os.mkfifo(known_by)  # whoever opens it waits for ever, as for a server that has gone
        put(observatory.incoming / "frame.fits", frame(1))
        observatory.wait_for_job("frame.fits", "running")

        assert daemon.end() == 0

        known_by.unlink()
        known_by.write_text(identity)
        observatory.start()
        assert observatory.wait_for_job("frame.fits", "done").attempts == 1


def test_a_chain_is_taken_over_by_itself_if_that_is_wished(folder: Path):
    with Observatory(folder, chains={"reduce": MEASURING}, watch_config=True) as observatory:
        observatory.start()
        put(observatory.incoming / "old.fits", frame(1))
        old = observatory.wait_for_job("old.fits", "done")
        chain = folder / "reduce.yaml"

        chain.write_text(chain.read_text().replace("threshold: 5", "threshold: 1000"))
        wait_for("it is taken over", lambda: _said(observatory, "new or changed: reduce"))
        put(observatory.incoming / "new.fits", frame(1))

        assert observatory.wait_for_job("new.fits", "done").fingerprint != old.fingerprint


def test_a_chain_that_remembers_is_refused_at_the_start(folder: Path):
    stacking = "name: stack\nsteps:\n  - class: Stack\n    size: 3\n  - class: Save\n    filename: '{stem}.fits'\n"
    with Observatory(folder, chains={"stack": stacking}) as observatory:
        daemon = observatory.start(ready=False)

        assert daemon.process.wait(60) == 2
        assert "Stack remembers earlier images" in daemon.last_words()


def test_the_newest_goes_first_where_that_is_wished(folder: Path):
    sources = [{"watch": str(folder / "incoming"), "chain": "guide"}]
    guide = {"text": _QUICK, "order": "newest"}
    with Observatory(folder, chains={"guide": guide}, workers={"count": 1}, sources=sources) as it:
        it.queue.pause(None, reason="until all are there")
        it.start()
        for number in range(6):
            put(it.incoming / f"{number}.fits", frame(number))
            wait_for("it is queued", lambda n=number: sum(it.counts().values()) == n + 1)
        it.queue.resume(None)
        it.wait_until_settled(6)

        finished = sorted(it.jobs(), key=lambda job: job.finished)
        numbers = [int(job.label.removesuffix(".fits")) for job in finished]
        # One is claimed while the worker is busy with another: neighbours may change places.
        assert all(abs(number - place) <= 1 for number, place in zip(numbers, (5, 4, 3, 2, 1, 0), strict=True)), numbers


def test_two_images_that_want_the_same_name_do_not_overwrite_each_other(folder: Path):
    same = "name: same\nsteps:\n  - class: Save\n    filename: always.fits\n"
    with Observatory(folder, chains={"same": same}, sources=[{"watch": "incoming", "chain": "same"}]) as observatory:
        put(observatory.incoming / "first.fits", frame(1))
        observatory.start()
        observatory.wait_for_job("first.fits", "done")
        put(observatory.incoming / "second.fits", frame(2))
        put(observatory.incoming / "copy.fits", frame(1))

        second = observatory.wait_for_job("second.fits", "failed")
        copy = observatory.wait_for_job("copy.fits", "skipped")

        assert "made of first.fits" in second.error
        assert "the same file as first.fits" in copy.reason
        with fits.open(observatory.products / "always.fits") as units:
            assert units[0].header["SERIAL"] == 1


def test_a_webcam_is_asked_again_and_again(folder: Path):
    pictures = folder / "www"
    pictures.mkdir()
    Picture.fromarray(np.arange(4096, dtype=np.uint8).reshape(64, 64)).save(pictures / "sky.png")
    with _web_server(pictures) as address:
        webcam = (
            f"name: webcam\nsteps:\n  - class: Download\n    url: {address}/sky.png\n"
            "  - class: Save\n    filename: 'sky-{DATE-OBS|time}.fits'\n"
        )
        sources = [{"interval": "1 s", "chain": "webcam"}]
        with Observatory(folder, chains={"webcam": webcam}, sources=sources) as observatory:
            observatory.start()
            wait_for("two pictures are there", lambda: observatory.counts().get("done", 0) >= 2)
            kinds = {job.kind for job in observatory.jobs()}

    assert kinds == {"tick"}
    assert len(list(observatory.products.glob("sky*.fits"))) >= 2


def test_an_upload_becomes_a_product(folder: Path):
    uploads = [{"upload": "telescope", "chain": "reduce", "limit": "1 MB"}]
    with Observatory(folder, sources=uploads) as observatory:
        observatory.start()
        page = httpx.Client(base_url=f"http://127.0.0.1:{observatory.port}", headers={"X-Etendue": "1"}, timeout=30)
        wait_for("the page answers", lambda: _answers(page))

        answer = page.post("/api/upload/telescope?filename=one.fits", content=frame(3))
        job = answer.json()["job"]
        wait_for("it is done", lambda: page.get(f"/api/jobs/{job}").json()["state"] == "done")

        assert answer.status_code == 201
        assert sources_found(observatory.products / "one_reduced.fits") > 0
        assert _announce(observatory.port, "/api/upload/telescope?filename=big.fits", 1_100_000) == 413
        assert page.post("/api/upload/telescope?filename=no.fits", content=b"no image").status_code == 422
        assert observatory.counts()["done"] == 1


def test_what_is_wrong_at_the_start_is_said_in_a_sentence(folder: Path):
    with Observatory(folder, chains={"bad": "steps:\n  - class: Nonsense\n"}) as observatory:
        daemon = observatory.start(ready=False)

        assert daemon.process.wait(60) == 2
        assert "Nonsense" in daemon.last_words()
        assert "Traceback" not in daemon.last_words()


def test_a_file_that_is_no_image_fails_visibly_whatever_is_chosen_by_its_header(folder: Path):
    choose = [{"when": {"OBJECT": "flat*"}, "chain": "quick"}]
    sources = [
        {"watch": "incoming", "choose": [*choose, {"chain": "quick"}], "settle": 0.1},
        {"watch": "elsewhere", "choose": choose, "settle": 0.1},
    ]
    with Observatory(folder, chains={"quick": {"text": _QUICK}}, sources=sources) as observatory:
        observatory.start()
        put(observatory.incoming / "one.fits", b"no image at all")
        (folder / "elsewhere").mkdir(exist_ok=True)
        put(folder / "elsewhere" / "two.fits", b"no image at all")

        assert "not a FITS file" in observatory.wait_for_job("one.fits", "failed").error
        two = observatory.wait_for_job("two.fits", "failed")
        assert "no chain can be chosen by its header: not a FITS file" in two.reason + two.error


def test_a_port_that_is_taken_is_said_in_a_sentence(folder: Path):
    port = free_port()
    with Observatory(folder, web={"port": port}) as observatory, _web_server(folder, port):
        daemon = observatory.start(ready=False)

        assert daemon.process.wait(60) == 2
        assert f"cannot listen on 127.0.0.1:{port}" in daemon.last_words()


_QUICK = "name: guide\nsteps:\n  - class: SubtractBackground\n  - class: Save\n    filename: '{stem}_out.fits'\n"


def _answers(page: httpx.Client) -> bool:
    try:
        return page.get("/healthz").status_code == 200
    except httpx.TransportError:
        return False


def _announce(port: int, path: str, length: int) -> int:
    """The answer to a request whose content was announced, and not sent: it might meet a closed connection."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.putrequest("POST", path)
        connection.putheader("X-Etendue", "1")
        connection.putheader("Content-Length", str(length))
        connection.endheaders()
        return connection.getresponse().status


def _said(observatory: Observatory, words: str) -> bool:
    return any(words in line.get("message", "") for line in observatory.logged())


class _web_server:  # noqa: N801 - used like a function
    """A web server for the files of a folder."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        from functools import partial
        from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

        handler = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
        self.server = ThreadingHTTPServer(("127.0.0.1", port), partial(handler, directory=str(folder)))

    def __enter__(self) -> str:
        import threading

        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_port}"

    def __exit__(self, *exception: object) -> None:
        self.server.shutdown()
        self.server.server_close()
