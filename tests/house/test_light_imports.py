"""Importing is cheap: what costs time, or belongs to the daemon alone, is imported where it is used."""

import subprocess
import sys

import pytest

HEAVY = ("numba", "scipy", "photutils", "sep", "PIL", "tifffile", "pyarrow", "pandas", "matplotlib", "astropy.wcs")

DAEMON = (
    "sqlalchemy", "psycopg", "starlette", "uvicorn", "prometheus_client", "fsspec",
    "httpx", "paho", "nats", "etendue.pipeline.daemon", "etendue.pipeline.web",
)  # fmt: skip
"""What the daemon and its page need, and nobody else."""


def loaded_by(program: str) -> list[str]:
    """Modules that a program imports, beyond what astropy imports anyway."""
    text = (
        "import sys, astropy.io.fits, astropy.table\nbefore = set(sys.modules)\n"
        f"{program}\nprint('', *set(sys.modules) - before, sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    return done.stdout.split("\n")


def test_heavy_libraries_are_imported_only_where_they_are_used():
    loaded = loaded_by("import etendue.images")
    assert [name for name in HEAVY if name in loaded] == []


COMMAND = """
from etendue.pipeline.cli import app
try:
    app({arguments}, standalone_mode=False)
except SystemExit:
    pass
"""


@pytest.mark.parametrize(
    "program",
    [
        "import etendue, etendue.images, etendue.processors, etendue.pipeline",
        "from etendue.processors import processors; processors()",
        COMMAND.format(arguments=["--help"]),
        COMMAND.format(arguments=["run", "--help"]),
        COMMAND.format(arguments=["validate", "photometry"]),
        COMMAND.format(arguments=["serve", "--help"]),
        "import etendue.pipeline.running.processes.worker, etendue.pipeline.running.one_image",
    ],
    ids=["import", "processors", "help", "run", "validate", "serve --help", "worker"],
)
def test_what_only_the_daemon_needs_is_imported_by_the_daemon(program):
    loaded = loaded_by(program)
    assert [name for name in DAEMON if name in loaded] == []
