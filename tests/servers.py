"""Servers from Debian that tests need, each started for a session of tests and ended with it."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

POSTGRESQL = Path("/usr/lib/postgresql")
"""Debian keeps the programs of each version in a folder of its own."""

PATIENCE = 60.0
"""A server on a busy machine may need so long to answer [s]."""


def lacking(what: str) -> None:
    """Skip a test for lack of a program; on a CI machine that is a failure."""
    text = f"{what} is not installed; `make test` says how to"
    if os.environ.get("CI"):
        pytest.fail(text)
    pytest.skip(text)


def postgresql_programs() -> Path | None:
    """Folder of the newest PostgreSQL's programs."""
    if POSTGRESQL.is_dir():
        found = [version / "bin" for version in POSTGRESQL.iterdir() if (version / "bin/postgres").exists()]
        if found:
            return max(found, key=lambda folder: float(folder.parent.name))
    program = shutil.which("postgres")
    return None if program is None else Path(program).parent


class PostgreSQL:
    """A PostgreSQL server with its data in a temporary folder; reached by TCP on loopback.

    Parameters
    ----------
    folder : Path
        For its data and its log. It belongs to the user that runs the server.
    programs : Path
        Where ``postgres`` and ``initdb`` are.
    """

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._programs = programs
        self._databases = 0
        self._process: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        """Make an empty cluster."""
        arguments = ["--auth=trust", "--username=etendue", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        self._run("initdb", f"--pgdata={self.data}", *arguments)

    @property
    def data(self) -> Path:
        """The folder with the data."""
        return self.folder / "data"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": "100"}
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        command = [str(self._programs / "postgres"), "-D", str(self.data), "-p", str(self.port), *options]
        with (self.folder / "server.log").open("ab") as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self.folder, **_as_nobody()
            )
        self.wait()

    def wait(self) -> None:
        """Wait until it answers."""
        import psycopg

        give_up = time.monotonic() + PATIENCE
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                ended = self._process is None or self._process.poll() is not None
                if ended or time.monotonic() > give_up:
                    pytest.fail(f"PostgreSQL does not start:\n{(self.folder / 'server.log').read_text()[-2000:]}")
                time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it; SIGINT at once but in order, SIGQUIT as in a power failure."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=PATIENCE)
            self._process = None

    def url(self, database: str) -> str:
        """Address of a database."""
        return f"postgresql://etendue@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Make an empty database; gives its address."""
        import psycopg

        self._databases += 1
        name = f"test{self._databases}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Remove a database, whoever is still connected to it."""
        import psycopg

        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")  # type: ignore[arg-type]

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.folder, check=False, **_as_nobody())
        if done.returncode != 0:
            pytest.fail(f"{program} failed:\n{done.stdout}\n{done.stderr}")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _as_nobody() -> dict[str, object]:
    """PostgreSQL refuses to run as root: run it as the user that Debian made for it, or as nobody."""
    if os.geteuid() != 0:
        return {}
    import pwd

    names = {user.pw_name for user in pwd.getpwall()}
    user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@contextmanager
def postgresql_server() -> Iterator[PostgreSQL]:
    """A running PostgreSQL server. A test that asks for it is skipped where it is not installed."""
    programs = postgresql_programs()
    if programs is None:
        lacking("PostgreSQL")
        raise AssertionError
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(
        prefix="etendue-postgresql-", dir=memory if memory.is_dir() else None, ignore_cleanup_errors=True
    ) as made:
        folder = Path(made)
        if user := _as_nobody():
            os.chown(folder, int(str(user["user"])), int(str(user["group"])))
        server = PostgreSQL(folder, programs)
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.stop(signal.SIGQUIT)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL server for all tests of this process."""
    with postgresql_server() as server:
        yield server
