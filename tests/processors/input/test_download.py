"""Download: what a good server gives becomes the image; a bad one does no harm and is told apart."""

import asyncio
import gzip
import hashlib
import io

import numpy as np
import pytest
from pydantic import ValidationError

from etendue.images import Image, ImageError, TransientError
from etendue.processors import RunContext, run_context
from etendue.processors.input.download import Download


@pytest.fixture
def frame():
    return Image(
        np.arange(12, dtype=np.float32).reshape(3, 4), header={"DATE-OBS": "2026-03-20T21:30:00", "EXPTIME": 5.0}
    )


def test_a_fits_file_becomes_the_image(web_server, run, frame):
    web_server.gives("/sky/m31.fits", frame.to_bytes())

    image = run(Download(url=f"{web_server.url}/sky/m31.fits"), Image(header={"SITEID": "north"}))

    assert image.data.tolist() == frame.data.tolist()
    assert (image.header["SITEID"], image.exposure_time) == ("north", 5.0)
    assert image.header["DATE-OBS"] == "2026-03-20T21:30:00"
    assert image.name == "m31.fits"
    assert web_server.requests[0][1]["accept-encoding"] == "identity"


def test_a_picture_gets_the_time_at_which_it_was_asked_for(web_server, run):
    from datetime import UTC, datetime

    from PIL import Image as Pillow

    stream = io.BytesIO()
    Pillow.new("RGB", (6, 4), (10, 20, 30)).save(stream, "png")
    web_server.gives("/image", stream.getvalue())
    before = datetime.now(UTC)

    image = run(Download(url=f"{web_server.url}/image?size=large", image_name="allsky.png"), Image())

    assert (image.axes, image.shape) == ("CYX", (4, 6))
    assert image.data[:, 0, 0].tolist() == [10, 20, 30]
    assert abs((image.observation_time - before).total_seconds()) < 60
    assert image.name == "allsky.png"


def test_what_was_fetched_is_in_the_provenance(web_server, run, frame):
    content = frame.to_bytes()
    web_server.gives("/a.fits", content)
    with run_context(RunContext()) as context:
        run(Download(url=f"{web_server.url}/a.fits"), Image())
    (source,) = context.inputs
    assert (source.path, source.size) == (f"{web_server.url}/a.fits", len(content))
    assert source.sha256 == hashlib.sha256(content).hexdigest()


def test_packed_files_are_what_they_are(web_server, run, frame):
    packed = gzip.compress(frame.to_bytes())
    web_server.gives("/a.fits.gz", packed, Content_Type="application/fits")
    web_server.gives("/b.fits.gz", packed, Content_Encoding="gzip")  # what Apache says of files that are packed
    web_server.gives_packed("/c.fits", frame.to_bytes())
    for name in ("a.fits.gz", "b.fits.gz", "c.fits"):
        assert run(Download(url=f"{web_server.url}/{name}"), Image()).data.tolist() == frame.data.tolist()


def test_user_and_password(web_server, run, frame, tmp_path):
    secret = tmp_path / "password"
    secret.write_text("open sesame\n")

    def answer(request):
        right = request.headers.get("Authorization") == "Basic YWxpOm9wZW4gc2VzYW1l"
        content = frame.to_bytes() if right else b""
        web_server.begin(request, {"Content-Length": str(len(content))}, 200 if right else 401)
        request.wfile.write(content)

    web_server.answers["/a.fits"] = answer
    url = f"{web_server.url}/a.fits"
    assert run(Download(url=url, user="ali", password_file=secret), Image()).shape == (3, 4)
    with pytest.raises(ImageError, match="the server answers 401"):
        run(Download(url=url), Image())
    with pytest.raises(ImageError, match=r"password_file .* cannot be read: No such file"):
        run(Download(url=url, user="ali", password_file=tmp_path / "nothing"), Image())


