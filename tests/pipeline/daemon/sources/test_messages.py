"""Messages of brokers, by the real brokers: each names an image once, and none is forgotten before it has a job."""

import asyncio
import json

import pytest

from etendue.pipeline.daemon.settings import MqttSource, NatsSource
from etendue.pipeline.daemon.sources.messages import MessageReader, MqttRunner, NatsRunner, reader
from etendue.pipeline.errors import ConfigError
from tests.servers import free_port

HOSTILE = [
    b"",
    b"\xff\xfe\xfd",
    b"\0",
    b'{"path": 7}',
    b'{"file": "a.fits"}',
    b'{"path": "a.fits"',
    b"[" * 50_000,
    b"[1, 2]",
    b"x" * 5000,
    b"x" * 70_000,
    b"/etc/passwd",
    b"../secret.fits",
    b"file:///etc/passwd",
    b"http://169.254.169.254/latest/meta-data",
    b"http://allowed.org@127.0.0.1/",
    b"gopher://127.0.0.1/",
    b"a\nb\n.fits",
]
"""Messages that name nothing that may be taken."""


@pytest.fixture
def archive(tmp_path):
    folder = tmp_path / "archive"
    folder.mkdir()
    return folder


@pytest.fixture
def short_patience(monkeypatch):
    monkeypatch.setattr(reader, "PATIENCE", 1.0)
    monkeypatch.setattr(reader, "TRY_AGAIN", (0.1, 0.2))


@pytest.fixture
def mqtt(tmp_path, desk, archive):
    """``mqtt(url, **settings)``: a source on a topic."""

    def make(url, **settings):
        source = MqttSource(mqtt=url, topic="images/#", name="m", chain="c", **{"roots": (archive,), **settings})
        read = MessageReader(
            source, name="m", folder=tmp_path / "in", known=desk.known, ended=desk.ended, inspect=desk.look
        )
        return MqttRunner(source, reader=read, identity=str(tmp_path))

    return make


@pytest.fixture
def nats(tmp_path, desk, archive):
    """``nats(url, **settings)``: a source on a subject."""

    def make(url, **settings):
        source = NatsSource(nats=url, subject="images.*", name="n", chain="c", **{"roots": (archive,), **settings})
        read = MessageReader(
            source, name="n", folder=tmp_path / "in", known=desk.known, ended=desk.ended, inspect=desk.look
        )
        return NatsRunner(source, reader=read)

    return make


def connected(runner):
    return lambda: runner.state.state == "ok"


# --- what a message says ------------------------------------------------------------------------------------------


@pytest.fixture
def read(tmp_path, desk, archive):
    """``read(payload, **settings)``: what a message is taken for."""

    def one(payload, **settings):
        source = MqttSource(mqtt="mqtt://x", topic="t", chain="c", **{"roots": (archive,), **settings})
        made = MessageReader(
            source, name="m", folder=tmp_path / "in", known=desk.known, ended=desk.ended, inspect=desk.look
        )
        return asyncio.run(made.found(payload, "t"))

    return one


def test_ways_to_name_a_file(read, archive, put):
    path = put(archive / "night/a b.fits")
    for payload in (str(path), "night/a b.fits", " night/a b.fits\n", json.dumps({"path": str(path)}), f'"{path}"'):
        found = read(payload.encode())
        assert (found.path, found.problem) == (path, "")
    assert found.size == path.stat().st_size
    assert found.facts["object_name"] == "M31"
    assert read(b'{"filename": "night/a b.fits"}', path_key="filename").path == path


@pytest.mark.parametrize("payload", HOSTILE)
def test_hostile_messages_are_told_of(read, payload, short_patience):
    found = read(payload, urls=("http://allowed.org/",))
    assert found.path is None
    assert found.problem.startswith("message: ")
    assert found.origin.isprintable()
    assert len(found.origin) < 300
    assert read(payload, urls=("http://allowed.org/",)).origin == found.origin


