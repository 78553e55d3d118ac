"""The parts of an image as plain data: what readers return and writers take."""

from dataclasses import dataclass

import numpy as np
from astropy.io import fits
from astropy.table import Table

from .provenance import Activity


@dataclass(slots=True)
class Planes:
    """The content of one image, unchecked and without behaviour.

    Readers, writers and geometry work on it, so that they need not know :class:`Image`.

    Attributes
    ----------
    data : (H, W), (3, H, W) or (T, H, W) array
        Pixel values, native byte order.
    header : astropy.io.fits.Header
        Header cards, without the structural ones (SIMPLE, BITPIX, BZERO …).
    mask : (H, W) array of bool or integer
        Non-zero is excluded; integers are bits of :class:`PixelFlag`.
    uncertainty : (H, W) array
        One standard deviation, in the unit of `data`.
    catalog : astropy.table.Table
        Sources, with units and descriptions on the columns.
    raw : array
        The pixels before calibration.
    axes : {"YX", "CYX", "TYX"}
        What the axes of `data` are; None lets the shape and the header decide.
    provenance : tuple of Activity
        What has been done to the image so far.
    """

    data: np.ndarray | None = None
    header: fits.Header | None = None
    mask: np.ndarray | None = None
    uncertainty: np.ndarray | None = None
    catalog: Table | None = None
    raw: np.ndarray | None = None
    axes: str | None = None
    provenance: tuple[Activity, ...] = ()
