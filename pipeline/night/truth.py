"""How right a reduced night is, if it was simulated: masters, fluxes, noise and light curves against the truth."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from ...images import Image
from ...images.catalog.files import read_table
from ...processors.simulation import Exposure
from ...processors.simulation.moffat import enclosed_fraction
from ..running.outcome import Outcome
from .build import NightMaster
from .light_curves import LightCurve
from .quality import catalog_of

BRIGHT = 100.0
"""Signal-to-noise ratio of the stars whose flux is compared."""


@dataclass(frozen=True, slots=True)
class Pulls:
    """Differences from the truth in units of the stated error: mean 0 and width 1 if both are right.

    Attributes
    ----------
    label : str
        What is compared.
    mean, width : float
        Median, and 1.4826 times the median absolute deviation.
    count : int
        Number of values.
    """

    label: str
    mean: float
    width: float
    count: int

    @classmethod
    def of(cls, label: str, pulls: np.ndarray) -> "Pulls":
        """The pulls of an array; what is not finite is left out."""
        known = pulls[np.isfinite(pulls)]
        if not known.size:
            return cls(label, float("nan"), float("nan"), 0)
        middle = float(np.median(known))
        return cls(label, middle, 1.4826 * float(np.median(np.abs(known - middle))), int(known.size))


class NightTruth:
    """The truth beside the frames of a simulated night.

    Parameters
    ----------
    folder : path
        The folder ``truth`` that :func:`etendue.processors.simulation.simulate_night` wrote.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.frames = read_table(self.folder / "frames.ecsv")
        self.field = read_table(self.folder / "field.ecsv")
        self.known: dict[str, Any] = json.loads((self.folder / "night.json").read_text())
        with np.load(self.folder / "maps.npz") as maps:
            self.maps = {name: maps[name] for name in maps.files}

    # --- masters ------------------------------------------------------------------------------------------------

    def master_pulls(self, master: NightMaster) -> Pulls | None:
        """A master against the map that it should be; None for one that has none, or was not built.

        The level of a bias without overscan is that of its fixed pattern relative to the overscan's, so that only the
        pattern is compared; a flat is compared up to its normalisation.
        """
        if master.path is None or master.kind == "bad_pixels":
            return None
        image = Image.from_file(master.path)
        height, width = image.shape
        good = ~self.maps["bad"] if image.safe_mask is None else ~self.maps["bad"] & (image.mask == 0)
        match master.kind:
            case "bias":
                pattern = self.maps["bias"]
                expected = pattern[:height, :width] - np.median(pattern[:height, width:], axis=1, keepdims=True)
            case "dark":
                gain = float(self.known["camera"]["gain"])
                expected = self.maps["dark"] * (image.exposure_time or 0.0) / gain
            case _:
                response = self.maps[f"response_{image.filter}"]
                expected = response * np.median(image.data[good]) / np.median(response[good])
        difference = np.where(good, (image.data - expected) / image.uncertainty, np.nan)
        return Pulls.of(master.label, difference)

    # --- frames -------------------------------------------------------------------------------------------------

    def catalog(self, frame: str) -> Table:
        """What a science frame shows."""
        return read_table(self.folder / f"{Path(frame).stem}_truth.ecsv")

    def fluxes(
        self, outcome: Outcome, *, snr: float = BRIGHT, k: int = 3, annulus: tuple[float, float] = (15, 24)
    ) -> Table:
        """Measured and true fluxes of the bright, isolated stars of a frame.

        Parameters
        ----------
        outcome : Outcome
            The frame, with a catalogue among its products.
        snr : float
            Least signal-to-noise ratio.
        k : int
            Number of the aperture.
        annulus : (float, float)
            Radii of the ring from which the sky was taken [px]: it holds light of the star, too.

        Returns
        -------
        Table
            x, y, ratio (measured / true) and error, one row a star.
        """
        from scipy.spatial import KDTree

        catalog, truth = catalog_of(outcome), self.catalog(outcome.path.name)
        if catalog is None:
            raise ValueError(f"{outcome.path.name} has no catalogue among its products")
        radius = float(catalog[f"flux_aper_{k}"].meta.get("radius", 9.0))
        place, flux = np.column_stack([truth["x"], truth["y"]]), np.asarray(truth["flux"], float)
        height, width = self.known["shape"]
        margin = annulus[1] + 4
        inside = (place > margin).all(axis=1) & (place < np.array([width, height]) - margin).all(axis=1)
        wanted = np.flatnonzero(inside & (truth["type"] == "star") & (truth["snr"] > snr) & ~truth["saturated"])
        near = KDTree(place).query_ball_point(place[wanted], annulus[1])
        alone = [flux[others].sum() < 1.003 * flux[star] for star, others in zip(wanted, near, strict=True)]
        stars = wanted[np.array(alone, dtype=bool)]
        distance, row = KDTree(np.column_stack([catalog["x"], catalog["y"]])).query(place[stars])
        found = distance < 1.0
        stars, row = stars[found], row[found]
        clean = (np.asarray(catalog[f"flags_aper_{k}"])[row] == 0) & (np.asarray(catalog["flags"])[row] & 256 == 0)
        stars, row = stars[clean], row[clean]
        held = _held(float(np.nanmedian(truth["fwhm"])), radius, annulus)
        measured = np.asarray(catalog[f"flux_aper_{k}"], float)[row] / held
        error = np.asarray(catalog[f"flux_err_aper_{k}"], float)[row] / held
        return Table(
            {
                "x": place[stars, 0],
                "y": place[stars, 1],
                "ratio": measured / flux[stars],
                "error": error / flux[stars],
            }
        )

    def background_pulls(self, calibrated: Image, frame: str) -> Pulls:
        """Pixels without sources of a frame in electrons, against the true sky, in units of their uncertainty.

        Parameters
        ----------
        calibrated : Image
            The frame after Calibration, with its sky.
        frame : str
            Name of the raw frame.
        """
        height, width = calibrated.shape
        mask = calibrated.safe_mask
        empty = np.isfinite(calibrated.data) if mask is None else np.isfinite(calibrated.data) & (mask == 0)
        noise = float(np.median(calibrated.uncertainty[empty]))
        for source in self.catalog(frame):
            reach = _reach(source, noise)
            x0, x1 = (int(np.clip(source["x"] + d, 0, width)) for d in (-reach, reach + 2))
            y0, y1 = (int(np.clip(source["y"] + d, 0, height)) for d in (-reach, reach + 2))
            empty[y0:y1, x0:x1] = False
        (row,) = np.flatnonzero(np.asarray(self.frames["file"]) == Path(frame).name)
        level = float(self.frames["sky_electrons"][row])
        # The sky is brighter on one side; how it runs is known, and how strongly is not in the table.
        y, x = np.nonzero(empty)
        angle = np.radians(Exposure().gradient_angle)
        along = np.cos(angle) * (x / (width - 1) - 0.5) + np.sin(angle) * (y / (height - 1) - 0.5)
        shape = along + along**2 / 2
        excess = calibrated.data[empty].astype(float) - level
        slope = 0.0
        for _ in range(6):
            slope += float(shape @ np.clip(excess - slope * shape, -3 * noise, 3 * noise) / (shape @ shape))
        return Pulls.of("background", (excess - slope * shape) / calibrated.uncertainty[empty])

    # --- light curves -------------------------------------------------------------------------------------------

    def place_of(self, role: str) -> tuple[float, float]:
        """Right ascension and declination [deg] of the star with a role: ``variable`` or ``transit``."""
        (row,) = np.flatnonzero(np.asarray(self.field["role"]) == role)
        return float(self.field["ra"][row]), float(self.field["dec"][row])

    def curve_of(self, role: str, curves: Sequence[LightCurve]) -> LightCurve | None:
        """The longest light curve of the star with a role; None if it is not among the curves."""
        ra, dec = self.place_of(role)
        near = [
            curve
            for curve in curves
            if curve.ra is not None
            and curve.dec is not None
            and 3600 * np.hypot((curve.ra - ra) * np.cos(np.radians(dec)), curve.dec - dec) < 2
        ]
        return max(near, key=lambda curve: len(curve.times), default=None)

    def strength(self, role: str, curve: LightCurve) -> tuple[float, float]:
        """How strong a light curve is, in units of the true one: 1 if the amplitude or the depth is right.

        Least squares of ``flux = level (1 + strength (truth - 1))``; its error follows from the errors of the points.
        """
        from astropy.time import Time

        mjd = Time([time.replace(tzinfo=None) for time in curve.times], scale="utc").mjd
        own = np.array([int(np.argmin(np.abs(np.asarray(self.frames["mjd"]) - t))) for t in mjd])
        true = np.asarray(self.frames[role], float)[own]
        known = np.isfinite(curve.magnitude) & np.isfinite(true)
        flux = 10 ** (-0.4 * curve.magnitude[known])
        error = curve.error[known] * flux * 0.4 * np.log(10)
        design = np.column_stack([np.ones(known.sum()), true[known] - 1])
        weighted = design / error[:, None]
        covariance = np.linalg.inv(weighted.T @ weighted)
        level, slope = covariance @ weighted.T @ (flux / error)
        return float(slope / level), float(np.sqrt(covariance[1, 1]) / level)

    def transit_depth(self) -> float:
        """The true depth of the transit on the frames of the night."""
        return 1 - float(np.nanmin(self.frames["transit"]))


def _held(fwhm: float, radius: float, annulus: tuple[float, float]) -> float:
    """The part of a star's light that aperture photometry finds: what is within, less what the ring takes for sky."""
    beta = Exposure().beta
    inner, outer = annulus
    in_ring = enclosed_fraction(outer, fwhm, beta) - enclosed_fraction(inner, fwhm, beta)
    return float(enclosed_fraction(radius, fwhm, beta) - in_ring * radius**2 / (outer**2 - inner**2))


def _reach(star: Any, noise: float) -> float:
    """How far from a source its light still matters, against the noise of a pixel [px]."""
    if star["type"] == "star":
        beta, fwhm = Exposure().beta, float(star["fwhm"])
        alpha = fwhm / (2 * np.sqrt(2 ** (1 / beta) - 1))
        peak = float(star["flux"]) * (beta - 1) / (np.pi * alpha**2)
        return 2 + alpha * np.sqrt(max((peak / (0.02 * noise)) ** (1 / beta) - 1, 0.0))
    return 6 * float(star["r_e"]) + 8
