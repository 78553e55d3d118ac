"""The Image: the only thing that flows through Etendue.

An image is a set of planes (pixels, mask, uncertainty, catalogue, raw pixels), a header, and facts about
this run keyed by their class. Planes are shared between images and handed out read-only, so passing an
image on costs nothing and nobody can change somebody else's pixels by accident:

>>> brighter = image.replace(data=image.data + 3)      # a new image; mask, header, … are shared
>>> with image.edit("data") as pixels:                 # a private writable array, copied only if shared
...     pixels[10:20] = 0

Pixel coordinates are 0-based (x, y) = (column, row); the centre of the first pixel is (0, 0).
"""

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Self, TypeVar

import numpy as np

from . import arithmetic, geometry
from .catalog import write_table
from .errors import ImageError
from .keywords import KeywordProperties
from .planes import Planes
from .provenance import Activity
from .sections import Section
from .shared_planes import UNSET, SharedPlanes

if TYPE_CHECKING:
    from astropy.nddata import CCDData
    from astropy.wcs import WCS

MetaClass = TypeVar("MetaClass")


class Image(SharedPlanes, KeywordProperties):
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

    # --- arithmetic: header, catalogue and raw pixels stay those of the image on the left -----------------------

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
            if operation in (np.add, np.subtract):
                arithmetic.check_units(self._header, other._header)
            right = other._measured()
        elif isinstance(other, int | float | np.number | np.ndarray):
            right = Planes(data=arithmetic.plain_operand(other))
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
        """Combine blocks of `factor` × `factor` pixels without the masked ones; an incomplete last block is cut off.

        Gain, read noise and saturation in the header become those of the new pixels.
        """
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
        if self._being_edited:
            return self.copy().to_planes()
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
            Passed to the reader; for FITS see :func:`etendue.images.io.fits.reader.read_fits`
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
        self._header["FNAME"] = name.encode("ascii", "replace").decode()  # a card holds nothing else
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
