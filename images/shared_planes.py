"""Planes that images share: handed out read-only, checked when they are set, copied when they are edited."""

import copy as copying
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, Self

import numpy as np
from astropy.io import fits
from astropy.table import Table

from .catalog import SharedTable
from .errors import ImageError
from .header import Header, as_header
from .provenance import Activity

PlaneName = Literal["data", "mask", "uncertainty", "catalog", "raw"]

PIXEL_PLANES = ("data", "mask", "uncertainty", "raw")
"""The planes that are arrays; `catalog` is a table."""

UNSET: Any = object()
"""Default of :meth:`Image.replace`: the plane stays as it is (None removes it)."""

OWN_REFERENCES = 4
"""Of an array after :meth:`Image.edit`: the image, the view that was handed out, a variable, and the count itself."""

ADD_A_PLANE = {
    "mask": "add a step that flags pixels, or use safe_mask where a mask is optional",
    "uncertainty": "add the step Uncertainty before this one, or use safe_uncertainty where it is optional",
    "catalog": "detect sources first, for example with SepSourceDetection",
    "raw": "it exists only after a calibration that keeps the raw pixels",
    "data": "read it from a file or set it first",
}


class SharedPlanes:
    """The planes of an image, its header and what it remembers; :class:`Image` adds what can be done with them.

    Copies share everything. A plane is handed out read-only, and :meth:`edit` gives a private array, so nobody
    changes somebody else's pixels by accident.
    """

    def __init__(
        self,
        data: Any = None,
        header: fits.Header | Mapping[str, Any] | None = None,
        mask: Any = None,
        uncertainty: Any = None,
        catalog: Table | None = None,
        raw: Any = None,
        meta: Mapping[type, Any] | None = None,
        *,
        axes: str | None = None,
        name: str | None = None,
    ) -> None:
        self.name = name
        self._header = as_header(header)
        self._meta: dict[type, Any] = dict(meta or {})
        self._axes = axes
        self._being_edited: tuple[str, ...] = ()
        self._provenance: tuple[Activity, ...] = ()
        self._pixels: dict[str, np.ndarray] = {}
        self._catalog = None if catalog is None else SharedTable(catalog.copy())
        for plane, given in zip(PIXEL_PLANES, (data, mask, uncertainty, raw), strict=True):
            if given is not None:
                _refuse_annotated(plane, given)
                array = np.asarray(given)
                private = array.copy() if array is given and array.flags.writeable else array
                self._pixels[plane] = _adopt(plane, private, from_list=not isinstance(given, np.ndarray))
        self._check()

    # --- planes -----------------------------------------------------------------------------------------------

    @property
    def data(self) -> np.ndarray:
        """Pixel values, read-only; :meth:`edit` gives a writable array. Raises ImageError if absent."""
        return self._plane("data")

    @data.setter
    def data(self, value: Any) -> None:
        self._set(data=value)

    @property
    def mask(self) -> np.ndarray:
        """Excluded pixels (non-zero), read-only. Raises ImageError if absent."""
        return self._plane("mask")

    @mask.setter
    def mask(self, value: Any) -> None:
        self._set(mask=value)

    @property
    def uncertainty(self) -> np.ndarray:
        """One standard deviation in the unit of `data`, read-only. Raises ImageError if absent."""
        return self._plane("uncertainty")

    @uncertainty.setter
    def uncertainty(self, value: Any) -> None:
        self._set(uncertainty=value)

    @property
    def raw(self) -> np.ndarray:
        """The pixels before calibration, read-only. Raises ImageError if absent."""
        return self._plane("raw")

    @raw.setter
    def raw(self, value: Any) -> None:
        self._set(raw=value)

    @property
    def catalog(self) -> Table:
        """Table of sources. Its values are read-only; columns may be added. Raises ImageError if absent."""
        if self._catalog is None:
            raise self._absent("catalog")
        return self._catalog.table

    @catalog.setter
    def catalog(self, value: Table | None) -> None:
        self._set(catalog=value)

    @property
    def safe_data(self) -> np.ndarray | None:
        """`data`, or None."""
        return self._pixels.get("data")

    @property
    def safe_mask(self) -> np.ndarray | None:
        """`mask`, or None."""
        return self._pixels.get("mask")

    @property
    def safe_uncertainty(self) -> np.ndarray | None:
        """`uncertainty`, or None."""
        return self._pixels.get("uncertainty")

    @property
    def safe_raw(self) -> np.ndarray | None:
        """`raw`, or None."""
        return self._pixels.get("raw")

    @property
    def safe_catalog(self) -> Table | None:
        """`catalog`, or None."""
        return None if self._catalog is None else self._catalog.table

    @property
    def header(self) -> Header:
        """Header cards. Changing them changes this image only."""
        return self._header

    @header.setter
    def header(self, value: fits.Header | Mapping[str, Any] | None) -> None:
        self._set(header=value)

    @property
    def safe_header(self) -> Header:
        """`header`; it always exists."""
        return self._header

    def _plane(self, plane: str) -> np.ndarray:
        try:
            return self._pixels[plane]
        except KeyError:
            raise self._absent(plane) from None

    def _absent(self, plane: str) -> ImageError:
        article = "an" if plane[0] in "aeiou" else "a"
        what = "no data" if plane == "data" else f"no {plane}; {article} {plane} is needed here"
        return ImageError(f"{self.label} has {what}: {ADD_A_PLANE[plane]}")

    # --- sharing ----------------------------------------------------------------------------------------------

    def copy(self) -> Self:
        """An image of its own that shares all pixels, in microseconds. Changing one does not change the other."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._header = self._header.share()
        twin._meta = dict(self._meta)
        twin._pixels = dict(self._pixels)
        for plane in self._being_edited:  # what is still to be written is for this image only
            twin._pixels[plane] = _frozen(self._pixels[plane].copy())
        twin._being_edited = ()
        twin._catalog = None if self._catalog is None else self._catalog.share()
        return twin

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        twin = memo[id(self)] = self.copy()
        twin._pixels = {plane: _frozen(array.copy()) for plane, array in self._pixels.items()}
        twin._meta = copying.deepcopy(self._meta, memo)
        return twin

    def replace(
        self,
        *,
        data: Any = UNSET,
        header: fits.Header | Mapping[str, Any] | None = UNSET,
        mask: Any = UNSET,
        uncertainty: Any = UNSET,
        catalog: Table | None = UNSET,
        raw: Any = UNSET,
        axes: str | None = UNSET,
    ) -> Self:
        """A new image with some planes exchanged; all others are shared with this one.

        The arrays are adopted, not copied: they become read-only. None removes a plane.

        Raises
        ------
        ImageError
            The planes of the new image do not fit each other.
        """
        twin = self.copy()
        twin._set(data=data, header=header, mask=mask, uncertainty=uncertainty, catalog=catalog, raw=raw, axes=axes)
        return twin

    @contextmanager
    def edit(self, plane: PlaneName) -> Iterator[Any]:
        """A private, writable array (or table) of one plane, copied only if somebody else can see it.

        Nothing that was taken from it writes into the image after the block. (If a slice of it outlives the block, as
        the variable of a loop over its rows does, the pixels are copied once more.)

        Raises
        ------
        ImageError
            The plane is absent.
        """
        if plane == "catalog":
            table = self.catalog.copy()
            yield table
            self._set(catalog=table)
            return
        self._plane(plane)
        if sys.getrefcount(self._pixels[plane]) > 2 or not self._pixels[plane].flags.owndata:
            self._pixels[plane] = self._pixels[plane].copy()
        own = self._pixels[plane]
        own.flags.writeable = True
        pixels = own.view()  # every slice of it refers to `own`, so that those that are left can be counted
        own.flags.writeable = False
        before = self._being_edited
        self._being_edited = (*before, plane)
        try:
            yield pixels
        finally:
            self._being_edited = before
            pixels.flags.writeable = False
            if self._pixels.get(plane) is own and sys.getrefcount(own) > OWN_REFERENCES:
                self._pixels[plane] = _frozen(own.copy())

    def _set(self, **planes: Any) -> None:
        """Exchange planes of this image; it is left as it was if they do not fit."""
        before = self.__dict__.copy()
        old = self._pixels.get("data")
        self._pixels = dict(self._pixels)
        try:
            for plane, value in planes.items():
                if value is UNSET:
                    continue
                if plane == "header":
                    self._header = as_header(value)
                elif plane == "axes":
                    self._axes = value
                elif plane == "catalog":
                    self._catalog = None if value is None else SharedTable(value.copy())
                elif value is None:
                    self._pixels.pop(plane, None)
                else:
                    self._pixels[plane] = _adopt(plane, value, from_list=not isinstance(value, np.ndarray))
            new = self._pixels.get("data")
            if old is not None and new is not None and old.ndim != new.ndim and planes.get("axes", UNSET) is UNSET:
                self._axes = None  # those of a movie or a colour image do not hold for its mean
            same_size = old is not None and new is not None and old.shape == new.shape
            self._check(sync_header=not same_size or planes.get("header", UNSET) is not UNSET)
        except Exception:
            self.__dict__.update(before)
            raise

    def _check(self, *, sync_header: bool = True) -> None:
        """Planes fit each other, and the header's NAXIS cards fit the pixels."""
        pixels = self._pixels
        data = pixels.get("data")
        if data is not None and not (data.ndim == 2 or data.ndim == 3):
            raise ImageError(
                f"{self.label}: data must be (H, W), (3, H, W) or (T, H, W), not {data.ndim}-dimensional {data.shape}"
            )
        if self._axes is not None and data is not None:
            _check_axes(self._axes, data.shape, self.label)
        reference = data if data is not None else next(iter(pixels.values()), None)
        for plane in ("mask", "uncertainty"):
            array = pixels.get(plane)
            if (
                array is not None
                and reference is not None
                and array.shape not in (reference.shape, reference.shape[-2:])
            ):
                raise ImageError(
                    f"{self.label}: {plane} has shape {array.shape}, data has {reference.shape}; "
                    "set both at once with image.replace(data=…, mask=…, uncertainty=…)"
                )
        if data is not None and sync_header:
            _sync_naxis(self._header, data.shape)

    @property
    def axes(self) -> str:
        """What the axes of `data` are: "YX", "CYX" (colour) or "TYX" (movie)."""
        shape = self.data.shape
        if len(shape) == 2:
            return "YX"
        if self._axes is not None:
            return self._axes
        ctype = str(self._header.get("CTYPE3", "")).strip().upper()
        if ctype in ("FRAME", "TIME"):
            return "TYX"
        return "CYX" if shape[0] == 3 else "TYX"

    @property
    def is_color(self) -> bool:
        """Whether `data` is (3, H, W) red, green, blue."""
        return "data" in self._pixels and self.axes == "CYX"

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns (H, W) of `data`."""
        height, width = self.data.shape[-2:]
        return height, width

    @property
    def label(self) -> str:
        """What messages call this image: its file, its FNAME card, or just "image"."""
        name = self.name or self._header.get("FNAME")
        return f"image {name}" if name else "image"


def _adopt(plane: str, value: Any, *, from_list: bool) -> np.ndarray:
    """A read-only array in native byte order, of a type that the plane can have."""
    _refuse_annotated(plane, value)
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise ImageError(f"{plane} must hold numbers, not {array.dtype}")
    if plane == "mask":
        if array.dtype.kind == "f":
            array = array != 0
    elif array.dtype.kind == "b":
        array = array.astype(np.uint8)
    elif from_list and array.dtype == np.float64:
        array = array.astype(np.float32)
    if array.dtype.kind == "f" and array.dtype.itemsize not in (4, 8):
        array = array.astype(np.float32 if array.dtype.itemsize == 2 else np.float64)  # what files can hold
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if _can_be_written_elsewhere(array):
        array = array.copy()
    return _frozen(array)


def _refuse_annotated(plane: str, value: Any) -> None:
    """numpy would quietly drop what such arrays say beside their numbers."""
    if isinstance(value, np.ma.MaskedArray):
        raise ImageError(f"{plane} is a masked array: give its .data, and its .mask as the image's mask")
    if getattr(value, "unit", None) is not None:
        raise ImageError(f"{plane} has the unit {value.unit}: give its .value, and the unit in the header card BUNIT")


def _can_be_written_elsewhere(array: np.ndarray) -> bool:
    """Whether it is a view of memory that somebody else can write to."""
    if array.base is not None and array.flags.writeable:
        return True
    base = array.base
    while isinstance(base, np.ndarray):
        if base.flags.writeable:
            return True
        base = base.base
    return False


def _frozen(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def _check_axes(axes: str, shape: tuple[int, ...], label: str) -> None:
    if axes not in ("YX", "CYX", "TYX"):
        raise ImageError(f"{label}: axes must be 'YX', 'CYX' or 'TYX', not {axes!r}")
    if len(axes) != len(shape):
        raise ImageError(f"{label}: axes {axes!r} do not fit data of shape {shape}")
    if axes == "CYX" and shape[0] != 3:
        raise ImageError(f"{label}: a colour image has 3 planes, this one has {shape[0]}; is it a movie (axes='TYX')?")


def _sync_naxis(header: Header, shape: tuple[int, ...]) -> None:
    """Make the NAXIS cards say what the pixels are; a header that says so already is not touched."""
    wanted = {"NAXIS": len(shape)} | {f"NAXIS{i}": n for i, n in enumerate(reversed(shape), start=1)}
    for key, value in wanted.items():
        if header.get(key) != value:
            header[key] = value
    for key in ("NAXIS3", "NAXIS4"):
        if key not in wanted and key in header:
            del header[key]
