"""Plain numpy and sep, written by hand for this one job: no image class, no checks, no provenance."""

from pathlib import Path

import numpy as np
import sep
from astropy.io import fits
from astropy.table import Table

RADII = (3.0, 5.0, 8.0)


def read(frame: Path) -> tuple[np.ndarray, float | None]:
    """Pixels in float32, and the gain."""
    with fits.open(frame, do_not_scale_image_data=True, memmap=False) as hdus:
        zero = hdus[0].header.get("BZERO", 0)
        gain = hdus[0].header.get("GAIN")
        data = hdus[0].data.astype(np.float32)
    if zero:
        data += np.float32(zero)
    return data, gain


def chain(frame: Path, output: Path) -> int:
    """Read, background, detect, three apertures, write."""
    return measure(*read(frame), output)


def measure(data: np.ndarray, gain: float | None, output: Path) -> int:
    """Background, detect, three apertures, write."""
    sky = sep.Background(data, bw=64, bh=64, fw=3, fh=3)
    sky.subfrom(data)
    rms = sky.globalrms
    found = sep.extract(
        data, 1.5, err=rms, minarea=5, deblend_nthresh=32, deblend_cont=0.005, clean=True, clean_param=1.0
    )
    x, y, a, b, theta = (found[name] for name in ("x", "y", "a", "b", "theta"))
    theta = np.clip(theta, -np.pi / 2, np.pi / 2)  # float32 rounds beyond what sep takes
    kron, _ = sep.kron_radius(data, x, y, a, b, theta, 6.0)
    small = ~(kron * np.sqrt(a * b) >= 1.75)
    scale = 2.5 * np.where(small, 1.0, kron)
    flux_auto, error_auto, flags = sep.sum_ellipse(data, x, y, a, b, theta, scale, err=rms, gain=gain, subpix=5)
    circle = sep.sum_circle(data, x[small], y[small], 1.75, err=rms, gain=gain, subpix=5)
    flux_auto[small], error_auto[small], flags[small] = circle
    radii, _ = sep.flux_radius(data, x, y, 6.0 * a, [0.25, 0.5, 0.75], normflux=flux_auto, subpix=5)
    xwin, ywin, _ = sep.winpos(data, x, y, 2.0 / 2.35 * np.where(radii[:, 1] > 0, radii[:, 1], 1.0))
    columns = {
        "id": np.arange(1, len(found) + 1),
        "x": x,
        "y": y,
        "x_err": np.sqrt(found["errx2"]),
        "y_err": np.sqrt(found["erry2"]),
        "xwin": xwin,
        "ywin": ywin,
        "xpeak": found["xpeak"],
        "ypeak": found["ypeak"],
        "flux": found["flux"],
        "peak": found["peak"],
        "a": a,
        "b": b,
        "theta": np.rad2deg(theta),
        "fwhm": 2 * np.sqrt(np.log(2) * (a**2 + b**2)),
        "ellipticity": 1 - b / a,
        "npix": found["npix"],
        "kron_radius": kron,
        "flux_auto": flux_auto,
        "flux_auto_err": error_auto,
        "flux_radius_25": radii[:, 0],
        "flux_radius_50": radii[:, 1],
        "flux_radius_75": radii[:, 2],
        "flags": found["flag"] | flags,
    }
    for k, radius in enumerate(RADII, start=1):
        flux, error, flag = sep.sum_circle(data, x, y, radius, err=rms, gain=gain)
        columns |= {f"flux_aper_{k}": flux, f"flux_err_aper_{k}": error, f"flags_aper_{k}": flag}
    Table(columns).write(output, format="fits", overwrite=True)
    return len(found)