def test_different_long_messages_are_told_apart(read):
    assert read(b"x" * 5000).origin != read(b"x" * 5001).origin


def test_a_message_may_be_ahead_of_its_file(read, archive, put, make_fits):
    import threading

    content = make_fits(shape=(50, 50))
    begun = threading.Timer(0.3, lambda: (archive / "a.fits").write_bytes(content[:3000]))
    complete = threading.Timer(0.8, lambda: put(archive / "a.fits", content))
    begun.start()
    complete.start()
    found = read(b"a.fits")
    begun.join()
    complete.join()
    assert (found.path, found.size, found.problem) == (archive / "a.fits", len(content), "")


def test_a_file_that_does_not_come(read, archive, make_fits, short_patience):
    assert "there is no file" in read(b"a.fits").problem
    (archive / "cut.fits").write_bytes(make_fits(shape=(50, 50))[:3000])
    found = read(b"cut.fits")
    assert found.path == archive / "cut.fits"
    assert "truncated" in found.problem


def test_a_file_that_becomes_a_link_is_refused(read, archive, put, tmp_path):
    import threading

    secret = put(tmp_path / "secret.fits")
    later = threading.Timer(0.3, lambda: (archive / "a.fits").symlink_to(secret))
    later.start()
    found = read(b"a.fits")
    later.join()
    assert found.path is None
    assert "messages may not point there" in found.problem


def test_a_file_is_downloaded(read, web_server, make_fits, tmp_path):
    web_server.gives("/data/a b.fits", make_fits())
    web_server.answers["/data/a%20b.fits"] = web_server.answers["/data/a b.fits"]
    web_server.gives("/data/get", make_fits(2))
    urls = (f"{web_server.url}/data",)

    found = read(f"{web_server.url}/data/a b.fits".encode(), urls=urls)
    assert (found.path, found.problem) == (tmp_path / "in/a b.fits", "")
    assert found.path.read_bytes() == make_fits()
    again = read(f"{web_server.url}/data/a b.fits".encode(), urls=urls)
    assert (again.path, again.mtime_ns) == (found.path, found.mtime_ns)  # the same file, so the same job

    asked = read(f"{web_server.url}/data/get?id=17".encode(), urls=urls)
    other = read(f"{web_server.url}/data/get?id=18".encode(), urls=urls)
    assert asked.path.name.startswith("get-")
    assert asked.path.name.endswith(".fits")
    assert asked.path != other.path
    assert sorted(path.suffix for path in (tmp_path / "in").iterdir()) == [".fits"] * 3


def test_downloads_that_are_refused(read, web_server, make_fits, tmp_path):
    urls = (f"{web_server.url}/data",)
    web_server.says("/data/moved.fits", 302, Location="/secret.fits")
    web_server.gives("/secret.fits", make_fits())
    web_server.gives("/data/large.fits", make_fits(shape=(500, 500)))
    web_server.never_ends("/data/endless.fits", make_fits())
    web_server.gives_packed("/data/bomb.fits", make_fits() + bytes(50_000_000))
    web_server.gives("/data/page.fits", b"<html>log in</html>")
    web_server.gives("/data/a.png", make_fits())
    reasons = {
        "/data/moved.fits": "messages may not point there",
        "/secret.fits": "messages may not point there",
        "/data/large.fits": "at most 100000 are taken",
        "/data/endless.fits": "more than",
        "/data/bomb.fits": "more than",
        "/data/page.fits": "is no image",
        "/data/missing.fits": "answers 404",
    }
    for path, reason in reasons.items():
        found = read(f"{web_server.url}{path}".encode(), urls=urls, limit=100_000)
        assert reason in found.problem, path
    assert "/secret.fits" not in [path for path, _ in web_server.requests]
    assert list((tmp_path / "in").iterdir()) == []


