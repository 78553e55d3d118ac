"""Master frames: where they come from, whether they fit a frame, and how they are kept in memory."""

from collections.abc import Hashable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic_core import core_schema

from ...images import Header, Image, ImageError
from ...images.io import file_checksum
from ...images.keywords import header_value
from ...images.provenance import InputFile
from ..context import current_run
from .cache import CACHE
from .units import COUNTS

Kind = Literal["bias", "dark", "flat", "bad_pixels"]

DarkScale = tuple[float, float]
"""Least and largest factor by which a dark may be scaled."""


class MissingMasterError(ImageError):
    """There is no master of a kind that fits this frame."""


class MasterSchema:
    """How a master is written in a configuration, checked, and recorded."""

    @staticmethod
    def check(value: Any) -> Path | Image | Literal[False]:
        """A path, an image, or False.

        Raises
        ------
        ValueError
            It is something else.
        """
        if isinstance(value, Image):
            return value
        if value is False:
            return False
        if isinstance(value, str | Path) and str(value):
            return Path(value)
        raise ValueError(f"{value!r} is no master: give the path of a file, an Image, or false to leave it out")

    @staticmethod
    def plain(value: Any) -> str | bool | None:
        """What a configuration would say."""
        if isinstance(value, Image):
            return value.name or "image in memory"
        return str(value) if isinstance(value, Path) else value

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.check, serialization=core_schema.plain_serializer_function_ser_schema(self.plain)
        )

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return {
            "anyOf": [{"type": "string", "minLength": 1}, {"const": False}],
            "description": "path of a master frame; false leaves this correction out",
        }


MasterSource = Annotated[Path | Image | Literal[False], MasterSchema()]
"""Type of a parameter that takes a master: the path of a file, or an Image; False wants none."""


@dataclass(frozen=True, slots=True)
class Master:
    """A master frame that was found for an image.

    Attributes
    ----------
    kind : {"bias", "dark", "flat", "bad_pixels"}
        What it is.
    name : str
        What header cards and messages call it.
    header : Header
        Its header.
    shape : (int, int)
        Its rows and columns (H, W).
    identity : hashable
        Names its content; equal identities mean equal pixels.
    source : Path or Image
        Where its pixels are.
    scale : float
        Factor for a dark.
    """

    kind: Kind
    name: str
    header: Header
    shape: tuple[int, ...]
    identity: Hashable
    source: Path | Image
    scale: float = 1.0

    def image(self) -> Image:
        """Its pixels, read from the file at most once while there is room in memory."""
        source = self.source
        if isinstance(source, Image):
            return source
        return CACHE.get(("master", self.identity), lambda: Image.from_file(source), bytes_of)

    def note(self) -> None:
        """Record in the provenance of the running step that it is used."""
        if isinstance(self.source, Path):
            current_run().inputs.append(_checksum(self.source, self.identity, f"master {self.kind.replace('_', ' ')}"))


def bytes_of(image: Image) -> int:
    """Memory that an image's planes take [byte]."""
    planes = (image.safe_data, image.safe_mask, image.safe_uncertainty, image.safe_raw)
    return sum(plane.nbytes for plane in planes if plane is not None)


def open_master(kind: Kind, source: Path | Image) -> Master:
    """A master from its file or image.

    Raises
    ------
    MissingMasterError
        There is no such file.
    ImageError
        The file is not an image.
    """
    if isinstance(source, Image):
        planes = (source.data, source.safe_mask, source.safe_uncertainty)
        # The planes of an image are never changed while somebody else, here the cache, holds them too.
        identity = tuple(None if plane is None else _Same(plane) for plane in planes)
        name = source.name or source.header.get("FNAME") or "image in memory"
        return Master(kind, str(name), source.header, source.shape, identity, source)
    try:
        identity = _file_identity(source)
    except OSError as error:
        raise MissingMasterError(f"master {kind} {source} cannot be read: {error.strerror or error}") from error
    header, shape = _facts(source, identity)
    return Master(kind, source.name, header, shape, identity, source)


class _Same:
    """Equal for the same array only, which it keeps alive."""

    __slots__ = ("array",)

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.array is other.array

    def __hash__(self) -> int:
        return id(self.array)


def _file_identity(path: Path) -> Hashable:
    status = path.stat()
    return (str(path.absolute()), status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size)


@lru_cache(maxsize=256)
def _facts(path: Path, identity: Hashable) -> tuple[Header, tuple[int, ...]]:
    image = CACHE.get(("master", identity), lambda: Image.from_file(path), bytes_of)
    return image.header, image.shape


@lru_cache(maxsize=256)
def _checksum(path: Path, identity: Hashable, role: str) -> InputFile:  # noqa: ARG001 - a changed file is another file
    try:
        return file_checksum(path, role=role)
    except OSError as error:
        raise ImageError(f"{role} {path} cannot be read: {error.strerror or error}") from error


