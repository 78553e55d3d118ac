"""Message brokers from Debian that tests need, each with a folder and a port of its own; they can be restarted."""

import asyncio
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.servers import PATIENCE, free_port, lacking

SBIN = "/usr/sbin:/usr/local/sbin"


class BrokerProcess:
    """A broker that listens on loopback."""

    name: str
    program: str
    certificate: tuple[Path, Path] | None = None
    """Certificate and key; connections are encrypted if there is one."""
    authority: Path | None = None
    """Certificate of who vouches for it, for those who publish."""
    login: tuple[str, str] | None = None
    """User and password; everybody is let in if there is none."""

    def __init__(self, folder: Path) -> None:
        found = shutil.which(self.program) or shutil.which(self.program, path=SBIN)
        if found is None:
            lacking(self.program)
        self.folder = folder
        self.port = free_port()
        self._path = str(found)
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """How it is started."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + PATIENCE
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"{self.program} does not start:\n{(self.folder / 'broker.log').read_text()[-2000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it in order; what it keeps for others it keeps on its disk."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE)
            self._process = None

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class Mosquitto(BrokerProcess):
    """An MQTT broker that keeps sessions on its disk."""

    program = "mosquitto"

    @property
    def url(self) -> str:
        """Its address, with the user."""
        user = f"{self.login[0]}@" if self.login else ""
        return f"{'mqtts' if self.certificate else 'mqtt'}://{user}127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        import pwd

        lines = [
            f"listener {self.port} 127.0.0.1",
            f"allow_anonymous {'false' if self.login else 'true'}",
            "persistence true",
            f"persistence_location {self.folder}/",
            f"user {pwd.getpwuid(os.geteuid()).pw_name}",
        ]
        if self.certificate is not None:
            lines += [f"certfile {self.certificate[0]}", f"keyfile {self.certificate[1]}"]
        if self.login is not None:
            lines += [f"password_file {self._written_users(*self.login)}"]
        file = self.folder / "mosquitto.conf"
        file.write_text("\n".join(lines) + "\n")
        return [self._path, "-c", str(file)]

    def _written_users(self, user: str, password: str) -> Path:
        passwd = shutil.which("mosquitto_passwd")
        if passwd is None:
            lacking("mosquitto_passwd")
        users = self.folder / "users"
        subprocess.run([str(passwd), "-b", "-c", str(users), user, password], check=True, capture_output=True)
        return users

    def publish(self, topic: str, payloads: Sequence[bytes | str], *, qos: int = 1) -> None:
        """Publish messages; returns when the broker has them."""
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        client = Client(CallbackAPIVersion.VERSION2)
        if self.certificate is not None:
            client.tls_set(ca_certs=str(self.authority))
        if self.login is not None:
            client.username_pw_set(*self.login)
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        try:
            for payload in payloads:
                client.publish(topic, payload, qos=qos).wait_for_publish(PATIENCE)
        finally:
            client.disconnect()
            client.loop_stop()


class NatsServer(BrokerProcess):
    """A NATS server with JetStream."""

    program = "nats-server"

    @property
    def url(self) -> str:
        """Its address, with the user."""
        user = f"{self.login[0]}@" if self.login else ""
        return f"{'tls' if self.certificate else 'nats'}://{user}127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        words = [self._path, "-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", str(self.folder / "store")]
        if self.certificate is not None:
            words += ["--tls", "--tlscert", str(self.certificate[0]), "--tlskey", str(self.certificate[1])]
        if self.login is not None:
            words += ["--user", self.login[0], "--pass", self.login[1]]
        return words

    def make_stream(self, name: str, subject: str) -> None:
        """Make a stream."""
        self._run(lambda client: client.jetstream().add_stream(name=name, subjects=[subject]))

    def publish(self, subject: str, payloads: Sequence[bytes], *, stream: bool = True) -> None:
        """Publish messages; with a stream, returns when the server keeps them."""

        async def send(client: Any) -> None:
            for payload in payloads:
                await (client.jetstream().publish if stream else client.publish)(subject, payload)
            await client.flush()

        self._run(send)

    def pending(self, stream: str) -> int:
        """Messages of a stream that are not delivered, or not acknowledged."""

        async def count(client: Any) -> int:
            consumers = await client.jetstream().consumers_info(stream)
            return sum(one.num_pending + one.num_ack_pending for one in consumers)

        return self._run(count)

    def _run(self, work: Any) -> Any:
        async def connected() -> Any:
            import ssl

            import nats

            options: dict[str, Any] = {}
            if self.certificate is not None:
                options["tls"] = ssl.create_default_context(cafile=self.authority)
            if self.login is not None:
                options |= {"user": self.login[0], "password": self.login[1]}
            client = await nats.connect(self.url, **options)
            try:
                return await work(client)
            finally:
                await client.close()

        return asyncio.run(connected())


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A running mosquitto."""
    broker = Mosquitto(tmp_path / "mosquitto")
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A running nats-server."""
    broker = NatsServer(tmp_path / "nats")
    broker.start()
    yield broker
    broker.stop()