def test_downloads_that_fail_are_tried_again(read, web_server, make_fits, short_patience):
    content, count = make_fits(shape=(50, 50)), 0

    def third_time_lucky(request):
        nonlocal count
        count += 1
        if count == 1:
            web_server.begin(request, {"Content-Length": "0"}, 503)
        else:
            web_server.begin(request, {"Content-Length": str(len(content))})
            request.wfile.write(content if count > 2 else content[:4000])
            request.close_connection = True

    web_server.answers["/a.fits"] = third_time_lucky
    found = read(f"{web_server.url}/a.fits".encode(), urls=(web_server.url,))
    assert (found.problem, found.size, count) == ("", len(content), 3)


def test_a_slow_download_does_not_last_for_ever(read, web_server, make_fits, short_patience, monkeypatch):
    monkeypatch.setattr(reader, "LONGEST_TRY", 0.0)
    web_server.falls_asleep("/a.fits", make_fits())
    found = read(f"{web_server.url}/a.fits".encode(), urls=(web_server.url,), timeout=0.5)
    assert found.problem != ""


# --- files that are replaced after their message -------------------------------------------------------------------


@pytest.fixture
def replaced(tmp_path, desk, archive, put):
    """``replaced()``: a source has handed over `a.fits`; what it finds when it looks again."""
    source = MqttSource(mqtt="mqtt://x", topic="t", chain="c", roots=(archive,))
    reads = MessageReader(
        source, name="m", folder=tmp_path / "in", known=desk.known, ended=desk.ended, inspect=desk.look
    )
    put(archive / "a.fits")
    asyncio.run(desk.hand([asyncio.run(reads.found(b"a.fits", "t"))]))

    def look_again():
        before = len(desk.found)
        asyncio.run(reads.look_again(desk.hand))
        return desk.found[before:]

    return look_again


def test_a_file_that_is_replaced_after_its_message_is_found_once(replaced, archive, put, make_fits):
    assert replaced() == []
    put(archive / "a.fits", make_fits(2.0, OBJECT="M33"))

    (found,) = replaced()

    assert (found.path, found.problem) == (archive / "a.fits", "")
    assert found.mtime_ns == (archive / "a.fits").stat().st_mtime_ns
    assert found.facts["object_name"] == "M33"
    assert replaced() == []


def test_a_file_whose_job_was_given_up_is_owed_one_also_if_it_comes_back_late(replaced, desk, archive):
    away = (archive / "a.fits").rename(archive / "b.fits")
    desk.given_up.add(archive / "a.fits")
    assert replaced() == []
    desk.given_up.clear()  # that was long ago
    away.rename(archive / "a.fits")

    assert [found.path for found in replaced()] == [archive / "a.fits"]
    assert replaced() == []


def test_a_file_that_became_a_link_is_not_taken_anew(replaced, archive, put, tmp_path, make_fits):
    secret = put(tmp_path / "secret.fits", make_fits(2.0))
    (archive / "a.fits").unlink()
    (archive / "a.fits").symlink_to(secret)

    assert replaced() == []


def test_a_newer_version_that_stays_incomplete_is_told_of(replaced, archive, put, make_fits, short_patience):
    put(archive / "a.fits", make_fits(shape=(50, 50))[:3000])

    (found,) = replaced()

    assert "truncated" in found.problem


# --- MQTT -----------------------------------------------------------------------------------------------------------


def test_mqtt_messages_become_jobs(mosquitto, mqtt, desk, archive, put, short_patience):
    names = [put(archive / f"{number}.fits").name for number in range(30)]
    runner = mqtt(mosquitto.url)

    async def scenario():
        async with desk.runs(runner):
            await desk.until(connected(runner))
            await asyncio.to_thread(mosquitto.publish, "images/new", [*names, *HOSTILE])
            await desk.until_found(30 + len(HOSTILE))
        assert runner.state.count == 30 + len(HOSTILE)
        # All were acknowledged: none comes again.
        async with desk.runs(again := mqtt(mosquitto.url)):
            await desk.until(connected(again))
            await asyncio.to_thread(mosquitto.publish, "images/new", ["0.fits"])
            await desk.until_found(31 + len(HOSTILE))

    asyncio.run(scenario())
    assert desk.names[:2] == ["0.fits", "0.fits"]
    assert len(desk.found) == 31 + len(HOSTILE)
    assert sum(one.problem != "" for one in desk.found) == len(HOSTILE)


