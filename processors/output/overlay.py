"""Draw what is known about an image over its picture: ellipses around sources, their numbers, masked pixels.

Colours are those of Okabe & Ito (2008), which people with any kind of colour vision tell apart.
"""

import math

import numpy as np
from astropy.table import Table
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

CLEAN = (86, 180, 233)
"""Sources without flags: sky blue."""

FLAGGED = (230, 159, 0)
"""Sources with flags: orange."""

MASKED = (204, 121, 167)
"""Masked pixels: reddish purple."""

LINE = 1.3
"""Width of outlines [px of the picture]."""

SMALLEST = 4.0
"""Ellipses are drawn at least this large [px of the picture]."""


def outlines(catalog: Table) -> np.ndarray:
    """Ellipses that show the extent of sources.

    They are the Kron ellipses where the catalogue has them, else three times the standard deviations `a` and `b`,
    and never smaller than the detected pixels; else circles of 1.5 times the full width at half maximum, else of 6 px.

    Parameters
    ----------
    catalog : Table
        With columns ``x, y`` [px]; sources without a finite position are left out.

    Returns
    -------
    (N, 6) array
        x, y, semi-axes [px], angle [rad], row of the catalogue.

    """
    x, y = (_column(catalog, name, np.nan) for name in ("x", "y"))
    a, b = _column(catalog, "a", np.nan), _column(catalog, "b", np.nan)
    kron = _column(catalog, "kron_radius", np.nan)
    factor = np.where(np.isfinite(kron) & (kron > 0), kron, 3.0)
    round_ = 1.5 * _column(catalog, "fwhm", 4.0)
    round_ = np.where(np.isfinite(round_) & (round_ > 0), round_, 6.0)
    shaped = np.isfinite(a) & np.isfinite(b) & (a > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        # A bright star is detected farther out than its Kron ellipse reaches.
        factor = np.fmax(factor, np.sqrt(_column(catalog, "npix", 0.0) / (np.pi * a * b)))
    theta = np.radians(_column(catalog, "theta", 0.0))
    rows = np.arange(len(catalog))
    found = np.column_stack(
        [
            x,
            y,
            np.where(shaped, factor * a, round_),
            np.where(shaped, factor * b, round_),
            np.where(shaped & np.isfinite(theta), theta, 0.0),
            rows,
        ]
    )
    return found[np.isfinite(x) & np.isfinite(y)]


def draw_sources(picture: np.ndarray, catalog: Table, *, factor: float = 1, labels: bool = False) -> np.ndarray:
    """A colour picture with the sources marked, those with flags in another colour.

    Parameters
    ----------
    picture : (h, w) or (h, w, 3) array of uint8
        The picture, top row first: row 0 of the image is at its bottom.
    catalog : Table
        Sources.
    factor : float
        How many pixels of the image are one of the picture.
    labels : bool
        Whether to write each source's number beside it.

    Returns
    -------
    (h, w, 3) array of uint8
    """
    height, width = picture.shape[:2]
    canvas = Pillow.fromarray(picture).convert("RGB")
    ellipses = outlines(catalog)
    flags = np.nan_to_num(_column(catalog, "flags", 0.0))[ellipses[:, 5].astype(int)] != 0
    x = (ellipses[:, 0] + 0.5) / factor - 0.5
    y = height - 1 - ((ellipses[:, 1] + 0.5) / factor - 0.5)
    semi = np.maximum(np.minimum(ellipses[:, 2:4] / factor, max(height, width)), SMALLEST)
    near = (np.abs(x - width / 2) < width / 2 + semi[:, 0]) & (np.abs(y - height / 2) < height / 2 + semi[:, 0])
    for chosen, colour in ((near & ~flags, CLEAN), (near & flags, FLAGGED)):
        if chosen.any():
            shapes = np.column_stack([x, y, semi, ellipses[:, 4]])[chosen]
            canvas.paste(colour, mask=_coverage(shapes, (height, width)))
    if labels:
        numbers = _column(catalog, "id", np.nan)[ellipses[:, 5].astype(int)]
        pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(12)
        for i in np.flatnonzero(near):
            number = int(numbers[i]) if np.isfinite(numbers[i]) else int(ellipses[i, 5]) + 1
            place = (x[i] + semi[i, 0] + 2, y[i] - semi[i, 0])
            pen.text(place, str(number), fill=FLAGGED if flags[i] else CLEAN, font=font)
    return np.asarray(canvas)


def draw_mask(picture: np.ndarray, mask: np.ndarray, factor: int = 1) -> np.ndarray:
    """A colour picture with the masked pixels tinted.

    Parameters
    ----------
    picture : (h, w) or (h, w, 3) array of uint8
        The picture, top row first.
    mask : (H, W) array
        Non-zero is masked; the first row is at the bottom of the picture.
    factor : int
        Pixels of the image per pixel of the picture; a pixel is tinted if any of its block is masked.
    """
    height, width = picture.shape[:2]
    blocks = (mask != 0)[: height * factor, : width * factor].reshape(height, factor, width, factor)
    veil = Pillow.fromarray(blocks.any(axis=(1, 3))[::-1] * np.uint8(130))
    canvas = Pillow.fromarray(picture).convert("RGB")
    canvas.paste(MASKED, mask=veil)
    return np.asarray(canvas)


def _coverage(ellipses: np.ndarray, shape: tuple[int, int]) -> Pillow.Image:
    """How much of each pixel the outlines cover, 0 to 255.

    The distance of a pixel from an outline is taken to first order: |r - 1| over the gradient of the elliptical
    radius r.
    """
    height, width = shape
    cover = np.zeros(shape, dtype=np.float32)
    for x, y, a, b, theta in ellipses.tolist():
        cos, sin = math.cos(theta), math.sin(theta)
        half = math.hypot(a * cos, b * sin) + 2, math.hypot(a * sin, b * cos) + 2
        left, right = max(0, math.floor(x - half[0])), min(width, math.ceil(x + half[0]) + 1)
        top, bottom = max(0, math.floor(y - half[1])), min(height, math.ceil(y + half[1]) + 1)
        if left >= right or top >= bottom:
            continue
        u = np.arange(left, right, dtype=np.float32) - x
        v = y - np.arange(top, bottom, dtype=np.float32)[:, None]  # up is positive, as in the image
        along, across = (u * cos + v * sin) / a, (v * cos - u * sin) / b
        radius = np.maximum(np.hypot(along, across), 1e-6)
        distance = np.abs(radius - 1) * radius / np.maximum(np.hypot(along / a, across / b), 1e-9)
        box = cover[top:bottom, left:right]
        np.maximum(box, np.clip(LINE / 2 + 0.5 - distance, 0, 1), out=box)
    return Pillow.fromarray((cover * 255).astype(np.uint8))


def _column(catalog: Table, name: str, default: float) -> np.ndarray:
    if name not in catalog.colnames:
        return np.full(len(catalog), default)
    return np.ma.filled(np.ma.asarray(catalog[name], dtype=float), np.nan)
