"""All corrections of a raw frame in one step and one pass over its pixels."""

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from ...images import Image, ImageError, PixelFlag
from ...images.sections import Amplifier, Section, amplifiers
from ..processor import Processor
from .corrections.linearity import Linearity
from .corrections.overscan import Method, amplifier_level, mark_overscan
from .corrections.saturation import Direction, saturated_pixels
from .corrections.trim import header_of_trimmed, trim_section
from .folding import Region, as_flags, folded
from .masters import Kind, Master, MasterSource, MissingMasterError, Search, check_fit
from .reduction import Level, Reduced, linearised, readable, reduce_frame
from .units import in_counts, known_gain, known_read_noise, mark_electrons

KINDS: tuple[Kind, ...] = ("bias", "dark", "flat", "bad_pixels")
CARDS = {
    "bias": ("CALBIAS", "master bias, subtracted"),
    "dark": ("CALDARK", "master dark, subtracted"),
    "flat": ("CALFLAT", "master flat, divided by"),
    "bad_pixels": ("CALBPM", "bad-pixel map"),
}


class Calibration(Processor):
    """From a raw frame to electrons: all corrections at once, with noise and flags.

    In this order: saturated pixels are flagged with what has bled from them; the overscan level is subtracted, and the
    frame is trimmed; counts are made linear; bias and dark current are subtracted; the gain makes electrons of counts;
    the flat is divided by:

        electrons = (raw - overscan - bias - t dark) gain / flat
        uncertainty² = [max((raw - overscan - bias) gain, 0) + read_noise² + errors of the masters] / flat²

    Masters are given by name, or are looked for in the library. A frame for which one is missing is an error; with
    ``on_missing: warn`` it goes on without that correction. In any case the header names the masters (CALBIAS,
    CALDARK with its factor CALDSCL, CALFLAT, CALBPM: a file, or ``none``), and CALNOT lists everything that was *not*
    applied. Without a gain (again only with ``on_missing: warn``) pixels stay in adu and get no uncertainty.

    Pixels where the flat is zero, negative or NaN become NaN with the flag BAD. Flags of the masters and of the frame
    are kept (True in a mask of bool is BAD). An uncertainty that the frame had is replaced. The result is float32.

    The card of the gain remains and holds the gain that was applied, as the saturation level is in raw counts; BUNIT
    says ``electron``.

    Masters are read once per process while there is memory for them, and again when their files change.

    References
    ----------
    Howell, S. B. 2006, Handbook of CCD Astronomy, 2nd ed., chapter 4.
    Newberry, M. V. 1991, PASP 103, 122.
    """

    reads = {
        "data", "mask?", "header.GAIN?", "header.RDNOISE?", "header.EXPTIME?", "header.FILTER?", "header.SATURATE?",
        "header.BIASSEC?", "header.TRIMSEC?", "header.DATASEC?",
    }  # fmt: skip
    writes = {"data", "mask", "uncertainty", "raw?", "catalog?", "header.*"}

    library: Path | None = Field(None, description="folder of masters")
    bias: MasterSource | None = Field(None, description="master bias; None asks the library, false leaves it out")
    dark: MasterSource | None = Field(None, description="master dark; None asks the library, false leaves it out")
    flat: MasterSource | None = Field(None, description="master flat; None asks the library, false leaves it out")
    bad_pixels: MasterSource | None = Field(
        False, description="bad-pixel map; None asks the library, false leaves it out"
    )
    on_missing: Literal["fail", "warn"] = Field(
        "fail", description="a frame whose master is missing fails, or goes on and says so in its header"
    )
    max_age: PositiveFloat | None = Field(None, description="how far from the frame a master may be in time [day]")
    when: Literal["nearest", "before", "after"] = Field("nearest", description="which masters of the library count")
    exposure_tolerance: NonNegativeFloat = Field(
        0.01, description="fraction by which exposure times of dark and frame may differ and still be the same"
    )
    dark_scale: tuple[PositiveFloat, PositiveFloat] | None = Field(
        None, description="least and largest factor by which a dark may be scaled; None never scales"
    )
    gain: PositiveFloat | None = Field(None, description="gain [electron/adu]; None takes the header's")
    read_noise: NonNegativeFloat | None = Field(None, description="read noise [electron]; None takes the header's")
    amplifiers: list[Amplifier] | None = Field(
        None, description="sections, gain and read noise of each amplifier; None takes the header's"
    )
    overscan: Literal["median", "mean"] | bool = Field(
        True, description="how overscan pixels are combined; true is the median, false leaves the correction out"
    )
    overscan_order: NonNegativeInt | None = Field(
        None, description="order of a polynomial through the overscan levels; None takes each row's own"
    )
    trim: Section | bool = Field(True, description="what remains of the frame; true takes the header's section")
    linearity: Linearity | None = Field(None, description="linearity correction: its coefficients or table")
    saturation: PositiveFloat | None = Field(None, description="saturation level [adu]; None takes the header's")
    bleeding: Direction = Field("columns", description="along which charge of saturated pixels runs")
    grow: NonNegativeInt = Field(1, description="pixels more at both ends of what has bled [px]")
    keep_raw: bool = Field(False, description="keep the raw pixels in the plane raw")
    threads: PositiveInt = Field(1, description="threads for one frame; more than one only helps a single frame")

    def process(self, image: Image) -> Image:
        in_counts(image, "Calibration")
        if image.is_color:
            raise ImageError(f"{image.label} is a colour image; calibrate the raw frame before its colours are made")
        missing: list[str] = []
        masters = self._masters(image, missing)
        section = self._section(image)
        frame = image.copy() if section is None else header_of_trimmed(image, section)
        shape = frame.shape
        regions, has_gain, has_noise = self._regions(image, section, missing)
        raws = image.data.reshape(-1, *image.shape)
        raws, levels, level_values = self._levels(image, raws, regions)
        if level_values:
            mark_overscan(frame, level_values)
        for master in masters:
            check_fit(master, frame, shape)
            master.note()
        saturation = image.saturation if self.saturation is None else self.saturation
        given = None if image.safe_mask is None else as_flags(image.mask)
        results = []
        for k, raw in enumerate(raws):
            flags = given if given is None or given.ndim == 2 else given[k]
            result = self._reduced(raw, flags, shape, regions, levels[k], masters, saturation, has_gain and has_noise)
            if result.saturated and self.bleeding != "none" and saturation is not None:
                self._flag_bleeding(result, raw, section, saturation)
            results.append(result)
        return self._finished(image, frame, results, masters, missing, saturation, has_gain, regions)

    # --- what is needed ---------------------------------------------------------------------------------------

    def _masters(self, image: Image, missing: list[str]) -> list[Master]:
        search = Search(self.library, self.max_age, self.when, self.exposure_tolerance, self.dark_scale)
        found = []
        for kind in KINDS:
            try:
                master = search.find(kind, image, getattr(self, kind))
            except MissingMasterError:
                if self.on_missing == "fail":
                    raise
                master = None
            if master is None:
                missing.append(kind)
            else:
                found.append(master)
        return found

    def _section(self, image: Image) -> Section | None:
        if self.trim is False:
            return None
        try:
            return trim_section(image.header, self.trim if isinstance(self.trim, Section) else None, self.amplifiers)
        except ImageError as error:
            raise ImageError(f"{image.label}: {error}") from error

    def _regions(
        self, image: Image, section: Section | None, missing: list[str]
    ) -> tuple[list[tuple[Region, Amplifier]], bool, bool]:
        """Parts of the frame with their gain and read noise, and whether gain and read noise are known."""
        whole = section or Section(0, image.shape[1], 0, image.shape[0])
        found = amplifiers(image.header, self.amplifiers)
        gain = self._fact(missing, "gain", [a.gain for a in found], lambda: known_gain(image, self.gain))
        noise = self._fact(
            missing, "read_noise", [a.read_noise for a in found], lambda: known_read_noise(image, self.read_noise)
        )
        regions = []
        for amplifier in found:
            part = amplifier.data.overlap(whole) if len(found) > 1 else whole
            if part is not None:
                regions.append((
                    Region(
                        part,
                        part.x0 - whole.x0,
                        part.y0 - whole.y0,
                        (amplifier.gain or gain or 1.0),
                        (noise or 0.0) if amplifier.read_noise is None else amplifier.read_noise,
                    ),
                    amplifier,
                ))  # fmt: skip
        if not regions:
            raise ImageError(f"{image.label}: nothing of the data of its amplifiers remains after trimming to {whole}")
        return regions, "gain" not in missing, "read_noise" not in missing

    def _fact(self, missing: list[str], name: str, own: list[float | None], look: "Callable[[], float]") -> float | None:
        """A number of the whole frame, which is only needed where an amplifier has none of its own."""
        if all(value is not None for value in own):
            return None
        try:
            return look()
        except ImageError:
            if self.on_missing == "fail":
                raise
            missing.append(name)
            return None