# --- which master, and does it fit -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Search:
    """Where masters are looked for, and what is good enough.

    Attributes
    ----------
    library : Path or None
        Folder of masters.
    max_age : float or None
        How far from the frame in time a master of the library may be [day].
    when : {"nearest", "before", "after"}
        On which side of the frame.
    exposure_tolerance : float
        By what fraction the exposure time of a dark may differ from that of the frame.
    dark_scale : (float, float) or None
        Between which factors a dark of another exposure time may be scaled; None never.
    """

    library: Path | None = None
    max_age: float | None = None
    when: Literal["nearest", "before", "after"] = "nearest"
    exposure_tolerance: float = 0.01
    dark_scale: DarkScale | None = None

    def find(self, kind: Kind, image: Image, source: Any, *, shape: tuple[int, int]) -> Master | None:
        """The master for a frame: the given one, or the best of the library; None if none is wanted.

        Parameters
        ----------
        kind : {"bias", "dark", "flat", "bad_pixels"}
            What is looked for.
        image : Image
            The frame.
        source : Path, Image, False or None
            The master itself; False wants none, None asks the library, if there is one.
        shape : (int, int)
            Rows and columns (H, W) of the frame after trimming; masters of the library must have it.

        Raises
        ------
        MissingMasterError
            None fits; the message says why.
        """
        if source is False:
            return None
        if source is None:
            return None if self.library is None else self._from_library(kind, image, self.library, shape)
        master = open_master(kind, source)
        if kind == "flat":
            _check_filter(master, image)
        if kind == "dark":
            scale = dark_factor(master, image, tolerance=self.exposure_tolerance, limits=self.dark_scale)
            return _scaled(master, scale)
        return master

    def _from_library(self, kind: Kind, image: Image, library: Path, shape: tuple[int, int]) -> Master:
        from .library import CalibrationLibrary, NoMatchError

        try:
            match = CalibrationLibrary([library]).find(
                kind,
                image.header,
                max_age=self.max_age,
                exposure_tolerance=self.exposure_tolerance,
                when=self.when,
                dark_scale=self.dark_scale,
                shape=shape,
            )
        except NoMatchError as error:
            raise MissingMasterError(f"{image.label}: {error}") from error
        return _scaled(open_master(kind, Path(match.path)), match.scale)


def _scaled(master: Master, scale: float) -> Master:
    return Master(master.kind, master.name, master.header, master.shape, master.identity, master.source, scale)


def dark_factor(master: Master, image: Image, *, tolerance: float, limits: DarkScale | None) -> float:
    """By what a dark is multiplied before it is subtracted from a frame.

    A dark current (unit adu/s) is multiplied by the exposure time. A dark frame of the same exposure time is taken
    as it is, and one of another is scaled by the ratio of the exposure times, within the limits.

    Raises
    ------
    MissingMasterError
        The exposure times differ by more than allowed, or are not known.
    """
    exposure = image.exposure_time
    if exposure is None:
        raise MissingMasterError(f"{image.label} has no exposure time in its header: no dark can be chosen for it")
    unit = str(master.header.get("BUNIT") or "adu").replace(" ", "").lower()
    if unit.endswith("/s"):
        return exposure
    own = header_value(master.header, "exposure_time", label=f"master dark {master.name}")
    if own is None:
        raise MissingMasterError(f"master dark {master.name} has no exposure time in its header")
    if abs(own - exposure) <= tolerance * max(exposure, 0.0):
        return 1.0
    wanted = f"master dark {master.name} was exposed for {own:g} s, the frame for {exposure:g} s"
    if limits is None:
        raise MissingMasterError(f"{image.label}: {wanted}; dark_scale: [low, high] allows it to be scaled")
    if own <= 0 or not limits[0] <= exposure / own <= limits[1]:
        raise MissingMasterError(
            f"{image.label}: {wanted}, and dark_scale allows factors of {limits[0]:g} to {limits[1]:g}"
        )
    return exposure / own


def _check_filter(master: Master, image: Image) -> None:
    own = header_value(master.header, "filter", label=f"master flat {master.name}")
    wanted = image.filter
    if own is not None and wanted is not None and own != wanted:
        raise MissingMasterError(f"{image.label} was taken in filter {wanted}, the master flat {master.name} in {own}")


def write_text(header: Header, card: str, text: str, comment: str) -> None:
    """Write a card of text, with its comment if there is room for both."""
    header[card] = (text, comment) if len(text) + len(comment) <= 60 else text


def check_fit(master: Master, image: Image, shape: tuple[int, int]) -> None:
    """Make sure that a master belongs to frames like this one.

    Parameters
    ----------
    master : Master
        The master.
    image : Image
        The frame; its CALOSCAN card says whether its overscan is subtracted.
    shape : (int, int)
        Rows and columns (H, W) of the frame after trimming.

    Raises
    ------
    ImageError
        Size, unit, overscan or level do not fit.
    """
    what = f"master {master.kind.replace('_', ' ')} {master.name}"
    if tuple(master.shape) != tuple(shape):
        raise ImageError(
            f"{image.label} has {shape[1]} x {shape[0]} pixels after trimming, the {what} {master.shape[1]} x "
            f"{master.shape[0]}; trim both alike"
        )
    unit = str(master.header.get("BUNIT") or "adu").replace(" ", "").lower().removesuffix("/s")
    if master.kind in ("bias", "dark") and unit not in COUNTS:
        raise ImageError(f"the {what} is in {unit}, not in counts (adu)")
    if master.kind == "bias" and "CALOSCAN" in master.header and "CALOSCAN" not in image.header:
        raise ImageError(
            f"the {what} had its overscan subtracted, {image.label} has not; subtract the overscan first (Overscan)"
        )
    if master.kind == "flat":
        level = CACHE.get(("level", master.identity), lambda: flat_level(master.image()), lambda _: 64)
        if not 0.1 < level < 10:
            raise ImageError(f"the {what} is not normalised: its level is {level:.4g}, not about 1")


def flat_level(flat: Image) -> float:
    """Median of a sample of the usable pixels; NaN if there are none."""
    pixels = flat.data[::4, ::4]
    usable = np.isfinite(pixels) & (pixels > 0)
    if flat.safe_mask is not None:
        usable &= flat.mask[::4, ::4] == 0
    if not usable.any():
        pixels = flat.data
        usable = np.isfinite(pixels) & (pixels > 0)
    return float(np.median(pixels[usable])) if usable.any() else float("nan")
