"""Gain and read noise from pairs of frames: the photon-transfer method."""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from ...images import Image, ImageError
from ...images.sections import Section
from .masters.noise import robust_deviation
from .preparation import Preparation, without_saturated

OUTLIERS = 5.0
"""Differences of two frames beyond so many expected standard deviations are left out."""

BOX = 16
"""Side of the boxes within which the illumination may differ between two frames of a pair [px]."""


@dataclass(frozen=True, slots=True)
class PhotonTransfer:
    """What pairs of frames say about one amplifier.

    Attributes
    ----------
    region : Section
        The pixels of the amplifier, after trimming.
    gain, gain_error : float
        Electrons per count, and one standard deviation [electron/adu].
    read_noise, read_noise_error : float
        Standard deviation of a pixel without light [adu].
    bias_level : float
        Level of the bias frames as they were prepared (after overscan correction, if there is one) [adu].
    signal : float
        Mean signal of the flats [adu].
    """

    region: Section
    gain: float
    gain_error: float
    read_noise: float
    read_noise_error: float
    bias_level: float
    signal: float

    @property
    def read_noise_electrons(self) -> float:
        """Read noise [electron]."""
        return self.read_noise * self.gain


def photon_transfer(
    flats: Iterable[Image | str | Path],
    biases: Iterable[Image | str | Path],
    *,
    preparation: Preparation | None = None,
) -> list[PhotonTransfer]:
    """Gain and read noise of each amplifier from pairs of flats and of biases.

    The difference of two biases has twice the variance of the read noise. The difference of two flats of signal S,
    the second one scaled by the ratio r of their levels, has the variance S (1 + 1/r) / gain + R² (1 + 1/r²), whatever
    the response of the pixels is. The gain is the slope of this relation over boxes of pixels, so the illumination
    need not be even, and spectra will do; the differences may change smoothly from box to box.

    Correlations between pixels at high signals (brighter-fatter) make the gain too large by a few percent; use flats
    well below saturation.

    Parameters
    ----------
    flats, biases : iterable of Image or path
        At least two raw frames each; frames that follow each other make a pair.
    preparation : Preparation
        Amplifiers, overscan and trim; by default as the header says.

    Returns
    -------
    list of PhotonTransfer
        One for each amplifier.

    Raises
    ------
    ImageError
        There are fewer than two of a kind, sizes differ, or the flats have no signal.

    References
    ----------
    Janesick, J. R. 2001, Scientific Charge-Coupled Devices, chapter 2; Howell, S. B. 2006, Handbook of CCD Astronomy,
    2nd ed., section 4.3.
    """
    how = preparation or Preparation()
    bias_images = [_opened(bias) for bias in biases]
    flat_images = [_opened(flat) for flat in flats]
    for kind, images in (("biases", bias_images), ("flats", flat_images)):
        if len(images) < 2:
            raise ImageError(f"{len(images)} {kind}: photon transfer needs at least two, which make a pair")
    header = bias_images[0].header
    # The noise of the overscan level itself is no read noise of the pixels.
    untouched = dataclasses.replace(how, overscan=False)
    plain = [untouched(image).data.astype(np.float64) for image in bias_images]
    zero = [_pixels(how(image)) for image in bias_images]
    light = [_pixels(how(without_saturated(image))) for image in flat_images]
    if len({frame.shape for frame in (*zero, *light)}) > 1:
        raise ImageError("the frames differ in size; photon transfer needs frames that were read alike")
    offset = np.mean(zero, axis=0)
    return [
        _of_region(
            region,
            [frame[region.slices] for frame in light],
            [frame[region.slices] for frame in plain],
            offset[region.slices],
        )
        for region in how.regions(header, offset.shape)
    ]


def _of_region(
    region: Section, flats: Sequence[np.ndarray], biases: Sequence[np.ndarray], offset: np.ndarray
) -> PhotonTransfer:
    noises = np.array([robust_deviation(one - other) for one, other in _pairs(biases)]) / np.sqrt(2)
    read_noise = float(np.sqrt(np.mean(noises**2)))
    read_error = read_noise / np.sqrt(2 * offset.size * len(noises))
    results = [gain_of_pair(one - offset, other - offset, read_noise) for one, other in _pairs(flats)]
    gains, errors, signals = (np.array(column) for column in zip(*results, strict=True))
    weights = 1 / errors**2
    return PhotonTransfer(
        region,
        float(np.sum(weights * gains) / np.sum(weights)),
        float(np.sqrt(1 / np.sum(weights))),
        read_noise,
        float(read_error),
        float(np.median(offset)),
        float(np.mean(signals)),
    )