def test_the_password_is_told_to_no_other_host(web_server, run, frame, tmp_path):
    secret = tmp_path / "password"
    secret.write_text("open sesame")
    other = web_server.url.replace("127.0.0.1", "localhost")
    web_server.says("/a.fits", 302, Location=f"{other}/b.fits")
    web_server.gives("/b.fits", frame.to_bytes())

    run(Download(url=f"{web_server.url}/a.fits", user="ali", password_file=secret), Image())

    assert ["authorization" in headers for _, headers in web_server.requests] == [True, False]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("file:///etc/passwd", "is no address of http or https"),
        ("ftp://host/a.fits", "is no address of http or https"),
        ("a.fits", "is no address of http or https"),
        ("http://", "is no address"),
        ("http://ali:open@camera/a.fits", "holds a user or password.*password_file"),
    ],
)
def test_addresses_that_make_no_sense_are_refused_at_once(url, message):
    with pytest.raises(ValidationError, match=message):
        Download(url=url)


@pytest.mark.parametrize(
    ("status", "error"), [(404, ImageError), (403, ImageError), (503, TransientError), (429, TransientError)]
)
def test_answers_of_the_server(web_server, run, status, error):
    web_server.says("/a.fits", status)
    with pytest.raises(error, match=f"the server answers {status}"):
        run(Download(url=f"{web_server.url}/a.fits"), Image())


def test_a_server_that_is_not_there(run):
    from tests.servers import free_port

    with pytest.raises(TransientError, match=r"127\.0\.0\.1"):
        run(Download(url=f"http://127.0.0.1:{free_port()}/a.fits"), Image())


def test_a_file_that_breaks_off(web_server, run, frame):
    web_server.breaks_off("/a.fits", frame.to_bytes()[:3000], announced=5760)
    with pytest.raises(TransientError, match=r"a\.fits: peer closed connection"):
        run(Download(url=f"{web_server.url}/a.fits"), Image())


def test_a_server_that_falls_asleep(web_server, run, frame):
    web_server.falls_asleep("/a.fits", frame.to_bytes())
    with pytest.raises(TransientError, match=r"not complete after 0\.5 s"):
        run(Download(url=f"{web_server.url}/a.fits", patience=0.5), Image())


def test_a_server_that_never_ends(web_server, run, frame):
    web_server.never_ends("/a.fits", frame.to_bytes())
    with pytest.raises(ImageError, match="more than 1000000 bytes"):
        run(Download(url=f"{web_server.url}/a.fits", limit=1_000_000), Image())


def test_a_file_that_is_announced_as_too_large(web_server, run):
    web_server.breaks_off("/a.fits", b"", announced=10**15)
    with pytest.raises(ImageError, match="at most 1000 are taken"):
        run(Download(url=f"{web_server.url}/a.fits", limit=1000), Image())


def test_a_bomb_is_not_unpacked(web_server, run):
    web_server.gives_packed("/a.fits", bytes(50_000_000))
    web_server.gives("/b.fits", b"", Content_Encoding="br")
    with pytest.raises(ImageError, match="more than 1000000 bytes"):
        run(Download(url=f"{web_server.url}/a.fits", limit=1_000_000), Image())
    with pytest.raises(ImageError, match="packs the file by br"):
        run(Download(url=f"{web_server.url}/b.fits"), Image())


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://x/a.fits", "http://a:b@127.0.0.1/a.fits"])
def test_redirects_lead_nowhere_else(web_server, run, target):
    web_server.says("/a.fits", 302, Location=target)
    with pytest.raises(ImageError, match="redirects to where nothing can be fetched"):
        run(Download(url=f"{web_server.url}/a.fits"), Image())


def test_redirects_come_to_an_end(web_server, run):
    web_server.says("/a.fits", 302, Location="/a.fits")
    with pytest.raises(ImageError, match="redirects more than 5 times"):
        run(Download(url=f"{web_server.url}/a.fits"), Image())


@pytest.mark.parametrize("content", [b"", b"<html>please log in</html>"])
def test_what_is_no_image(web_server, run, content):
    web_server.gives("/a.fits", content)
    with pytest.raises(ImageError):
        run(Download(url=f"{web_server.url}/a.fits"), Image())


def test_many_downloads_at_once(web_server, frame):
    web_server.gives("/a.fits", frame.to_bytes())
    download = Download(url=f"{web_server.url}/a.fits")

    async def all_of_them():
        return await asyncio.gather(*(download(Image()) for _ in range(10)))

    assert {image.shape for image in asyncio.run(all_of_them())} == {(3, 4)}
