"""The Image: the only thing that flows through Etendue.

An image is a set of planes (pixels, mask, uncertainty, catalogue, raw pixels), a header, and facts about
this run keyed by their class. Planes are shared between images and handed out read-only, so passing an
image on costs nothing and nobody can change somebody else's pixels by accident:

>>> brighter = image.replace(data=image.data + 3)      # a new image; mask, header, … are shared
>>> with image.edit("data") as pixels:                 # a private writable array, copied only if shared
...     pixels[10:20] = 0

Pixel coordinates are 0-based (x, y) = (column, row); the centre of the first pixel is (0, 0).
"""

import copy as copying
import io
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Self, TypeVar

import numpy as np
from astropy.io import fits
from astropy.table import Table

from . import arithmetic, geometry
from .catalog import SharedTable, write_table
from .errors import ImageError
from .header import Header, as_header
from .keywords import KeywordProperties
from .planes import Planes
from .provenance import Activity
from .sections import Section

if TYPE_CHECKING:
    from astropy.nddata import CCDData
    from astropy.wcs import WCS

MetaClass = TypeVar("MetaClass")
PlaneName = Literal["data", "mask", "uncertainty", "catalog", "raw"]

PIXEL_PLANES = ("data", "mask", "uncertainty", "raw")
"""The planes that are arrays; `catalog` is a table."""

UNSET: Any = object()
"""Default of :meth:`Image.replace`: the plane stays as it is (None removes it)."""

ADD_A_PLANE = {
    "mask": "add a step that flags pixels, or use safe_mask where a mask is optional",
    "uncertainty": "add the step Uncertainty before this one, or use safe_uncertainty where it is optional",
    "catalog": "detect sources first, for example with SepSourceDetection",
    "raw": "it exists only after a calibration that keeps the raw pixels",
    "data": "read it from a file or set it first",
}