def gain_of_pair(one: np.ndarray, other: np.ndarray, read_noise: float) -> tuple[float, float, float]:
    """Gain from two flats without bias.

    Parameters
    ----------
    one, other : (H, W) arrays
        Flats of the same illumination up to a factor [adu]; NaN is left out.
    read_noise : float
        [adu]

    Returns
    -------
    gain, error, signal : float
        [electron/adu], [electron/adu], [adu].

    Raises
    ------
    ImageError
        The flats have no signal, or differ by no more than the read noise explains.
    """
    good = np.isfinite(one) & np.isfinite(other)
    if not good.any() or not (np.median(one[good]) > 0 and np.median(other[good]) > 0):
        raise ImageError("the flats have no signal above the bias: no gain can be found")
    ratio = float(np.sum(other[good]) / np.sum(one[good]))
    differences, signals, sizes = _boxes(np.where(good, one - other / ratio, np.nan), np.where(good, one, np.nan))
    light = np.maximum(signals, 0) * (1 + 1 / ratio)
    dark = read_noise**2 * (1 + 1 / ratio**2)
    squares = differences**2
    inverse = _slope(squares, np.ones_like(squares), light, dark, sizes, inverse=None)
    for _ in range(4):
        expected = light * inverse + dark
        inside = squares <= OUTLIERS**2 * expected[:, None]
        inverse = _slope(squares, inside, light, dark, sizes, inverse=inverse)
    if not inverse > 0:
        raise ImageError("the flats differ by no more than the read noise explains: no gain can be found")
    expected = light * inverse + dark
    inside = squares <= OUTLIERS**2 * expected[:, None]
    freedom = np.maximum(inside.sum(axis=1) - 1, 0)
    information = float(np.sum(freedom / 2 * (light / expected) ** 2))
    return 1 / inverse, float(1 / np.sqrt(information)) / inverse**2, float(np.nanmean(signals))


def _slope(
    squares: np.ndarray,
    inside: np.ndarray,
    light: np.ndarray,
    dark: float,
    sizes: np.ndarray,
    *,
    inverse: float | None,
) -> float:
    """Slope of the line dark + slope · light through the variances of the boxes; its weights follow from `inverse`."""
    count = np.where(np.isfinite(squares), inside, 0).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        if inverse is None:
            # The first guess must stand cosmic rays: the median of squares is 0.4549 of the variance.
            variance = np.nanmedian(squares, axis=1) / 0.4549
            expected = np.maximum(light, 1.0)
        else:
            # The mean of each box was subtracted: one degree of freedom less.
            variance = np.nansum(np.where(inside, squares, 0), axis=1) / np.maximum(count - 1, 1)
            expected = light * inverse + dark
    used = (count > 10) & (sizes > 10) & np.isfinite(variance) & (light > 0)
    if not used.any():
        raise ImageError("the flats have too few usable pixels for photon transfer")
    weight = np.where(used, count / expected**2, 0)
    variance = np.where(used, variance, 0)
    if inverse is None:
        ratios = (variance[used] - dark) / light[used]
        return max(float(np.median(ratios)), 1e-6)
    return float(np.sum(weight * light * (variance - dark)) / np.sum(weight * light**2))


def _boxes(difference: np.ndarray, signal: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Differences from their mean in each box (boxes, pixels), mean signals, and numbers of pixels."""
    box = min(BOX, *difference.shape)
    rows, columns = difference.shape[0] // box, difference.shape[1] // box

    def cut(frame: np.ndarray) -> np.ndarray:
        frame = frame[: rows * box, : columns * box].reshape(rows, box, columns, box)
        return frame.transpose(0, 2, 1, 3).reshape(rows * columns, box * box)

    values, light = cut(difference), cut(signal)
    sizes = np.isfinite(values).sum(axis=1)
    enough = sizes > 10
    values, light, sizes = values[enough], light[enough], sizes[enough]
    if not len(values):
        raise ImageError("the flats have too few usable pixels for photon transfer")
    centre = np.nanmedian(values, axis=1, keepdims=True)
    spread = 1.4826 * np.nanmedian(np.abs(values - centre), axis=1, keepdims=True)
    near = np.where(np.abs(values - centre) <= OUTLIERS * spread, values, np.nan)
    near = np.where(np.isfinite(near).any(axis=1, keepdims=True), near, values)
    return values - np.nanmean(near, axis=1, keepdims=True), np.nanmean(light, axis=1), sizes


def _pairs(frames: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    return list(pairwise(frames))


def _opened(source: Image | str | Path) -> Image:
    return source if isinstance(source, Image) else Image.from_file(source)


def _pixels(image: Image) -> np.ndarray:
    data = image.data.astype(np.float64)
    return data if image.safe_mask is None else np.where(image.mask != 0, np.nan, data)
