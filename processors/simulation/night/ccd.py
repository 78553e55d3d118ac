"""A CCD with everything that a calibration has to undo: the camera of a simulated night."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field, NonNegativeFloat, NonNegativeInt
from scipy.ndimage import gaussian_filter

from ..camera import Camera, bleed

HOT = 2.0
"""Pixels with at least this much dark current count as hot [electron/s]."""

HOTTEST = 400.0
"""No pixel has more: it would overflow into its neighbours in a few minutes [electron/s]."""

DEAD = 0.7
"""Pixels that see less of the light than this count as dead."""


class CCDCamera(Camera):
    """Properties of a simulated CCD. Its converter ends before its wells are full: saturated pixels read 65535."""

    name: str = Field("Etendue simulated CCD", description="card INSTRUME")
    bias: NonNegativeFloat = Field(1000.0, description="mean level of a pixel without light [adu]")
    full_well: float = Field(105_000.0, gt=0, description="charge that a pixel holds [electron]")
    bleeding: bool = Field(True, description="charge above the full well flows along the column")
    vignetting: float = Field(0.22, ge=0, lt=1, description="part of the light that is lost in the corners")
    overscan: NonNegativeInt = Field(32, description="columns that are read after the last pixel of each row [px]")
    bias_structure: NonNegativeFloat = Field(
        1.0, description="fixed pattern: ramps at the first rows and columns, stripes; 1 is typical"
    )
    bias_drift: NonNegativeFloat = Field(1.5, description="wandering of the level during the night [adu]")
    row_noise: NonNegativeFloat = Field(
        0.15, description="noise that the pixels of a row share, overscan included [adu]"
    )
    dark_current: NonNegativeFloat = Field(0.05, description="charge that heat frees in a good pixel [electron/s]")
    glow: NonNegativeFloat = Field(0.3, description="light of the output amplifier in its corner [electron/s]")
    hot_pixels: float = Field(4e-4, ge=0, lt=1, description="part of the pixels with a much larger dark current")
    bad_columns: NonNegativeInt = Field(3, description="columns that are dead, or hot, or dead above a defect")
    dead_pixels: float = Field(3e-5, ge=0, lt=1, description="part of the pixels that see little light")
    pixel_response: NonNegativeFloat = Field(0.01, description="standard deviation of the response of the pixels")
    coating: NonNegativeFloat = Field(0.006, description="standard deviation of smooth waves of the response")
    dust: NonNegativeInt = Field(9, description="grains on the window and on each filter, seen as rings")
    cosmic_rays: NonNegativeFloat = Field(0.14, description="particle hits of a million pixels [1/s]")


@dataclass(frozen=True, slots=True)
class CCDMaps:
    """What the calibration frames of a simulated camera show; all arrays are float32.

    Attributes
    ----------
    bias : (H, W + overscan) array
        Fixed pattern, to be added to the level [adu].
    dark : (H, W) array
        Dark current [electron/s].
    response : dict of (H, W) array
        Part of the light that each pixel sees, by filter; the median is 1.
    bad : (H, W) bool array
        Pixels that are hot or dead.
    """

    bias: np.ndarray
    dark: np.ndarray
    response: dict[str, np.ndarray]
    bad: np.ndarray


CLEAR = 22
"""No defect lies as near as this to a star that is to be watched: an observer points the telescope so [px]."""


def make_maps(
    camera: CCDCamera,
    shape: tuple[int, int],
    filters: tuple[str, ...],
    seed: int,
    *,
    clear: Sequence[tuple[float, float]] = (),
) -> CCDMaps:
    """The properties of every pixel.

    Parameters
    ----------
    camera : CCDCamera
        How much there is of everything.
    shape : (int, int)
        Rows and columns that see light.
    filters : tuple of str
        Names of the filters.
    seed : int
        Start of the random numbers.
    clear : sequence of (float, float)
        Places (x, y) around which no pixel is hot or dead [px].
    """
    rng = np.random.default_rng([seed, 1])
    free = _free(shape, clear)
    dark, quantum = _dark_current(camera, shape, free, rng), _pixel_response(camera, shape, free, rng)
    for kind, column, first in _bad_columns(camera, shape, clear, rng):
        if kind == "hot":
            dark[first:, column] += rng.uniform(5, 25)
        else:
            quantum[first:, column] *= rng.uniform(0.0, 0.35) if kind == "dead above" else 0.02
    window = dust(shape, camera.dust, rng, radius=(0.012, 0.026), depth=(0.015, 0.06))
    optics = vignetting(shape, camera.vignetting) * window * quantum
    response = {}
    for number, name in enumerate(filters):
        # Grains on a filter are farther from the detector: larger and fainter rings.
        grains = np.random.default_rng([seed, 2, number])
        seen = optics * dust(shape, camera.dust // 2, grains, radius=(0.04, 0.075), depth=(0.005, 0.015))
        response[name] = (seen / np.median(seen)).astype(np.float32)
    bad = (dark >= HOT) | (quantum < DEAD)
    return CCDMaps(_bias_pattern(camera, shape, rng), dark, response, bad)


def read_raw(
    light: np.ndarray,
    seconds: float,
    *,
    camera: CCDCamera,
    maps: CCDMaps,
    rng: np.random.Generator,
    level: float | None = None,
    hits: np.ndarray | None = None,
) -> np.ndarray:
    """What the file of an exposure holds: pixels and, to their right, the overscan.

    Parameters
    ----------
    light : (H, W) array
        Expected electrons that light frees; zeros with a closed shutter.
    seconds : float
        Exposure time [s], for the dark current.
    camera, maps : CCDCamera, CCDMaps
        The detector.
    rng : numpy.random.Generator
        Source of all noise.
    level : float
        Level of the bias in this exposure [adu].
    hits : (H, W) array
        Charge left by particles [electron].

    Returns
    -------
    (H, W + overscan) uint16 array
        [adu]; saturated pixels have ``camera.saturation``.
    """
    height, width = light.shape
    charge = np.zeros((height, width + camera.overscan), dtype=np.float32)
    pixels = rng.poisson(light + maps.dark * np.float32(seconds)).astype(np.float32)
    if hits is not None:
        pixels += hits
    if camera.bleeding:
        bleed(pixels, np.float32(camera.full_well))
    np.minimum(pixels, np.float32(camera.full_well), out=charge[:, :width])
    charge += np.float32(camera.read_noise) * rng.standard_normal(charge.shape, dtype=np.float32)
    charge /= np.float32(camera.gain)
    charge += maps.bias
    charge += np.float32(camera.bias if level is None else level)
    charge += np.float32(camera.row_noise) * rng.standard_normal((height, 1), dtype=np.float32)
    np.rint(charge, out=charge)
    return np.clip(charge, 0, camera.saturation, out=charge).astype(np.uint16)


def vignetting(shape: tuple[int, int], loss: float) -> np.ndarray:
    """Throughput of the optics: slow loss at first, faster near the corners; the axis misses the middle a little.

    Returns
    -------
    (H, W) float32 array
        1 on the axis, about ``1 - loss`` in the corners.
    """
    y, x = (np.linspace(-1, 1, n, dtype=np.float32) for n in shape)
    square = ((x - 0.05) ** 2 + (y[:, None] + 0.07) ** 2) / 2
    return 1 - np.float32(loss) * (0.6 * square + 0.4 * square**2)


def dust(
    shape: tuple[int, int],
    count: int,
    rng: np.random.Generator,
    *,
    radius: tuple[float, float],
    depth: tuple[float, float],
) -> np.ndarray:
    """Shadows of grains out of focus: images of the telescope's pupil, with the hole of its secondary mirror.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns.
    count : int
        How many grains.
    rng : numpy.random.Generator
        Source of places and sizes.
    radius : (float, float)
        Smallest and largest outer radius, in sides of the frame.
    depth : (float, float)
        Least and largest part of the light that a grain takes.

    Returns
    -------
    (H, W) float32 array
        Throughput.
    """
    side = max(shape)
    out = np.ones(shape, dtype=np.float32)
    for _ in range(count):
        x, y = rng.uniform(0, shape[1]), rng.uniform(0, shape[0])
        outer = max(3.0, rng.uniform(*radius) * side)
        taken, edge = rng.uniform(*depth), max(0.8, 0.07 * outer)
        # The farther off the axis, the more the mirror's hole moves away from the middle of the ring.
        hole = x + (x / shape[1] - 0.5) * 0.3 * outer, y + (y / shape[0] - 0.5) * 0.3 * outer
        low = [max(0, int(c - 1.5 * outer)) for c in (y, x)]
        high = [min(n, int(c + 1.5 * outer) + 2) for n, c in zip(shape, (y, x), strict=True)]
        v, u = np.mgrid[low[0] : high[0], low[1] : high[1]]
        disk = _soft_disk(np.hypot(u - x, v - y), outer, edge)
        ring = disk - 0.9 * _soft_disk(np.hypot(u - hole[0], v - hole[1]), 0.38 * outer, edge)
        out[low[0] : high[0], low[1] : high[1]] *= (1 - taken * ring).astype(np.float32)
    return out


def _soft_disk(distance: np.ndarray, radius: float, edge: float) -> np.ndarray:
    return 0.5 * (1 - np.tanh((distance - radius) / edge))


def _bias_pattern(camera: CCDCamera, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    height, width = shape
    y, x = np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)
    pattern = np.zeros((height, width + camera.overscan), dtype=np.float32)
    stripes = 0.5 * rng.standard_normal(width) + 0.4 * np.sin(2 * np.pi * x / 64)
    pattern[:, :width] += stripes + 4 * np.exp(-x / 25) + 0.4 * rng.standard_normal(shape)
    pattern += 3 * np.exp(-y / 60)  # the electronics settle while the first rows are read: the overscan sees it too
    return (camera.bias_structure * pattern).astype(np.float32)


def _free(shape: tuple[int, int], clear: Sequence[tuple[float, float]]) -> np.ndarray:
    """Where pixels may be hot or dead."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    free = np.ones(shape, dtype=bool)
    for place in clear:
        free &= np.hypot(x - place[0], y - place[1]) > CLEAR
    return free


