"""A simulated night: how its raw biases, darks, twilight flats and science frames come about."""

import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from astropy.table import Table

from ....images import Image
from ..camera import cosmic_ray_hits
from ..exposure import Exposure, expose, pointing
from .cards import raw_header
from .ccd import CCDCamera, CCDMaps, make_maps, read_raw
from .conditions import BANDS, START, Weather, airmass
from .light_curves import PulsatingStar, TransitingPlanet
from .plan import READOUT, PlannedFrame, plan
from .sky import blank_field, target_field, watched_places

CENTER = (150.1, 2.2)
"""Right ascension and declination of the field [deg]."""

BLANK = (152.6, 24.0)
"""The same of the field for twilight flats."""

PIXEL_SCALE = 0.5
"""Side of a pixel [arcsec]."""

ROTATION = 1.5
"""Angle from the y axis to north [deg]."""

BORDER = 48.0
"""Sources are scattered as far as this beyond the first frame, for the telescope drifts [px]."""

FLAT_LEVEL = 40_000.0
"""What the observer aims at in twilight flats [electron]."""

OBJECT = "Etendue field 1"
"""Card OBJECT of science frames."""


@dataclass(frozen=True)
class Night:
    """A night that is the same whenever it is taken: frames may be taken in any order, or by several threads.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns that see light.
    seed : int
        Start of all random numbers.
    camera : CCDCamera
        The detector.
    filters : tuple of str
        Names of filters, keys of :data:`.conditions.BANDS`; most science frames are taken in the last.
    variable, transit : PulsatingStar, TransitingPlanet
        The stars to watch.

    Attributes
    ----------
    maps : CCDMaps
        Bias pattern, dark current and response of every pixel.
    field : Table
        Everything in the sky; see :func:`.sky.target_field`.

    Raises
    ------
    ValueError
        A filter is not known.
    """

    shape: tuple[int, int]
    seed: int
    camera: CCDCamera
    filters: tuple[str, ...]
    variable: PulsatingStar
    transit: TransitingPlanet
    maps: CCDMaps
    field: Table
    blank: Table
    weather: Weather

    @classmethod
    def make(
        cls,
        shape: tuple[int, int] = (1024, 1024),
        *,
        seed: int = 1,
        camera: CCDCamera | None = None,
        filters: Sequence[str] = ("V", "R"),
        variable: PulsatingStar | None = None,
        transit: TransitingPlanet | None = None,
    ) -> "Night":
        """The night with this seed."""
        unknown = [name for name in filters if name not in BANDS]
        if unknown or not filters or len(set(filters)) < len(filters):
            raise ValueError(f"filters {', '.join(filters) or '(none)'}: name some of {', '.join(BANDS)}, each once")
        camera, names = camera or CCDCamera(), tuple(filters)
        variable, transit = variable or PulsatingStar(), transit or TransitingPlanet()
        field = target_field(
            shape,
            center=CENTER,
            pixel_scale=PIXEL_SCALE,
            rotation=ROTATION,
            border=BORDER,
            variable=variable,
            transit=transit,
            filters=names,
            seed=seed,
        )
        return cls(
            shape=shape,
            seed=seed,
            camera=camera,
            filters=names,
            variable=variable,
            transit=transit,
            maps=make_maps(camera, shape, names, seed, clear=[(x, y) for x, y in watched_places(shape)]),
            field=field,
            blank=blank_field(shape, center=BLANK, pixel_scale=PIXEL_SCALE, seed=seed),
            weather=Weather(seed, CENTER, drift=min(9.0, min(shape) / 32)),
        )

    def plan(self, frames: int, *, biases: int = 10, darks: int = 10, flats: int = 7) -> list[PlannedFrame]:
        """What is taken when; see :func:`.plan.plan`."""
        return plan(frames, biases=biases, darks=darks, flats=flats, filters=self.filters, seed=self.seed)

    def take(self, frame: PlannedFrame) -> "RawFrame":
        """Take one frame of the plan."""
        rng = np.random.default_rng([self.seed, 7, frame.number])
        truth: dict[str, Any] = {
            "file": f"{frame.name}.fits",
            "type": frame.kind,
            "filter": frame.filter,
            "exposure_time": frame.exposure_time,
            "time": frame.time.replace(tzinfo=None).isoformat(timespec="milliseconds"),
            "mjd": modified_julian_date(frame.middle),
            "bias_level": self.camera.bias + self.camera.bias_drift * self.weather.level(frame.middle),
        }
        cards: dict[str, Any] = {"temperature": -60 + rng.normal(0, 0.04)}
        catalog = None
        match frame.kind:
            case "flat":
                light = self._twilight(frame, rng, truth)
                truth["airmass"] = cards["airmass"] = airmass(frame.middle, BLANK)
            case "object":
                light, catalog, cards["wcs"] = self._field(frame, rng, truth)
                cards["airmass"] = truth["airmass"]
            case _:
                light = np.zeros(self.shape, dtype=np.float32)
        seconds = frame.exposure_time + READOUT / 2  # pixels wait to be read, and are hit meanwhile
        expected = self.camera.cosmic_rays * seconds * light.size / 1e6
        hits = cosmic_ray_hits(self.shape, expected, rng)
        pixels = read_raw(
            light,
            frame.exposure_time,
            camera=self.camera,
            maps=self.maps,
            rng=rng,
            level=truth["bias_level"],
            hits=hits,
        )
        header = raw_header(frame, self.shape, camera=self.camera, object_name=OBJECT, **cards)
        if catalog is not None:
            catalog["saturated"] = _reach(pixels, catalog, self.camera.saturation, self.shape)
        image = Image(data=pixels, header=header, name=f"{frame.name}.fits")
        return RawFrame(frame, image, truth, catalog, hits)

    def _field(
        self, frame: PlannedFrame, rng: np.random.Generator, truth: dict[str, Any]
    ) -> tuple[np.ndarray, Table, Any]:
        """Light of a science frame, what it shows, and where it points."""
        band = BANDS[frame.filter]
        conditions = self.weather.at(frame.middle, band, rng)
        days = (frame.middle - START).total_seconds() / 86400
        pulse = float(self.variable.magnitude(days))
        transit = float(self.transit.flux(days, frame.filter))
        scene = self.field.copy()
        scene["mag"] = scene[f"mag_{frame.filter}"]
        scene["mag"][scene["role"] == "variable"] += pulse
        scene["mag"][scene["role"] == "transit"] -= 2.5 * math.log10(transit)
        at = ((self.shape[1] - 1) / 2 + conditions.dx, (self.shape[0] - 1) / 2 + conditions.dy)
        wcs = pointing(self.shape, ra=CENTER[0], dec=CENTER[1], pixel_scale=PIXEL_SCALE, rotation=ROTATION, at=at)
        exposure = Exposure(
            exposure_time=frame.exposure_time,
            filter=frame.filter,
            zero_point=band.zero_point,
            fwhm=conditions.fwhm,
            ellipticity=conditions.ellipticity,
            theta=conditions.theta,
            sky=conditions.sky,
            gradient=conditions.gradient,
            transparency=conditions.transparency,
            time=frame.time,
        )
        light, catalog = self._expected(scene, wcs, exposure, rng, frame.filter)
        known = {ra: (number, role) for ra, number, role in zip(scene["ra"], scene["id"], scene["role"], strict=True)}
        catalog["id"] = [known[ra][0] for ra in catalog["ra"]]
        catalog["role"] = np.array([known[ra][1] for ra in catalog["ra"]], dtype="U10")
        truth |= {
            "airmass": conditions.airmass,
            "fwhm": conditions.fwhm,
            "sky": conditions.sky,
            "sky_electrons": sky_electrons(conditions.sky, band.zero_point, frame.exposure_time),
            "transparency": conditions.transparency,
            "dx": conditions.dx,
            "dy": conditions.dy,
            "variable": 10 ** (-0.4 * pulse),
            "transit": transit,
        }
        return light, catalog, wcs

    def _twilight(self, frame: PlannedFrame, rng: np.random.Generator, truth: dict[str, Any]) -> np.ndarray:
        """Light of a twilight flat: a bright, almost even sky, and the brightest stars, elsewhere in every frame."""
        level = FLAT_LEVEL * rng.uniform(0.8, 1.15)
        zero_point = BANDS[frame.filter].zero_point
        at = tuple((n - 1) / 2 + rng.uniform(-60, 60) for n in self.shape[::-1])
        exposure = Exposure(
            exposure_time=frame.exposure_time,
            filter=frame.filter,
            zero_point=zero_point,
            fwhm=self.weather.seeing * 1.2,
            sky=zero_point - 2.5 * math.log10(level / PIXEL_SCALE**2 / frame.exposure_time),
            gradient=0.001,
            gradient_angle=rng.uniform(0, 360),
        )
        wcs = pointing(self.shape, ra=BLANK[0], dec=BLANK[1], pixel_scale=PIXEL_SCALE, at=(at[0], at[1]))
        truth |= {"sky": exposure.sky, "sky_electrons": level}
        return self._expected(self.blank, wcs, exposure, rng, frame.filter)[0]

    def _expected(
        self, scene: Table, wcs: Any, exposure: Exposure, rng: np.random.Generator, band: str
    ) -> tuple[np.ndarray, Table]:
        """Expected electrons behind the optics, and the truth."""
        ideal = self.camera.model_copy(update={"vignetting": 0.0})
        image = expose(
            scene,
            self.shape,
            wcs=wcs,
            pixel_scale=PIXEL_SCALE,
            exposure=exposure,
            camera=ideal,
            rng=rng,
            digitize=False,
        )
        return image.data * self.maps.response[band], image.catalog.copy()


