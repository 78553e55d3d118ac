"""All corrections of a raw frame in one step and one pass over its pixels."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from ...images import Image, ImageError, PixelFlag
from ...images.keywords import keyword_for
from ...images.sections import Amplifier, Section, amplifiers
from ..processor import Processor
from .bleeding import flag_bled
from .corrections.linearity import Linearity
from .corrections.overscan import Method, mark_overscan
from .corrections.saturation import Direction, saturated_pixels
from .corrections.trim import header_of_trimmed, trim_section, without_sections
from .folding import as_flags, folded
from .masters import Kind, Master, MasterSource, MissingMasterError, Search, check_fit, write_text
from .readout import Readout
from .reduction import Reduced, linearised, readable, reduce_frame
from .units import in_counts, known_gain, known_read_noise, mark_electrons

CARDS: dict[Kind, tuple[str, str]] = {
    "bias": ("CALBIAS", "master bias, subtracted"),
    "dark": ("CALDARK", "master dark, subtracted"),
    "flat": ("CALFLAT", "master flat, divided by"),
    "bad_pixels": ("CALBPM", "bad-pixel map"),
}
"""The kinds of masters in the order of their use, and the header cards that name them."""

CORRECTIONS = ("overscan", *CARDS, "gain", "uncertainty", "saturation")
"""What the card CALNOT may list."""


class Calibration(Processor):
    """From a raw frame to electrons: all corrections at once, with noise and flags.

    In this order: saturated pixels are flagged with what has bled from them; the overscan level is subtracted, and the
    frame is trimmed; counts are made linear; bias and dark current are subtracted; the gain makes electrons of counts;
    the flat is divided by::

        electrons    = (raw - overscan - bias - t dark) gain / flat
        uncertainty² = (max((raw - overscan - bias) gain, 0) + read_noise² + errors of the masters²) / flat²

    Masters are given, or are looked for in the library; without one, those that are not given are left out, but one
    must be given, or all be false. A frame for which one is missing is an error; with
    ``on_missing: warn`` it goes on without that correction. In any case the header names the masters (CALBIAS,
    CALDARK with its factor CALDSCL, CALFLAT, CALBPM: a file, or ``none``), and CALNOT lists everything that was *not*
    applied. Without a gain (again only with ``on_missing: warn``) pixels stay in adu and get no uncertainty.

    Where the flat is zero, negative or NaN, pixels become NaN with the flag BAD. Flags of the masters and of the frame
    are kept (True in a mask of bool is BAD). An uncertainty that the frame had is replaced. The result is float32.

    BUNIT becomes ``electron``. The card of the gain remains and holds the gain that was applied, as the saturation
    level in the header is in raw counts.

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
    writes = {"data", "mask", "uncertainty?", "raw?", "catalog?", "header.*"}

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
    side: Literal["nearest", "before", "after"] = Field(
        "nearest", description="on which side of the frame, in time, masters of the library count"
    )
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
    overscan: Method | None = Field("median", description="how overscan pixels are combined; None leaves the level in")
    overscan_order: NonNegativeInt | None = Field(
        None, description="order of a polynomial through the overscan levels; None takes each row's own"
    )
    trim: Section | bool = Field(True, description="what remains of the frame; true takes the header's section")
    linearity: Linearity | None = Field(None, description="linearity correction: its coefficients or table")
    saturation: PositiveFloat | None = Field(None, description="saturation level [adu]; None takes the header's")
    bleeding: PositiveFloat = Field(
        0.8, description="pixels that hang together with saturated ones and are above this fraction of the level, too"
    )
    direction: Direction = Field("columns", description="along which charge of saturated pixels runs")
    grow: NonNegativeInt = Field(1, description="pixels more at both ends of what has bled [px]")
    keep_raw: bool = Field(False, description="keep the raw pixels in the plane raw")
    threads: PositiveInt = Field(1, description="threads for one frame; more than one only helps a single frame")

    def process(self, image: Image) -> Image:
        in_counts(image, "Calibration")
        if image.is_color:
            raise ImageError(f"{image.label} is a colour image; calibrate the raw frame before its colours are made")
        not_applied: list[str] = []
        readout = self._readout(image, not_applied)
        masters = self._masters(image, readout.section.shape, not_applied)
        saturation = image.saturation if self.saturation is None else self.saturation
        if saturation is None:
            not_applied.append("saturation")
        frame, results = self._reduced(image, readout, masters, saturation, "uncertainty" not in not_applied)
        for master in masters:
            master.note()
        calibrated = frame.replace(
            data=_stacked([result.data for result in results], image.data.ndim),
            mask=_stacked([result.mask for result in results], image.data.ndim),
            uncertainty=_stacked([result.uncertainty for result in results], image.data.ndim),
            raw=image.data if self.keep_raw else None,
            axes=image.axes if image.data.ndim == 3 else None,
        )
        self._write_header(calibrated, readout, masters, not_applied)
        return calibrated

    def _masters(self, image: Image, shape: tuple[int, int], not_applied: list[str]) -> list[Master]:
        """The masters for a frame; the kinds that are missing or not wanted are noted."""
        search = Search(self.library, self.max_age, self.side, self.exposure_tolerance, self.dark_scale)
        found: list[Master] = []
        if self.on_missing == "fail" and self.library is None and self.bias is self.dark is self.flat is None:
            raise MissingMasterError(
                f"{image.label}: there are neither masters nor a library to calibrate with; give a library, or the "
                "masters themselves, and false for those that are to be left out"
            )
        for kind in CARDS:
            try:
                master = search.find(kind, image, getattr(self, kind), shape=shape)
            except MissingMasterError:
                if self.on_missing == "fail":
                    raise
                master = None
            if master is None:
                not_applied.append(kind)
            else:
                found.append(master)
        return found

    def _readout(self, image: Image, not_applied: list[str]) -> Readout:
        """Sections, gain and read noise; without gain or read noise there is no uncertainty."""
        try:
            found = amplifiers(image.header, self.amplifiers)
            section = None
            if self.trim is not False:
                given = self.trim if isinstance(self.trim, Section) else None
                section = trim_section(image.header, given, self.amplifiers)
        except ImageError as error:
            raise ImageError(f"{image.label}: {error}") from error
        gain = self._known([a.gain for a in found], lambda: known_gain(image, self.gain))
        read_noise = self._known([a.read_noise for a in found], lambda: known_read_noise(image, self.read_noise))
        if gain is None:
            not_applied.append("gain")
        if gain is None or read_noise is None:
            not_applied.append("uncertainty")
        if self.overscan is None and any(amplifier.overscan is not None for amplifier in found):
            not_applied.append("overscan")
        whole = Section(0, image.shape[1], 0, image.shape[0])
        return Readout.of(section or whole, found, gain, read_noise)

    def _known(self, own: list[float | None], whole: Callable[[], float]) -> float | None:
        """A number of the whole frame, which is asked for only if an amplifier has none of its own."""
        if all(value is not None for value in own):
            return float(np.mean([value for value in own if value is not None]))
        try:
            return whole()
        except ImageError:
            if self.on_missing == "fail":
                raise
            return None

    def _reduced(
        self, image: Image, readout: Readout, masters: list[Master], saturation: float | None, with_uncertainty: bool
    ) -> tuple[Image, list[Reduced]]:
        """The trimmed frame, whose pixels are still to come, and the calibrated pixels of each plane."""
        frame = self._trimmed(image, readout.section)
        given = None if image.safe_mask is None else as_flags(image.mask)
        results = []
        for k, raw in enumerate(image.data.reshape(-1, *image.shape)):
            pixels, levels, medians = readout.levels(raw, self.overscan, self.overscan_order)
            if k == 0:
                if medians:
                    mark_overscan(frame, medians)
                for master in masters:
                    check_fit(master, frame, frame.shape)
            linear = self.linearity if self.linearity is not None and not self.linearity.changes_nothing else None
            if linear is not None:
                bias = next((master.image().data for master in masters if master.kind == "bias"), None)
                pixels = linearised(pixels, bias, readout.regions, levels, linear)
                levels = [dataclasses.replace(level, rows=np.zeros_like(level.rows)) for level in levels]
            result = reduce_frame(
                pixels,
                given if given is None or given.ndim == 2 else given[k],
                frame.shape,
                readout.regions,
                levels,
                folded(masters, frame.shape, readout.regions, bias_subtracted=linear is not None),
                saturation=saturation if pixels is raw else None,
                with_uncertainty=with_uncertainty,
                threads=self.threads,
            )
            if saturation is not None:
                self._flag_saturated(result, raw, readout.section, saturation, known=pixels is raw)
            results.append(result)
        return frame, results

    def _trimmed(self, image: Image, section: Section) -> Image:
        """The frame with the header and the catalogue that it has after trimming."""
        if section.shape != image.shape:
            return header_of_trimmed(image, section)
        frame = image.copy()
        if self.trim is not False:
            without_sections(frame.header)
        return frame

    def _flag_saturated(self, result: Reduced, raw: np.ndarray, section: Section, level: float, *, known: bool) -> None:
        """Saturated pixels and what has bled from them, judged on the raw frame.

        Where the kernel has seen raw pixels, it has flagged the saturated ones, and only their columns need a look.
        """
        if known and self.direction == "none":
            return
        if not known or self.direction == "rows":
            flags = saturated_pixels(raw, level, grow=self.grow, direction=self.direction, bleeding=self.bleeding)[
                section.slices
            ]
            result.mask[flags] |= np.uint8(PixelFlag.SATURATED)
            return
        if result.saturated_columns.size:
            limit = np.float32(min(self.bleeding, 1.0) * level)
            flag_bled(
                readable(raw), section.x0, section.y0, result.saturated_rows, result.saturated_columns,
                np.float32(level), limit, self.grow, result.mask,
            )  # fmt: skip

    def _write_header(self, image: Image, readout: Readout, masters: list[Master], not_applied: list[str]) -> None:
        header = image.header
        names = {master.kind: master.name for master in masters}
        for kind, (card, comment) in CARDS.items():
            write_text(header, card, names.get(kind, "none"), comment)
        dark = next((master for master in masters if master.kind == "dark"), None)
        if dark is not None:
            header["CALDSCL"] = (dark.scale, "factor of the master dark")
        if self.linearity is not None and not self.linearity.changes_nothing:
            header["CALLIN"] = ("table" if self.linearity.table is not None else "polynomial", "linearity correction")
        left_out = [name for name in CORRECTIONS if name in not_applied]
        write_text(header, "CALNOT", ", ".join(left_out) or "none", "corrections that were not applied")
        if "gain" not in not_applied:
            mark_electrons(header, readout.gain)
        if "uncertainty" not in not_applied:
            card = keyword_for(header, "read_noise") or "RDNOISE"
            header[card] = (readout.read_noise, "[electron] read noise")


def _stacked(planes: list[np.ndarray] | list[np.ndarray | None], dimensions: int) -> np.ndarray | None:
    """One plane for an image, all of them for a movie."""
    found = [plane for plane in planes if plane is not None]
    if not found:
        return None
    return found[0] if dimensions == 2 else np.stack(found)
