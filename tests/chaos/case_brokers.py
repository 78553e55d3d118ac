"""Brokers that go away and come back: no message is lost, none is acknowledged before its job is in the queue."""

import asyncio
import importlib.util
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from .case import Case, Row, Setting, require
from .frames import expected_products, frame, put
from .observatory import Observatory, free_port, wait_for
from .verify import differs, verify

SBIN = "/usr/sbin:/usr/local/sbin"


def program(name: str) -> str | None:
    """Where a program is."""
    return shutil.which(name) or shutil.which(name, path=SBIN)


class Broker:
    """A broker's process, which can be restarted."""

    def __init__(self, command: list[str], port: int, log: Path) -> None:
        self._command = command
        self.port = port
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        import socket

        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)

        def answers() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0

        wait_for(f"{self._command[0]} listens", answers, patience=30)

    def stop(self) -> None:
        """SIGTERM, and wait."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)


def _mosquitto(setting: Setting) -> tuple[Broker, Callable[[list[str]], None]]:
    """The broker, not started yet, and what publishes."""
    folder, port = setting.folder / "mosquitto", free_port()
    folder.mkdir()
    config = folder / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {folder}/\n"
        f"user {_user()}\n"
    )

    def publish(texts: list[str]) -> None:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        client = Client(CallbackAPIVersion.VERSION2)
        client.connect("127.0.0.1", port)
        client.loop_start()
        try:
            for text in texts:
                client.publish("images/new", text, qos=1).wait_for_publish(30)
        finally:
            client.disconnect()
            client.loop_stop()

    return Broker([str(program("mosquitto")), "-c", str(config)], port, folder / "log"), publish


def _of_mosquitto(broker: Broker) -> dict[str, Any]:
    """The source that listens to it."""
    return {"mqtt": f"mqtt://127.0.0.1:{broker.port}", "topic": "images/new", "chain": "reduce"}


def run_mqtt(setting: Setting) -> list[Row]:
    """mosquitto, with a session that outlives the connection."""
    broker, publish = _mosquitto(setting)
    return _run(setting, broker, _of_mosquitto(broker), publish, "MQTT broker (mosquitto)")


def run_replaced(setting: Setting) -> list[Row]:
    """Files that are replaced after their message, of which nothing is said: the products are those of the new ones."""
    count = setting.size(8, 60)
    archive = setting.folder / "archive"
    broker, publish = _mosquitto(setting)
    sources = [{"name": "messages", "roots": [str(archive)], **_of_mosquitto(broker)}]
    new = {archive / f"replaced-{number}.fits": 400 + number for number in range(count)}
    with Observatory(setting.folder, sources=sources) as observatory:
        try:
            broker.start()
            observatory.start()
            wait_for("the source is connected", lambda: _state(observatory) == "ok", every=0.2)
            first = archive / "first.fits"
            put(first, frame(1))
            publish([str(first)])
            observatory.wait_for_job(first.name, "done")
            for path in new:
                put(path, frame(1000 + new[path]))
            when = sorted((setting.rng.uniform(0.0, 1.0), path) for path in new)
            publish([str(path) for path in new])
            told = time.monotonic()
            for delay, path in when:
                time.sleep(max(0.0, told + delay - time.monotonic()))
                put(path, frame(new[path]))
            observatory.daemons[-1].kill()
            observatory.start()
            wait_for("the new versions are done", lambda: all(_is_newest_done(observatory, new).values()), every=0.2)
            require(observatory.daemons[-1].end() == 0, "the daemon did not end well")
        finally:
            broker.stop()
        made = expected_products(new, setting.folder / "truth")
        old = 0
        for path, number in new.items():
            for suffix in ("_cat.fits", "_reduced.fits"):
                name = path.stem + suffix
                problem = differs(observatory.products / name, made / name, number)
                require(not problem, f"{name} {problem}")
            jobs = [job for job in observatory.jobs() if job.path == path]
            versions = [(job.size, job.mtime_ns) for job in jobs]
            require(len(versions) == len({*versions}), f"{path.name} has two jobs for one version: {jobs}")
            states = [str(job.state) for job in jobs]
            require({*states[:-1]} <= {"skipped", "done"} and states[-1] == "done", f"{path.name}: {states}")
            old += len(jobs) - 1
    text = f"{count} products, all of the new files; {old} jobs of old versions are replaced or skipped, and say so"
    return [Row(f"{count} files that are replaced 0–1 s after their message, unsaid, and the daemon is killed", text)]


def _is_newest_done(observatory: Observatory, paths: Iterable[Path]) -> dict[Path, bool]:
    """Of each file, whether its newest job is done, and one for the version that is there."""
    newest = {job.path: job for job in observatory.jobs()}
    return {
        path: path in newest
        and newest[path].state == "done"
        and (newest[path].size, newest[path].mtime_ns) == (path.stat().st_size, path.stat().st_mtime_ns)
        for path in paths
    }


def run_nats(setting: Setting) -> list[Row]:
    """nats-server with JetStream."""
    folder, port = setting.folder / "nats", free_port()
    broker = Broker(
        [str(program("nats-server")), "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(folder)],
        port,
        setting.folder / "nats.log",
    )
    source = {"nats": f"nats://127.0.0.1:{port}", "subject": "images.new", "stream": "IMAGES", "chain": "reduce"}

    async def send(texts: list[str]) -> None:
        import nats

        connection = await nats.connect(f"nats://127.0.0.1:{port}")
        try:
            stream = connection.jetstream()
            await stream.add_stream(name="IMAGES", subjects=["images.new"])
            for text in texts:
                await stream.publish("images.new", text.encode())
        finally:
            await connection.close()

    return _run(setting, broker, source, lambda texts: asyncio.run(send(texts)), "NATS server (nats-server, JetStream)")


def _run(
    setting: Setting, broker: Broker, source: dict[str, Any], publish: Callable[[list[str]], None], name: str
) -> list[Row]:
    count = setting.size(4, 50)
    archive = setting.folder / "archive"
    sources = [{"name": "messages", "roots": [str(archive)], **source}]
    with Observatory(setting.folder, sources=sources) as observatory:
        frames: dict[Path, int] = {}

        def expose() -> list[str]:
            paths = [archive / f"frame-{number}.fits" for number in range(len(frames), len(frames) + count)]
            for path in paths:
                frames[path] = int(path.stem.rpartition("-")[2])
                put(path, frame(frames[path]))
            return [str(path) for path in paths]

        try:
            broker.start()
            publish([])
            daemon = observatory.start()
            wait_for("the source is connected", lambda: _state(observatory) == "ok", every=0.2)
            publish(expose())
            observatory.wait_until_settled(len(frames))

            broker.stop()
            wait_for("the daemon sees that the broker is away", lambda: _state(observatory) != "ok", every=0.2)
            broker.start()
            publish(expose())
            observatory.wait_until_settled(len(frames))

            daemon.kill()
            publish(expose())
            hostile = ["/etc/passwd", str(archive / ".." / "daemon.log"), "\x00", '{"path": 7}', "x" * 5000]
            publish(hostile)
            daemon = observatory.start()
            observatory.wait_until_settled(len(frames) + len(hostile))
        finally:
            broker.stop()
        require(daemon.end() == 0, f"the daemon did not end well: {daemon.last_words()}")
        refused = [job for job in observatory.jobs() if job.path not in frames]
        require(all(job.state == "failed" and (job.error or job.reason) for job in refused), f"not refused: {refused}")
        truth = expected_products(frames, setting.folder / "truth")
        verdict = verify(observatory, frames, truth)
        require(verdict.sound and not verdict.failed, str(verdict))
    return [
        Row(
            f"the {name} is restarted; the daemon is killed, and messages come while it is away",
            f"{verdict.done} of {len(frames)} done, each once; {len(refused)} hostile messages are refused visibly",
        )
    ]


def _state(observatory: Observatory) -> str:
    return next((one["state"] for one in observatory.now()["sources"] if one["name"] == "messages"), "")


def _user() -> str:
    import getpass

    return getpass.getuser()


def _lacks(name: str, module: str) -> str:
    if program(name) is None:
        return f"{name} is not installed"
    return "" if importlib.util.find_spec(module) else f"the Python package {module} is not installed"


REPLACED = Case("replaced", run_replaced, lambda: _lacks("mosquitto", "paho.mqtt"))
MQTT = Case("mqtt", run_mqtt, lambda: _lacks("mosquitto", "paho.mqtt"))
NATS = Case("nats", run_nats, lambda: _lacks("nats-server", "nats"))