@dataclass(frozen=True, slots=True)
class RawFrame:
    """A frame that was taken, and the truth about it.

    Attributes
    ----------
    planned : PlannedFrame
        What it is.
    image : Image
        The raw frame, uint16 [adu], with a header.
    truth : dict
        Its line in the table of frames.
    catalog : Table or None
        What a science frame shows.
    hits : (H, W) float32 array
        Charge left by particles [electron].
    """

    planned: PlannedFrame
    image: Image
    truth: dict[str, Any]
    catalog: Table | None
    hits: np.ndarray


def take_night(night: Night, planned: Sequence[PlannedFrame], *, threads: int | None = None) -> Iterator[RawFrame]:
    """Take frames in the order of the plan, several at a time.

    Parameters
    ----------
    night : Night
        The night.
    planned : sequence of PlannedFrame
        What to take.
    threads : int
        Frames that are in the making at the same time; by default one for each processor core, up to 4.
    """
    threads = threads or min(4, os.cpu_count() or 1)
    if threads == 1:
        yield from map(night.take, planned)
        return
    with ThreadPoolExecutor(threads) as pool:
        # No more than a few frames wait to be written: a night does not fit into memory.
        waiting = [pool.submit(night.take, frame) for frame in planned[: 2 * threads]]
        for following in [*planned[2 * threads :], *[None] * len(waiting)]:
            yield waiting.pop(0).result()
            if following is not None:
                waiting.append(pool.submit(night.take, following))


def sky_electrons(sky: float, zero_point: float, exposure_time: float) -> float:
    """Expected electrons of the sky in a pixel of mean response."""
    return 10 ** (0.4 * (zero_point - sky)) * PIXEL_SCALE**2 * exposure_time


def modified_julian_date(time: datetime) -> float:
    """Modified Julian Date of a UTC time [day]."""
    return 61119.0 + (time - datetime(2026, 3, 20, tzinfo=time.tzinfo)).total_seconds() / 86400


def _reach(pixels: np.ndarray, catalog: Table, level: float, shape: tuple[int, int]) -> np.ndarray:
    """Whether a source has a saturated pixel within one pixel of its centre, of its own or of a trail."""
    row = np.clip(np.rint(np.asarray(catalog["y"])).astype(int), 0, shape[0] - 1)
    column = np.clip(np.rint(np.asarray(catalog["x"])).astype(int), 0, shape[1] - 1)
    reached = np.zeros(len(catalog), dtype=bool)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            near = pixels[np.clip(row + dy, 0, shape[0] - 1), np.clip(column + dx, 0, shape[1] - 1)]
            reached |= near >= level
    return reached
