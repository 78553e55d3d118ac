"""The fields of a simulated night: the one that is followed, with its stars to watch, and the blank one for flats."""

import numpy as np
from astropy.table import Table, vstack

from ....images.coordinates import celestial_wcs
from ..exposure import pointing
from ..field import make_sky
from .light_curves import PulsatingStar, TransitingPlanet

CLEARED = 14.0
"""No other source lies as near as this to a star that is to be watched; bright and large ones stay farther off [px]."""

PLACES = {"variable": (0.60, 0.57), "transit": (0.37, 0.44)}
"""Where the stars to watch lie, in sides of the frame."""

COMPARISONS = ((0.22, 0.70), (0.46, 0.81), (0.80, 0.74), (0.77, 0.26), (0.30, 0.21), (0.53, 0.33))
"""Where steady stars of similar brightness lie, in sides of the frame."""

BRIGHT = {11.3: (0.88, 0.52), 12.4: (0.10, 0.42)}
"""Magnitudes and places of stars that saturate and bleed, in sides of the frame."""


def watched_places(shape: tuple[int, int]) -> np.ndarray:
    """Where the stars to watch and those to compare them with lie on the first frame.

    Returns
    -------
    (N, 2) array
        x and y: the variable star, the one with a planet, then those for comparison [px].
    """
    return np.array([*PLACES.values(), *COMPARISONS]) * (shape[1] - 1, shape[0] - 1)


def target_field(
    shape: tuple[int, int],
    *,
    center: tuple[float, float],
    pixel_scale: float,
    rotation: float,
    border: float,
    variable: PulsatingStar,
    transit: TransitingPlanet,
    filters: tuple[str, ...],
    seed: int,
) -> Table:
    """Stars and galaxies, and among them those whose light is followed.

    Returns
    -------
    Table
        As :func:`.field.make_sky` makes it, brightest first, with ``id``, ``role`` ("variable", "transit",
        "comparison" or "field") and a magnitude for each filter, ``mag_R`` ….
    """
    rng = np.random.default_rng([seed, 5])
    wcs = pointing(shape, ra=center[0], dec=center[1], pixel_scale=pixel_scale, rotation=rotation)
    scene = make_sky(
        shape,
        wcs=wcs,
        border=border,
        galaxies=round((shape[0] + 2 * border) * (shape[1] + 2 * border) * 200 / 1024**2),
        star_magnitudes=(13.0, 22.5),
        galaxy_magnitudes=(14.5, 22.5),
        rng=rng,
    )
    star = np.asarray(scene["type"]) == "star"
    scene["color"] = np.where(star, np.clip(rng.normal(0.5, 0.22, len(scene)), 0.0, 1.3), 0.75)
    scene["role"] = np.full(len(scene), "field", dtype="U10")
    projection = celestial_wcs(wcs)
    if projection is None:
        raise ValueError("the header describes no celestial coordinates; make it with pointing()")
    x, y = projection.all_world2pix(np.asarray(scene["ra"]), np.asarray(scene["dec"]), 0)
    roles = [*PLACES, *["comparison"] * len(COMPARISONS)]
    places = watched_places(shape)
    reach = CLEARED + 3 * np.asarray(scene["r_e"]) / pixel_scale + 10 * np.maximum(0, 16 - np.asarray(scene["mag"]))
    keep = np.all([np.hypot(x - place[0], y - place[1]) > reach for place in places], axis=0)
    scene = scene[keep]
    bright = np.array(list(BRIGHT.values())) * (shape[1] - 1, shape[0] - 1) + rng.uniform(-0.03, 0.03, 2) * min(shape)
    places = np.concatenate([places, bright])
    ra, dec = projection.all_pix2world(places[:, 0], places[:, 1], 0)
    roles += ["field"] * len(BRIGHT)
    steady = len(COMPARISONS)
    watched = Table(
        {
            "type": np.full(len(roles), "star"),
            "mag": np.array([variable.mag, transit.mag, *np.linspace(15.1, 16.1, steady), *BRIGHT]),
            "r_e": np.zeros(len(roles)),
            "sersic_index": np.zeros(len(roles)),
            "axis_ratio": np.ones(len(roles)),
            "theta": np.zeros(len(roles)),
            "ra": ra,
            "dec": dec,
            "color": np.array([variable.color, transit.color, *rng.uniform(0.3, 0.6, steady + len(BRIGHT))]),
            "role": np.array(roles, dtype="U10"),
        }
    )
    scene = vstack([watched, scene], metadata_conflicts="silent")
    scene.sort("mag")
    scene["id"] = np.arange(1, len(scene) + 1)
    for name in filters:
        scene[f"mag_{name}"] = scene["mag"] + SHARE_OF_COLOR.get(name, 0.0) * scene["color"]
    return scene


SHARE_OF_COLOR = {"B": 2.3, "V": 1.0, "R": 0.0, "I": -0.9}
"""Difference of a magnitude from that in R, in units of V - R, along the sequence of ordinary stars."""


def blank_field(shape: tuple[int, int], *, center: tuple[float, float], pixel_scale: float, seed: int) -> Table:
    """A field with few stars, where twilight flats are taken."""
    border = 80.0
    count = (shape[0] + 2 * border) * (shape[1] + 2 * border) * 45 / 1024**2
    return make_sky(
        shape,
        wcs=pointing(shape, ra=center[0], dec=center[1], pixel_scale=pixel_scale),
        border=border,
        stars=round(count),
        galaxies=0,
        star_magnitudes=(12.5, 18.0),
        rng=np.random.default_rng([seed, 6]),
    )
