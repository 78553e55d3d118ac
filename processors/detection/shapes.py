"""Fluxes, radii and windowed positions of extracted sources."""

from typing import Any

import numpy as np

from ...images.flags import SourceFlag

KRON_REACH = 6.0
"""Size of the ellipse in which the Kron radius is measured, in units of a and b."""

KRON_FACTOR = 2.5
"""Size of the automatic aperture [Kron radii]."""

SMALLEST_RADIUS = 1.75
"""Sources whose automatic aperture would be smaller are measured in a circle of this radius [px]."""

FRACTIONS = (0.25, 0.5, 0.75)
"""Parts of the flux whose radii are measured."""


def measure_shapes(
    data: np.ndarray, objects: np.ndarray, bad: np.ndarray | None, noise: Any, gain: float | None
) -> dict[str, np.ndarray]:
    """Catalogue columns that are measured beyond the extraction itself.

    Parameters
    ----------
    data : (H, W) array
        Background-subtracted pixels as sep wants them.
    objects : structured array
        From :func:`extract_sources`.
    bad : (H, W) uint8 array or None
        Pixels that are left out.
    noise : float or (H, W) array
        Standard deviation of the sky.
    gain : float or None
        Electrons per unit of `data`; None leaves photon noise out.

    Returns
    -------
    dict of (N,) arrays
        ``kron_radius, flux_auto, flux_auto_err, flux_radius_25 …, xwin, ywin, flags``; NaN where a value cannot be
        measured.

    References
    ----------
    Kron, R. G. 1980, ApJS 43, 305.
    Bertin, E. & Arnouts, S. 1996, A&AS 117, 393, section 7.4.
    """
    import sep

    from .growth import light_radii
    from .windowed import windowed_centroids

    n = len(objects)
    names = ("kron_radius", "flux_auto", "flux_auto_err", "xwin", "ywin", *_radius_names())
    columns = {name: np.full(n, np.nan) for name in names}
    flags = objects["flag"].astype(np.int32)
    x, y, a, b = (objects[name] for name in ("x", "y", "a", "b"))
    theta = np.clip(objects["theta"], -np.pi / 2, np.pi / 2)
    fit = np.isfinite(x + y + a + b + theta) & (b > 0)
    flags[~fit] |= SourceFlag.SINGULAR
    if not fit.any():
        return columns | {"flags": flags}
    noise_options = {"err": noise, "mask": bad} | ({} if gain is None else {"gain": gain})
    x, y, a, b, theta = (np.ascontiguousarray(values[fit], dtype=np.float64) for values in (x, y, a, b, theta))

    kron, bits = sep.kron_radius(data, x, y, a, b, theta, KRON_REACH, mask=bad)
    small = ~(KRON_FACTOR * kron * np.sqrt(a * b) >= SMALLEST_RADIUS)
    kron_safe = np.where(small, 1.0, kron)
    flux, error, aperture_bits = sep.sum_ellipse(
        data, x, y, a, b, theta, KRON_FACTOR * kron_safe, subpix=5, **noise_options
    )
    if small.any():
        circle = sep.sum_circle(data, x[small], y[small], SMALLEST_RADIUS, subpix=5, **noise_options)
        flux[small], error[small], aperture_bits[small] = circle
    # A Kron radius that cannot be measured is expected for faint sources, which then have a circle: no flag for that.
    bits = np.where(small, 0, bits & ~int(SourceFlag.NOT_POSITIVE)) | aperture_bits

    excluded = np.empty((0, 0), dtype=np.uint8) if bad is None else bad
    radii, xwin, ywin = np.empty((len(x), len(FRACTIONS))), np.empty(len(x)), np.empty(len(x))
    light_radii(data, excluded, x, y, KRON_REACH * a, flux, np.array(FRACTIONS), radii)
    bits = bits | np.where(np.isnan(radii[:, 1]), int(SourceFlag.NOT_POSITIVE), 0)
    window = 2.0 / np.sqrt(8 * np.log(2.0)) * radii[:, 1]  # as wide as a Gaussian with this half-light radius
    windowed_centroids(data, excluded, x, y, window, 2 * np.maximum(a, 1.0), xwin, ywin)

    flags[fit] |= bits.astype(np.int32)
    measured = {"kron_radius": np.where(small & ~(kron > 0), np.nan, kron), "flux_auto": flux, "flux_auto_err": error}
    measured |= {"xwin": xwin, "ywin": ywin} | dict(zip(_radius_names(), radii.T, strict=True))
    for name, values in measured.items():
        columns[name][fit] = values
    return columns | {"flags": flags}


def _radius_names() -> list[str]:
    return [f"flux_radius_{round(100 * fraction)}" for fraction in FRACTIONS]
