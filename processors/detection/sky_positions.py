"""Positions of sources on the sky."""

import numpy as np

from ...images import Image, ImageError


def sky_positions(image: Image, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Right ascension and declination (ICRS) [deg] of 0-based pixel positions.

    Returns
    -------
    ra, dec : (N,) arrays, or None and None
        None where the header has no celestial coordinates, or none that can be used: they are found later, by a step
        that solves the field.
    """
    try:
        wcs = image.wcs
    except ImageError:
        return None, None
    if wcs is None:
        return None, None
    if not len(x):
        return np.empty(0), np.empty(0)
    position = wcs.pixel_to_world(np.asarray(x), np.asarray(y))
    if getattr(position, "name", None) != "icrs":
        position = position.icrs
    return np.asarray(position.ra.deg), np.asarray(position.dec.deg)
