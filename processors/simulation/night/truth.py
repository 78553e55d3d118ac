"""The truth behind a simulated night, as files beside its frames."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import Table, vstack

from ....images.catalog import write_table
from ....images.io.atomic import atomic_write
from .night import Night, RawFrame

FRAME_COLUMNS: dict[str, tuple[u.UnitBase | None, str]] = {
    "file": (None, "name of the raw frame"),
    "type": (None, "bias, dark, flat or object"),
    "filter": (None, "name of the filter"),
    "exposure_time": (u.s, "exposure time"),
    "time": (None, "start of the exposure (UTC)"),
    "mjd": (u.day, "middle of the exposure (UTC), Modified Julian Date"),
    "bias_level": (u.adu, "level of the bias, without its fixed pattern"),
    "airmass": (None, "airmass in the middle of the exposure"),
    "fwhm": (u.pix, "full width at half maximum of a star"),
    "sky": (u.mag, "brightness of a square arcsecond of the sky"),
    "sky_electrons": (u.electron, "expected electrons of the sky in a pixel of response 1"),
    "transparency": (None, "part of the light that reached the telescope"),
    "dx": (u.pix, "drift of the stars along x since the start"),
    "dy": (u.pix, "drift of the stars along y since the start"),
    "variable": (None, "flux of the pulsating star relative to its mean magnitude"),
    "transit": (None, "flux of the star with a planet relative to that outside transit"),
}


class TruthWriter:
    """Collect what is true of frames, and write it.

    Parameters
    ----------
    folder : pathlib.Path
        Where it goes; made if not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._frames: list[dict[str, Any]] = []
        self._hits: list[Table] = []

    def add(self, raw: RawFrame) -> None:
        """Write the catalogue of a science frame, and remember the rest until :meth:`finish`."""
        if raw.catalog is not None:
            write_table(raw.catalog, self.folder / f"{raw.planned.name}_truth.ecsv")
        self._frames.append(raw.truth)
        y, x = np.nonzero(raw.hits)
        if x.size:
            names = np.full(x.size, raw.truth["file"])
            self._hits.append(Table({"file": names, "x": x, "y": y, "charge": raw.hits[y, x]}))

    def finish(self, night: Night) -> None:
        """Write the tables and maps of the whole night."""
        write_table(self._table(), self.folder / "frames.ecsv")
        field = night.field.copy()
        field.remove_column("mag")
        write_table(field, self.folder / "field.ecsv")
        empty = Table({"file": np.array([], dtype="U1"), "x": np.array([], int), "y": np.array([], int)})
        empty["charge"] = np.array([], dtype=np.float32)
        hits = vstack(self._hits, metadata_conflicts="silent") if self._hits else empty
        hits["x"].unit, hits["y"].unit, hits["charge"].unit = u.pix, u.pix, u.electron
        write_table(hits, self.folder / "cosmic_rays.ecsv")
        maps = night.maps
        responses: dict[str, Any] = {f"response_{name}": response for name, response in maps.response.items()}
        with atomic_write(self.folder / "maps.npz") as stream:
            np.savez(stream, bias=maps.bias, dark=maps.dark, bad=maps.bad, **responses)
        known = {
            "seed": night.seed,
            "shape": list(night.shape),
            "filters": list(night.filters),
            "camera": night.camera.model_dump(),
            "variable": night.variable.model_dump(),
            "transit": night.transit.model_dump() | {"duration": night.transit.duration},
        }
        with atomic_write(self.folder / "night.json") as stream:
            stream.write((json.dumps(known, indent=2) + "\n").encode())

    def _table(self) -> Table:
        table = Table()
        for name, (unit, description) in FRAME_COLUMNS.items():
            text = name in ("file", "type", "filter", "time")
            values = [line.get(name, "" if text else np.nan) for line in self._frames]
            table[name] = np.array(values, dtype=str if text else float)
            table[name].unit = unit
            table[name].description = description
        return table