class Image(KeywordProperties):
    """Pixels with everything that belongs to them.

    Parameters
    ----------
    data : (H, W), (3, H, W) or (T, H, W) array_like
        Pixel values. A writable array is copied; lists of floats become float32.
    header : astropy.io.fits.Header or mapping
        Header cards; copied. NAXIS, NAXIS1, … always follow `data`.
    mask : (H, W) array_like of bool or integer
        Non-zero is excluded; integers are bits of :class:`PixelFlag`.
    uncertainty : (H, W) array_like
        One standard deviation, in the unit of `data`.
    catalog : astropy.table.Table
        Sources; `x` and `y` are 0-based.
    raw : array_like
        The pixels before calibration.
    meta : mapping
        Run-time objects keyed by their class.
    axes : {"YX", "CYX", "TYX"}
        What the axes of `data` are: an image, a colour image, a movie. By default three planes are a colour image.
    name : str
        What error messages call the image; the file's name if it was read from one.

    Raises
    ------
    ImageError
        A plane has a shape or type that does not fit.
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
        self._provenance: tuple[Activity, ...] = ()
        self._pixels: dict[str, np.ndarray] = {}
        self._catalog = None if catalog is None else SharedTable(catalog.copy())
        for plane, given in zip(PIXEL_PLANES, (data, mask, uncertainty, raw), strict=True):
            if given is not None:
                array = given if isinstance(given, np.ma.MaskedArray) else np.asarray(given)
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
        pixels = self._pixels[plane]
        pixels.flags.writeable = True
        try:
            yield pixels
        finally:
            pixels.flags.writeable = False

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

    @property
    def unit(self) -> str:
        """Unit of the pixels, lower case; "adu" where the header does not say."""
        return str(self._header.get("BUNIT") or "adu").strip().lower()

    @property
    def wcs(self) -> "WCS | None":
        """Celestial coordinates of the pixels, or None. 0-based: ``image.wcs.pixel_to_world(x, y)``."""
        from .coordinates import celestial_wcs

        return celestial_wcs(self._header)

    @property
    def pixel_scale(self) -> float | None:
        """Side of a pixel on the sky [arcsec/px], whatever the rotation; None without coordinates."""
        from .coordinates import pixel_scale

        return pixel_scale(self._header)

    # --- meta and provenance ----------------------------------------------------------------------------------

    @property
    def meta(self) -> dict[type, Any]:
        """Run-time objects keyed by their class; never written to files."""
        return self._meta

    @meta.setter
    def meta(self, value: Mapping[type, Any] | None) -> None:
        self._meta = dict(value or {})

    def set_meta(self, meta: Any) -> None:
        """Store an object under its class, in place of an earlier one of that class."""
        self._meta[type(meta)] = meta

    def has_meta(self, meta_class: type) -> bool:
        """Whether an object of this class is stored."""
        return isinstance(self._meta.get(meta_class), meta_class)

    def get_meta(self, meta_class: type[MetaClass]) -> MetaClass:
        """The object of this class.

        Raises
        ------
        ImageError
            There is none, or what is stored is of another class.
        """
        found = self._meta.get(meta_class)
        if not isinstance(found, meta_class):
            raise ImageError(f"{self.label} has no {meta_class.__name__}; a step that computes it must come first")
        return found

    def get_meta_safe(self, meta_class: type[MetaClass], default: MetaClass | None = None) -> MetaClass | None:
        """The object of this class, or `default`."""
        found = self._meta.get(meta_class)
        return found if isinstance(found, meta_class) else default

    @property
    def provenance(self) -> tuple[Activity, ...]:
        """What has been done to this image, oldest first."""
        return self._provenance

    def with_provenance(self, *activities: Activity) -> Self:
        """A new image with these activities added to its provenance."""
        twin = self.copy()
        twin._provenance = (*self._provenance, *activities)
        return twin

    def with_whole_provenance(self, activities: Iterable[Activity]) -> Self:
        """A new image with exactly this provenance."""
        twin = self.copy()
        twin._provenance = tuple(activities)
        return twin

    # --- arithmetic -------------------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Self:
        return self._combine(np.add, other)

    def __radd__(self, other: Any) -> Self:
        return self._combine(np.add, other, swapped=True)

    def __sub__(self, other: Any) -> Self:
        return self._combine(np.subtract, other)

    def __rsub__(self, other: Any) -> Self:
        return self._combine(np.subtract, other, swapped=True)

    def __mul__(self, other: Any) -> Self:
        return self._combine(np.multiply, other)

    def __rmul__(self, other: Any) -> Self:
        return self._combine(np.multiply, other, swapped=True)

    def __truediv__(self, other: Any) -> Self:
        return self._combine(np.divide, other)

    def __rtruediv__(self, other: Any) -> Self:
        return self._combine(np.divide, other, swapped=True)

    __array_ufunc__ = None  # array + image must come to Image.__radd__, not be taken apart by numpy

    def _combine(self, operation: np.ufunc, other: Any, *, swapped: bool = False) -> Any:
        if isinstance(other, Image):
            right = other._measured()
        elif isinstance(other, int | float | np.number | np.ndarray):
            right = Planes(data=np.asarray(other))
        else:
            return NotImplemented
        left = self._measured()
        result = arithmetic.combine(operation, *((right, left) if swapped else (left, right)))
        return self.replace(data=result.data, mask=result.mask, uncertainty=result.uncertainty)

    def _measured(self) -> Planes:
        """Data, mask and uncertainty: what arithmetic is about."""
        return Planes(data=self.data, mask=self.safe_mask, uncertainty=self.safe_uncertainty)

    # --- geometry: everything moves together ------------------------------------------------------------------

    def trim(self) -> Self:
        """Cut to the header's TRIMSEC, once: the section cards are removed. Without TRIMSEC nothing is cut."""
        return self._moved(geometry.trim(self.to_planes()))

    def crop(self, section: Section) -> Self:
        """Cut out a section; catalogue positions, WCS and header sections follow. Sources outside are dropped."""
        return self._moved(geometry.crop(self.to_planes(), section))

    def bin(self, factor: int, *, method: Literal["mean", "sum"] = "mean") -> Self:
        """Combine blocks of `factor` × `factor` pixels without the masked ones; an incomplete last block is cut off."""
        return self._moved(geometry.bin_blocks(self.to_planes(), factor, method=method))

    def flip(self, *, x: bool = False, y: bool = False) -> Self:
        """Mirror: `x` exchanges left and right, `y` exchanges bottom and top."""
        return self._moved(geometry.flip(self.to_planes(), x=x, y=y))

    def shift(self, dx: int, dy: int) -> Self:
        """Move the content by whole pixels; what comes in from outside is NO_DATA."""
        return self._moved(geometry.shift(self.to_planes(), dx, dy))

    def _moved(self, planes: Planes) -> Self:
        return self.replace(
            data=planes.data,
            header=planes.header,
            mask=planes.mask,
            uncertainty=planes.uncertainty,
            catalog=planes.catalog,
            raw=planes.raw,
            axes=planes.axes if planes.data is not None and planes.data.ndim == 3 else None,
        )

    # --- files ------------------------------------------------------------------------------------------------

    def to_planes(self) -> Planes:
        """The planes as plain data, shared with this image."""
        return Planes(
            data=self.safe_data,
            header=self._header.share(),
            mask=self.safe_mask,
            uncertainty=self.safe_uncertainty,
            catalog=self.safe_catalog,
            raw=self.safe_raw,
            axes=self._axes or (self.axes if "data" in self._pixels else None),
            provenance=self._provenance,
        )

    @classmethod
    def from_planes(cls, planes: Planes, *, name: str | None = None) -> Self:
        """An image of these planes; the arrays are adopted, not copied.

        Raises
        ------
        ImageError
            The planes do not fit each other.
        """
        image = cls(header=planes.header, name=name)
        image._set(
            data=UNSET if planes.data is None else planes.data,
            mask=planes.mask,
            uncertainty=planes.uncertainty,
            catalog=planes.catalog,
            raw=planes.raw,
            axes=planes.axes if planes.data is not None and planes.data.ndim == 3 else None,
        )
        image._provenance = planes.provenance
        return image

    @classmethod
    def from_file(cls, filename: str | Path, **options: Any) -> Self:
        """Read an image from a file of any registered format (FITS, TIFF, NPY, PNG, JPEG, plugins').

        Parameters
        ----------
        filename : path
            The file.
        **options
            Passed to the reader; for FITS see :func:`etendue.images.io.fits_reader.read_fits`
            (``dtype``, ``data``, ``mask``, ``uncertainty``: which extension is what).

        Raises
        ------
        ImageError
            The file is not an image, damaged, or holds no pixels; the message names it and says why.
        FileNotFoundError
            There is no such file.
        """
        from .io import read_file

        path = Path(filename)
        return cls.from_planes(read_file(path, **options), name=path.name)

    @classmethod
    async def load(cls, filename: str | Path, **options: Any) -> Self:
        """:meth:`from_file` without blocking the event loop."""
        from .io import load_planes

        path = Path(filename)
        return cls.from_planes(await load_planes(path, **options), name=path.name)

    @classmethod
    def from_bytes(cls, data: bytes, /, *, name: str | None = None, **options: Any) -> Self:
        """Read an image from the bytes of a file, whose format is told by its content.

        Raises
        ------
        ImageError
            The bytes are not an image, damaged, or hold no pixels.
        """
        from .io import read_bytes

        return cls.from_planes(read_bytes(data, name=name, **options), name=name)

    @classmethod
    def from_ndarray(cls, array: np.ndarray, header: Mapping[str, Any] | None = None) -> Self:
        """An image of an array, with header cards from a mapping (a key DTYPE is ignored)."""
        cards = {key: value for key, value in dict(header or {}).items() if key != "DTYPE"}
        return cls(data=array, header=cards)

    @classmethod
    def from_ccddata(cls, ccd: "CCDData") -> Self:
        """An image from an :class:`astropy.nddata.CCDData`: unit, WCS, mask and any kind of uncertainty are kept."""
        from .ccddata import from_ccddata

        return cls.from_planes(from_ccddata(ccd))

    def to_ccddata(self) -> "CCDData":
        """An :class:`astropy.nddata.CCDData` with unit, WCS, mask and standard deviation.

        Raises
        ------
        ImageError
            There are no pixels.
        """
        from .ccddata import to_ccddata

        self._plane("data")
        return to_ccddata(self.to_planes())

    def writeto(self, filename: str | Path | BinaryIO, *, overwrite: bool = True, **options: Any) -> None:
        """Write to a file; the format follows the suffix. Complete under its final name, or not there at all.

        Raises
        ------
        ImageError
            There are no pixels, or no writer knows the suffix.
        FileExistsError
            The file exists and `overwrite` is False.
        """
        from .io import write_file, write_stream

        self._plane("data")
        if isinstance(filename, str | Path):
            write_file(self.to_planes(), Path(filename), overwrite=overwrite, **options)
        else:
            write_stream(self.to_planes(), filename, **options)

    async def save(self, filename: str | Path, *, overwrite: bool = True, **options: Any) -> None:
        """:meth:`writeto` without blocking the event loop."""
        from .io import save_planes

        self._plane("data")
        await save_planes(self.to_planes(), Path(filename), overwrite=overwrite, **options)

    def to_bytes(self, **options: Any) -> bytes:
        """The FITS file that :meth:`writeto` would write."""
        stream = io.BytesIO()
        self.writeto(stream, **options)
        return stream.getvalue()

    def write_catalog(self, filename: str | Path, *, overwrite: bool = True) -> None:
        """Write the catalogue alone (FITS, ECSV, CSV, VOTable or Parquet, by suffix). Raises ImageError if absent."""
        write_table(self.catalog, Path(filename), overwrite=overwrite)

    def format_filename(self, pattern: str | Iterable[str], **extra: Any) -> str:
        """Fill a filename pattern (see :mod:`etendue.images.filename`) and store the result in the card FNAME.

        Raises
        ------
        ImageError
            A key is missing.
        ValueError
            The pattern itself is malformed.
        """
        from .filename import format_filename

        name = format_filename(pattern, self._header, label=self.label, extra=extra)
        self._header["FNAME"] = name
        return name

    # --- pictures ---------------------------------------------------------------------------------------------

    def to_grayscale(self, r: float = 0.2126, g: float = 0.7152, b: float = 0.0722) -> Self:
        """One channel from three (weights of ITU-R BT.709); an image without colour comes back as a copy.

        Mask and uncertainty follow: masked in any channel is masked; errors add in quadrature.
        """
        return self._moved(arithmetic.weighted_channels(self.to_planes(), (r, g, b))) if self.is_color else self.copy()

    def to_jpeg(self, vmin: float | None = None, vmax: float | None = None, **options: Any) -> bytes:
        """A JPEG picture; linear between the 5 % and 95 % quantiles unless told otherwise.

        Parameters
        ----------
        vmin, vmax : float
            Values shown black and white; one that is not given is found in the image.
        **options
            ``stretch="linear" | "asinh" | "zscale"``, ``quality``: see :func:`etendue.images.display.picture`.
        """
        from .display import encode, picture

        quality = options.pop("quality", 90)
        return encode(picture(self._shown(), vmin=vmin, vmax=vmax, **options), "jpeg", quality=quality)

    def _shown(self) -> np.ndarray:
        """What a picture shows: of a movie, the mean of its frames."""
        return self.data.mean(axis=0, dtype=np.float32) if self.axes == "TYX" else self.data

    def to_png(self, vmin: float | None = None, vmax: float | None = None, **options: Any) -> bytes:
        """A PNG picture; options as for :meth:`to_jpeg`."""
        from .display import encode, picture

        return encode(picture(self._shown(), vmin=vmin, vmax=vmax, **options), "png")

    def __repr__(self) -> str:
        planes = [f"data {array.shape} {array.dtype}" if p == "data" else p for p, array in self._pixels.items()]
        if self._catalog is not None:
            planes.append(f"catalog of {len(self._catalog.table)}")
        return f"<Image {self.name or ''}{': ' if self.name else ''}{', '.join(planes) or 'empty'}>"


def _adopt(plane: str, value: Any, *, from_list: bool) -> np.ndarray:
    """A read-only array in native byte order, of a type that the plane can have."""
    array = np.asarray(value)
    if isinstance(value, np.ma.MaskedArray):
        raise ImageError(f"{plane} is a masked array: give its .data, and its .mask as the image's mask")
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