def _dark_current(camera: CCDCamera, shape: tuple[int, int], free: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    height, width = shape
    y, x = np.arange(height, dtype=np.float32)[:, None] / height, np.arange(width, dtype=np.float32) / width
    dark = camera.dark_current * rng.lognormal(0, 0.25, shape)
    dark += camera.glow * np.exp(-np.hypot(1 - x, 1 - y) / 0.12)
    hot = (rng.random(shape) < camera.hot_pixels) & free
    dark[hot] += 10 ** rng.uniform(np.log10(HOT), np.log10(HOTTEST), int(hot.sum()))
    return dark.astype(np.float32)


def _pixel_response(
    camera: CCDCamera, shape: tuple[int, int], free: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    response = 1 + camera.pixel_response * rng.standard_normal(shape)
    waves = gaussian_filter(rng.standard_normal(shape), 0.09 * max(shape), mode="wrap")
    response *= 1 + camera.coating * waves / max(float(waves.std()), 1e-12)
    dead = (rng.random(shape) < camera.dead_pixels) & free
    response[dead] *= rng.uniform(0.05, 0.6, int(dead.sum()))
    return np.maximum(response, 0.01).astype(np.float32)


def _bad_columns(
    camera: CCDCamera, shape: tuple[int, int], clear: Sequence[tuple[float, float]], rng: np.random.Generator
) -> list[tuple[str, int, int]]:
    """Kind, column and first row of each; charge is read towards row 0, so a defect spoils what lies above it."""
    possible = [x for x in range(shape[1]) if all(abs(x - place[0]) > CLEAR for place in clear)]
    columns = rng.choice(possible, size=min(camera.bad_columns, len(possible)), replace=False)
    kinds = ("dead above", "hot", "dead")
    found = []
    for number, column in enumerate(columns):
        kind = kinds[number % len(kinds)]
        found.append((kind, int(column), 0 if kind == "dead" else int(rng.uniform(0.15, 0.75) * shape[0])))
    return found
