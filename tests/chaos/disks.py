"""Small disks, mounted where a daemon reads or writes."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def small_disk(folder: Path, size: str = "2m") -> Iterator[Path]:
    """A tmpfs of a size, mounted on a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    mount("-t", "tmpfs", "-o", f"size={size}", "chaos", folder)
    try:
        yield folder
    finally:
        unmount(folder)


def mount(*arguments: object) -> None:
    """The program `mount`."""
    subprocess.run(["mount", *map(str, arguments)], check=True, capture_output=True)


def unmount(folder: Path) -> None:
    """Unmount a folder, also if somebody is reading from it at the moment."""
    subprocess.run(["umount", "--lazy", str(folder)], check=True, capture_output=True)


def cannot_mount() -> str:
    """Why file systems cannot be mounted here; empty if they can."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return "only root can mount file systems"
    try:
        with tempfile.TemporaryDirectory() as folder, small_disk(Path(folder) / "probe"):
            return ""
    except subprocess.CalledProcessError as error:
        return f"file systems cannot be mounted here: {error.stderr.decode().strip()}"
