"""A PostgreSQL server of our own, for as long as a case lasts."""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from .observatory import free_port

BINARIES = "/usr/lib/postgresql"


def folder_of_programs() -> Path | None:
    """Where initdb and pg_ctl are; the newest version of several."""
    found = sorted(Path(BINARIES).glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if found:
        return found[-1].parent
    elsewhere = shutil.which("initdb")
    return Path(elsewhere).resolve().parent if elsewhere else None


def lacking() -> str:
    """Why there can be no server here; empty if there can be."""
    if folder_of_programs() is None:
        return "PostgreSQL is not installed"
    return "" if importlib.util.find_spec("psycopg") else "the Python package psycopg is not installed"


class Server:
    """A server with its own data, on a free port of this machine.

    Parameters
    ----------
    log : Path
        Where its log goes at the end. Its data are elsewhere: as root it runs as another user, who
        may not read that folder.
    """

    def __init__(self, log: Path) -> None:
        programs = folder_of_programs()
        assert programs is not None
        self._programs = programs
        self._data = Path(tempfile.mkdtemp(prefix="etendue-postgresql-"))
        self._log = log
        self.port = free_port()
        self._user = _other_user() if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(self._data, self._user)

    def url(self, database: str) -> str:
        """Address of a database; it is made."""
        statement = f'CREATE DATABASE "{database}"'
        self._call("psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "chaos", "-d", "postgres", "-c", statement)
        return f"postgresql://chaos@127.0.0.1:{self.port}/{database}"

    def restart(self) -> None:
        """Break all connections, as a restart of the machine does, and come back."""
        self._control("restart", "-m", "immediate")

    def __enter__(self) -> Self:
        data = str(self._data / "data")
        self._call("initdb", "-D", data, "-U", "chaos", "-A", "trust", "-E", "UTF8", "--no-sync")
        self._control("start")
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            self._control("stop", "-m", "immediate")
        finally:
            shutil.copy(self._data / "log", self._log)
            shutil.rmtree(self._data)

    def _control(self, *command: str) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._data}"
        self._call(
            "pg_ctl", "-D", str(self._data / "data"), "-w", "-l", str(self._data / "log"), "-o", options, *command
        )

    def _call(self, name: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._programs / name), *arguments],
            user=self._user,
            group=None if self._user is None else pwd.getpwnam(self._user).pw_gid,
            extra_groups=None if self._user is None else [],
            cwd=self._data,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{name} {' '.join(arguments)}: {done.stdout}")


def _other_user() -> str:
    """A user without rights: PostgreSQL refuses to run as root."""
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
