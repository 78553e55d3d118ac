"""Importing the images is cheap: what costs time is imported where it is used."""

import subprocess
import sys

HEAVY = ("numba", "scipy", "photutils", "sep", "PIL", "tifffile", "pyarrow", "pandas", "matplotlib", "astropy.wcs")


def seconds_to_import(module: str) -> float:
    """Shortest time of three to import a module on top of astropy's FITS and tables, in fresh interpreters [s]."""
    program = (
        "import time, astropy.io.fits, astropy.table\n"
        f"start = time.perf_counter()\nimport {module}\nprint(time.perf_counter() - start)"
    )
    return min(
        float(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout)
        for _ in range(3)
    )


def test_images_import_in_half_a_second_beyond_astropy():
    assert seconds_to_import("etendue.images") < 0.5


def test_heavy_libraries_are_imported_only_where_they_are_used():
    program = (
        "import sys, astropy.io.fits, astropy.table\nbefore = set(sys.modules)\nimport etendue.images\n"
        "print(*set(sys.modules) - before)"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert [name for name in HEAVY if name in loaded] == []
