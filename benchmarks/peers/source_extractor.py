"""The program SExtractor: everything in one call, as an operator's script would do it."""

import shutil
import subprocess
import time
from pathlib import Path

from astropy.io import fits
from serve import peak_bytes

PARAMETERS = """NUMBER
X_IMAGE
Y_IMAGE
ERRX2_IMAGE
ERRY2_IMAGE
XWIN_IMAGE
YWIN_IMAGE
XPEAK_IMAGE
YPEAK_IMAGE
FLUX_ISO
FLUX_MAX
FLUX_AUTO
FLUXERR_AUTO
KRON_RADIUS
FLUX_RADIUS(3)
A_IMAGE
B_IMAGE
THETA_IMAGE
FWHM_IMAGE
ISOAREA_IMAGE
BACKGROUND
FLUX_APER(3)
FLUXERR_APER(3)
FLAGS
"""
KERNEL = "CONV NORM\n1 2 1\n2 4 2\n1 2 1\n"
SETTINGS = {
    "CATALOG_TYPE": "FITS_1.0",
    "DETECT_THRESH": "1.5",
    "ANALYSIS_THRESH": "1.5",
    "DETECT_MINAREA": "5",
    "DEBLEND_NTHRESH": "32",
    "DEBLEND_MINCONT": "0.005",
    "BACK_SIZE": "64",
    "BACK_FILTERSIZE": "3",
    "PHOT_APERTURES": "6,10,16",
    "PHOT_FLUXFRAC": "0.25,0.5,0.75",
    "VERBOSE_TYPE": "QUIET",
}

program_peak = 0
"""Largest resident memory of the program [byte], watched in the first round, which is not timed."""


def program() -> str | None:
    """Where SExtractor is, or None."""
    return shutil.which("source-extractor") or shutil.which("sex")


def chain(frame: Path, output: Path) -> int:
    """One call of the program."""
    folder = output.parent
    (folder / "chain.param").write_text(PARAMETERS)
    (folder / "chain.conv").write_text(KERNEL)
    (folder / "chain.sex").touch()
    command = [str(program()), str(frame), "-c", str(folder / "chain.sex"), "-CATALOG_NAME", str(output)]
    command += ["-PARAMETERS_NAME", str(folder / "chain.param"), "-FILTER_NAME", str(folder / "chain.conv")]
    for key, value in SETTINGS.items():
        command += [f"-{key}", value]
    if program_peak:
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    else:
        watch(command)
    return fits.getheader(output, 1)["NAXIS2"]


def watch(command: list[str]) -> None:
    """Run the program and look at its memory every few milliseconds."""
    global program_peak
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as running:
        while running.poll() is None:
            program_peak = max(program_peak, peak_bytes(running.pid))
            time.sleep(0.002)
    if running.returncode:
        raise RuntimeError(f"{command[0]} ended with {running.returncode}")
