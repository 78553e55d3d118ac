"""Importing the images is cheap: what costs time is imported where it is used."""

import subprocess
import sys

HEAVY = ("numba", "scipy", "photutils", "sep", "PIL", "tifffile", "pyarrow", "pandas", "matplotlib", "astropy.wcs")


def test_heavy_libraries_are_imported_only_where_they_are_used():
    program = (
        "import sys, astropy.io.fits, astropy.table\nbefore = set(sys.modules)\nimport etendue.images\n"
        "print(*set(sys.modules) - before)"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert [name for name in HEAVY if name in loaded] == []
