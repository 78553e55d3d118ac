"""Brokers with TLS and passwords, by the real brokers: who is refused is told why, and let in when it comes right."""

import asyncio
import logging

import pytest
from cryptography import x509

from etendue.pipeline.daemon.settings import MqttSource, NatsSource
from etendue.pipeline.daemon.sources.messages import MessageReader, MqttRunner, NatsRunner, broker
from tests.brokers import Mosquitto, NatsServer
from tests.certificates import LOOPBACK, Authority

PASSWORDS = ("open-sesame-4711", "close-sesame-4711", "changed-sesame-4711")
RIGHT, WRONG, CHANGED = PASSWORDS

UNTRUSTED = "the certificate of the broker is refused: unable to get local issuer certificate"


@pytest.fixture(autouse=True)
def short_patience(monkeypatch):
    monkeypatch.setattr(broker, "TRY_AGAIN", (0.05, 0.2))


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "authority")


@pytest.fixture
def trust(monkeypatch):
    """``trust(authority)``: what this system trusts, as an entry in its store of certificates."""
    return lambda authority: monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))


@pytest.fixture(params=[Mosquitto, NatsServer], ids=["mqtt", "nats"])
def secure(request, tmp_path, authority):
    """A broker with TLS that lets in who knows the password."""
    server = request.param(tmp_path / "broker")
    server.certificate, server.authority = authority.vouch(LOOPBACK), authority.file
    server.login = ("ali", RIGHT)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def runner_of(tmp_path, desk):
    """``runner_of(url)``: the source that listens there; its password is in the file `password`."""

    def make(url):
        common = {"name": "m", "chain": "c", "roots": (tmp_path,), "password_file": tmp_path / "password"}
        is_mqtt = url.startswith("mqtt")
        source = (
            MqttSource(mqtt=url, topic="images", **common)
            if is_mqtt
            else NatsSource(nats=url, subject="images", **common)
        )
        read = MessageReader(
            source, name="m", folder=tmp_path / "in", known=desk.known, ended=desk.ended, inspect=desk.look
        )
        return MqttRunner(source, reader=read, identity="test") if is_mqtt else NatsRunner(source, reader=read)

    return make


def says(runner, state, words):
    return lambda: runner.state.state == state and words in runner.state.message


def test_who_is_refused_is_told_why_and_let_in_when_it_comes_right(
    secure, runner_of, desk, put, tmp_path, authority, trust, caplog
):
    caplog.set_level(logging.DEBUG)
    put(tmp_path / "a.fits")
    password = tmp_path / "password"
    trust(Authority(tmp_path / "another"))
    runner = runner_of(secure.url)

    async def scenario():
        async with desk.runs(runner):
            await desk.until(says(runner, "failed", "password_file"))
            password.write_text(f"{WRONG}\n")
            await desk.until(says(runner, "failed", UNTRUSTED))
            trust(authority)
            await desk.until(says(runner, "failed", "refuses the connection"))
            password.write_text(f"{RIGHT}\n")
            await desk.until(says(runner, "ok", ""))
            await asyncio.to_thread(publish, secure)
            await desk.until_found(1)

            await asyncio.to_thread(secure.stop)
            await desk.until(lambda: runner.state.state == "holding")
            secure.login = ("ali", CHANGED)
            await asyncio.to_thread(secure.start)
            await desk.until(says(runner, "failed", "refuses the connection"))
            password.write_text(CHANGED)
            await desk.until(says(runner, "ok", ""))

    asyncio.run(scenario())
    assert desk.names == ["a.fits"]
    assert UNTRUSTED in caplog.text
    assert not [word for word in PASSWORDS if word in caplog.text]


def publish(server):
    if isinstance(server, Mosquitto):
        server.publish("images", ["a.fits"])
    else:
        server.publish("images", [b"a.fits"], stream=False)


def test_a_certificate_for_another_name_is_refused(tmp_path, runner_of, desk, authority, trust):
    server = Mosquitto(tmp_path / "broker")
    server.certificate = authority.vouch(x509.DNSName("broker.example.org"))
    (tmp_path / "password").write_text(RIGHT)
    trust(authority)
    runner = runner_of(server.url)

    async def scenario():
        async with desk.runs(runner):
            await desk.until(says(runner, "failed", "certificate is not valid for '127.0.0.1'"))

    server.start()
    try:
        asyncio.run(scenario())
    finally:
        server.stop()


def test_a_broker_without_tls_is_not_told_the_password(mosquitto, nats_server, runner_of, desk, tmp_path):
    (tmp_path / "password").write_text(RIGHT)
    mqtt = runner_of(mosquitto.url.replace("mqtt://", "mqtts://ali@"))
    nats = runner_of(nats_server.url.replace("nats://", "tls://ali@"))

    async def scenario():
        async with desk.runs(mqtt), desk.runs(nats):
            await desk.until(says(mqtt, "holding", "Connection reset by peer"))  # mosquitto expects no handshake
            await desk.until(says(nats, "failed", "no password was sent"))

    asyncio.run(scenario())


def test_whoever_stands_in_for_the_server_in_plain_text_hears_nothing(runner_of, desk, tmp_path):
    (tmp_path / "password").write_text(RIGHT)
    heard = []

    async def listen(reader, writer):
        writer.write(b'INFO {"server_id": "x", "version": "2.10.0", "max_payload": 1000000, "auth_required": true}\r\n')
        heard.append(await reader.read())
        writer.close()

    async def scenario():
        server = await asyncio.start_server(listen, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, desk.runs(runner_of(f"tls://ali@127.0.0.1:{port}")):
            await desk.until(lambda: len(heard) >= 2)

    asyncio.run(scenario())
    assert set(heard) == {b""}
