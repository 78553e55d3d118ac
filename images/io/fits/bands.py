"""Bands of rows of a FITS image, read straight from where they are: for frames of which never more is in memory."""

from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from ...header import Header
from ..content import Content
from .header import Hdu, image_header, scan
from .pixels import read_pixels
from .reader import MASK_NAMES, UNCERTAINTY_NAMES, customary, data_unit


class FitsBands:
    """A plain FITS file with one image of two axes, kept open, of which bands of rows can be read.

    Data, mask and uncertainty are what :func:`~etendue.images.io.read_fits` finds. Use :func:`open_bands`.
    """

    def __init__(self, content: Content, hdus: list[Hdu], data: Hdu, mask: Hdu | None, error: Hdu | None) -> None:
        self._content = content
        self._data, self._mask, self._error = data, mask, error
        self.name = content.name
        self.header: Header = image_header(data, hdus[0])  # type: ignore[assignment]
        self.shape: tuple[int, int] = data.shape  # type: ignore[assignment]
        for axis, length in enumerate(reversed(self.shape), start=1):
            self.header[f"NAXIS{axis}"] = length

    @property
    def has_uncertainty(self) -> bool:
        """Whether the file holds standard deviations."""
        return self._error is not None

    @property
    def has_flags(self) -> bool:
        """Whether the mask holds bits of :class:`PixelFlag`; else it only says which pixels are excluded."""
        noted = "" if self._mask is None else str(self._mask.values.get("ETDTYPE", ""))
        return noted.startswith(("int", "uint"))

    def data(self, first: int, last: int) -> np.ndarray:
        """Rows `first` to `last` (not included) of the pixels, (h, W), in the type of the physical values.

        Raises
        ------
        ImageError
            The file was shortened meanwhile.
        """
        return self._band(self._data, first, last)

    def mask(self, first: int, last: int) -> np.ndarray | None:
        """The same rows of the mask, non-zero is excluded; None if there is none."""
        return None if self._mask is None else self._band(self._mask, first, last)

    def uncertainty(self, first: int, last: int) -> np.ndarray | None:
        """The same rows of the standard deviations; None if there are none."""
        return None if self._error is None else self._band(self._error, first, last)

    def _band(self, hdu: Hdu, first: int, last: int) -> np.ndarray:
        row = abs(hdu.values["BITPIX"]) // 8 * hdu.shape[1]
        # A band of rows of an image is an image: it only begins later and ends earlier.
        values = {**hdu.values, "NAXIS2": last - first}
        band = replace(hdu, start=hdu.start + first * row, length=(last - first) * row, values=values)
        return read_pixels(self._content, band, None, squeeze=False)

    def close(self) -> None:
        """Close the file."""
        self._content.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_bands(path: Path) -> FitsBands | None:
    """A file of which bands of rows can be read; None if it must be read as a whole.

    That is the case for other formats than FITS, for packed files and compressed images, for images of more than two
    axes, and for masks and uncertainties that need more than reading (variances).

    Raises
    ------
    ImageError
        It is a FITS file that is damaged, truncated, or holds no image.
    FileNotFoundError
        There is no such file.
    """
    content = Content(Path(path))
    bands = None
    try:
        head = content.read(0, 6)
        if head == b"SIMPLE":
            hdus = scan(content)
            data = data_unit(content, hdus, None)
            mask = customary(hdus, data, MASK_NAMES)
            error = customary(hdus, data, tuple(UNCERTAINTY_NAMES))
            parts = [hdu for hdu in (data, mask, error) if hdu is not None]
            plain = all(not hdu.is_compressed and hdu.shape == data.shape for hdu in parts) and len(data.shape) == 2
            understood = error is None or ("UTYPE" not in error.values and error.name in ("UNCERT", "ERR"))
            if plain and understood:
                bands = FitsBands(content, hdus, data, mask, error)
    finally:
        if bands is None:
            content.__exit__(None, None, None)
    return bands
