"""Masters folded into the few arrays that the kernel reads, once for each set of masters and each dark scale."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...images import PixelFlag
from ...images.sections import Section
from .cache import CACHE
from .kernel import NO_FLAGS, NONE
from .masters import Master


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the frame with one gain and one read noise.

    Attributes
    ----------
    source : Section
        Where it is in the raw frame.
    x, y : int
        Where it begins in the calibrated frame.
    gain : float
        [electron/adu]
    read_noise : float
        [electron]
    """

    source: Section
    x: int
    y: int
    gain: float
    read_noise: float

    @property
    def target(self) -> Section:
        """Where it is in the calibrated frame."""
        height, width = self.source.shape
        return Section(self.x, self.x + width, self.y, self.y + height)


@dataclass(frozen=True, slots=True)
class Folded:
    """What the kernel reads; see :func:`~etendue.processors.calibration.kernel.calibrate`.

    Attributes
    ----------
    offset, gain_over_flat, floor : (H, W) float32 arrays
        bias + t dark [adu]; gain / flat, NaN where the flat has no meaning; (read noise² + t dark gain + variance
        of bias and dark) / flat² [electron²].
    flat_variance : (H, W) float32 array
        Relative variance of the flat; (0, 0) if it has no error.
    flags : (H, W) uint8 array
        Flags of all masters; (0, 0) if there are none.
    dark_limits : tuple of float
        For each region, the variance of a pixel without light and dark current [electron²].
    """

    offset: np.ndarray
    gain_over_flat: np.ndarray
    floor: np.ndarray
    flat_variance: np.ndarray
    flags: np.ndarray
    dark_limits: tuple[float, ...]

    @property
    def nbytes(self) -> int:
        """Memory that it takes [byte]."""
        arrays = (self.offset, self.gain_over_flat, self.floor, self.flat_variance, self.flags)
        return sum(array.nbytes for array in arrays)


def folded(
    masters: Sequence[Master], shape: tuple[int, int], regions: Sequence[Region], *, bias_subtracted: bool = False
) -> Folded:
    """Folded masters from memory, or new ones; arguments as for :func:`fold`."""
    identities = tuple((master.kind, master.identity, master.scale) for master in masters)
    key = ("folded", identities, shape, tuple(regions), bias_subtracted)
    return CACHE.get(
        key, lambda: fold(masters, shape, regions, bias_subtracted=bias_subtracted), lambda value: value.nbytes
    )


def fold(
    masters: Sequence[Master], shape: tuple[int, int], regions: Sequence[Region], *, bias_subtracted: bool = False
) -> Folded:
    """Combine masters into the arrays that the kernel reads.

    Parameters
    ----------
    masters : sequence of Master
        At most one of each kind. One without uncertainty counts as free of error.
    shape : (int, int)
        Rows and columns (H, W) of the calibrated frame.
    regions : sequence of Region
        Its parts; pixels outside all of them get NaN.
    bias_subtracted : bool
        Of the bias only its error and its flags count: its level is subtracted already.
    """
    by_kind = {master.kind: master for master in masters}
    images = {kind: master.image() for kind, master in by_kind.items()}
    scale = by_kind["dark"].scale if "dark" in by_kind else 0.0

    offset = np.zeros(shape, dtype=np.float32)
    variance = np.zeros(shape, dtype=np.float32)  # of bias and dark [adu²]
    dark = np.zeros((), dtype=np.float32)
    if (bias := images.get("bias")) is not None:
        if not bias_subtracted:
            offset += bias.data
        if bias.safe_uncertainty is not None:
            variance += np.square(bias.uncertainty, dtype=np.float32)
    if (frame := images.get("dark")) is not None:
        dark = np.multiply(frame.data, scale, dtype=np.float32)
        offset += dark
        if frame.safe_uncertainty is not None:
            variance += np.square(frame.uncertainty * np.float32(scale), dtype=np.float32)

    over_flat, flat_variance = np.ones(shape, dtype=np.float32), NONE
    if (flat := images.get("flat")) is not None:
        with np.errstate(divide="ignore", invalid="ignore"):
            over_flat = np.where(flat.data > 0, np.float32(1) / flat.data, np.float32(np.nan)).astype(np.float32)
            if flat.safe_uncertainty is not None:
                flat_variance = np.square(flat.uncertainty * over_flat, dtype=np.float32)
                flat_variance[~np.isfinite(flat_variance)] = 0

    gain_over_flat = np.full(shape, np.nan, dtype=np.float32)
    floor = np.full(shape, np.nan, dtype=np.float32)
    limits = []
    for region in regions:
        part = region.target.slices
        gain = np.float32(region.gain)
        gain_over_flat[part] = over_flat[part] * gain
        noise = variance[part] * (gain * gain)
        noise += np.float32(region.read_noise**2)
        limits.append(_typical(noise))
        noise += (dark if dark.ndim == 0 else dark[part]) * gain
        floor[part] = noise * over_flat[part] ** 2

    flags = _flags(images, shape, ~np.isfinite(offset) | ~np.isfinite(over_flat))
    arrays = [offset, gain_over_flat, floor, flat_variance, flags]
    for array in arrays:
        array.flags.writeable = False
    return Folded(*arrays, tuple(limits))


def _typical(variance: np.ndarray) -> float:
    """Median of a sample."""
    sample = variance[:: max(variance.shape[0] // 256, 1), :: max(variance.shape[1] // 256, 1)]
    sample = sample[np.isfinite(sample)]
    return float(np.median(sample)) if sample.size else 0.0


def _flags(images: dict, shape: tuple[int, int], meaningless: np.ndarray) -> np.ndarray:
    """Flags of the masters, and BAD where they have no value; (0, 0) if no pixel is flagged."""
    flags = np.zeros(shape, dtype=np.uint8)
    flags[meaningless] |= int(PixelFlag.BAD)
    for kind, image in images.items():
        if kind == "bad_pixels":
            flags[(image.data != 0) & ~np.isnan(image.data)] |= int(PixelFlag.BAD)
        if image.safe_mask is not None:
            flags |= as_flags(image.mask)
    return flags if flags.any() else NO_FLAGS


def as_flags(mask: np.ndarray) -> np.ndarray:
    """A mask as uint8 flags: True is BAD; a flag that does not fit into 8 bits is OTHER."""
    if mask.dtype == bool:
        return np.multiply(mask, int(PixelFlag.BAD), dtype=np.uint8)
    if mask.dtype == np.uint8:
        return mask
    flags = (mask & 0xFF).astype(np.uint8)
    flags[(mask & ~np.array(0xFF, dtype=mask.dtype)) != 0] |= int(PixelFlag.OTHER)
    return flags