def test_mqtt_messages_wait_for_a_daemon_that_is_away(mosquitto, mqtt, desk, archive, put):
    for number in range(3):
        put(archive / f"{number}.fits")

    async def scenario():
        async with desk.runs(runner := mqtt(mosquitto.url)):
            await desk.until(connected(runner))
        mosquitto.publish("images/new", ["0.fits", "1.fits", "2.fits"])
        mosquitto.stop()
        mosquitto.start()
        async with desk.runs(mqtt(mosquitto.url)):
            await desk.until_found(3)

    asyncio.run(scenario())
    assert desk.names == ["0.fits", "1.fits", "2.fits"]


def test_mqtt_broker_is_restarted(mosquitto, mqtt, desk, archive, put):
    put(archive / "a.fits")
    put(archive / "b.fits")
    runner = mqtt(mosquitto.url)

    async def scenario():
        async with desk.runs(runner):
            await desk.until(connected(runner))
            await asyncio.to_thread(mosquitto.publish, "images/new", ["a.fits"])
            await desk.until_found(1)
            await asyncio.to_thread(mosquitto.stop)
            await desk.until(lambda: runner.state.state == "holding")
            assert "lost" in runner.state.message or "reached" in runner.state.message
            await asyncio.to_thread(mosquitto.start)
            await asyncio.to_thread(mosquitto.publish, "images/new", ["b.fits"])
            await desk.until_found(2)
            await desk.until(connected(runner))

    asyncio.run(scenario())
    assert desk.names == ["a.fits", "b.fits"]


def test_mqtt_message_is_kept_until_its_job_is_in_the_queue(mosquitto, mqtt, desk, archive, put):
    put(archive / "a.fits")
    desk.broken = OSError(28, "No space left on device")

    async def scenario():
        async with desk.runs(runner := mqtt(mosquitto.url)):
            await desk.until(connected(runner))
            await asyncio.to_thread(mosquitto.publish, "images/new", ["a.fits"])
            await desk.until(lambda: "a message waits" in runner.state.message)
        desk.broken = None
        async with desk.runs(mqtt(mosquitto.url)):
            await desk.until_found(1)

    asyncio.run(scenario())
    assert desk.names == ["a.fits"]


def test_mqtt_broker_that_is_not_there_yet(tmp_path, mqtt, desk, archive, put):
    from tests.brokers import Mosquitto

    broker = Mosquitto(tmp_path / "mosquitto")
    put(archive / "a.fits")

    async def scenario():
        async with desk.runs(runner := mqtt(broker.url)):
            await desk.until(lambda: "cannot be reached" in runner.state.message)
            await asyncio.to_thread(broker.start)
            await desk.until(connected(runner))
            await asyncio.to_thread(broker.publish, "images/new", ["a.fits"])
            await desk.until_found(1)

    try:
        asyncio.run(scenario())
    finally:
        broker.stop()


# --- NATS -----------------------------------------------------------------------------------------------------------


def test_nats_messages_become_jobs(nats_server, nats, desk, archive, put, short_patience):
    names = [put(archive / f"{number}.fits").name.encode() for number in range(30)]
    runner = nats(nats_server.url)

    async def scenario():
        async with desk.runs(runner):
            await desk.until(connected(runner))
            await asyncio.to_thread(nats_server.publish, "images.new", [*names, *HOSTILE], stream=False)
            await desk.until_found(30 + len(HOSTILE))

    asyncio.run(scenario())
    assert sum(one.problem != "" for one in desk.found) == len(HOSTILE)


def test_nats_stream_keeps_messages_for_a_daemon_that_is_away(nats_server, nats, desk, archive, put, short_patience):
    names = [put(archive / f"{number}.fits").name.encode() for number in range(30)]
    nats_server.make_stream("IMAGES", "images.*")
    nats_server.publish("images.new", [*names, *HOSTILE])

    async def scenario():
        async with desk.runs(nats(nats_server.url, stream="IMAGES")):
            await desk.until_found(30 + len(HOSTILE))
        await asyncio.to_thread(nats_server.publish, "images.new", [b"0.fits"])
        await asyncio.to_thread(nats_server.stop)
        await asyncio.to_thread(nats_server.start)
        async with desk.runs(nats(nats_server.url, stream="IMAGES")):
            await desk.until_found(31 + len(HOSTILE))

    asyncio.run(scenario())
    assert desk.names[:2] == ["0.fits", "0.fits"]
    assert len(desk.found) == 31 + len(HOSTILE)
    assert nats_server.pending("IMAGES") == 0


def test_nats_server_is_restarted(nats_server, nats, desk, archive, put):
    put(archive / "a.fits")
    put(archive / "b.fits")
    nats_server.make_stream("IMAGES", "images.*")
    runner = nats(nats_server.url, stream="IMAGES")

    async def scenario():
        async with desk.runs(runner):
            await desk.until(connected(runner))
            await asyncio.to_thread(nats_server.publish, "images.new", [b"a.fits"])
            await desk.until_found(1)
            await asyncio.to_thread(nats_server.stop)
            await desk.until(lambda: runner.state.state == "holding")
            await asyncio.to_thread(nats_server.start)
            await asyncio.to_thread(nats_server.publish, "images.new", [b"b.fits"])
            await desk.until_found(2)
            await desk.until(connected(runner))

    asyncio.run(scenario())
    assert desk.names == ["a.fits", "b.fits"]


def test_nats_message_is_kept_until_its_job_is_in_the_queue(nats_server, nats, desk, archive, put):
    put(archive / "a.fits")
    nats_server.make_stream("IMAGES", "images.*")
    nats_server.publish("images.new", [b"a.fits"])
    desk.broken = RuntimeError("the database is away")

    async def scenario():
        async with desk.runs(runner := nats(nats_server.url, stream="IMAGES")):
            await desk.until(lambda: "a message waits" in runner.state.message)
            assert await asyncio.to_thread(nats_server.pending, "IMAGES") == 1
            desk.broken = None
            await desk.until_found(1)

    asyncio.run(scenario())


def test_nats_without_its_stream_or_server(nats_server, nats, desk, archive, put):
    put(archive / "a.fits")

    async def scenario():
        async with desk.runs(runner := nats(f"nats://127.0.0.1:{free_port()}")):
            await desk.until(lambda: "cannot be reached" in runner.state.message)
            assert runner.state.state == "holding"
        async with desk.runs(runner := nats(nats_server.url, stream="IMAGES")):
            await desk.until(lambda: runner.state.state == "failed")
            assert runner.state.message == "the server has no stream 'IMAGES'; make it: nats stream add IMAGES"
            await asyncio.to_thread(nats_server.make_stream, "IMAGES", "images.*")
            await asyncio.to_thread(nats_server.publish, "images.new", [b"a.fits"])
            await desk.until_found(1)

    asyncio.run(scenario())


def test_addresses_of_brokers_that_make_no_sense(mqtt, nats):
    with pytest.raises(ConfigError, match="names no host"):
        mqtt("mqtt://")
    with pytest.raises(ConfigError, match="put the password into a file"):
        nats("nats://ali:open@host")
    with pytest.raises(ConfigError, match="the port is no number"):
        mqtt("mqtt://host:many")
    with pytest.raises(ConfigError, match="is no address of http or https"):
        mqtt("mqtt://host", urls=("file:///data",))
