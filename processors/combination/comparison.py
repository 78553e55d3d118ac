"""A new master against the last one of its kind: is it what it should be?"""

from dataclasses import dataclass

import numpy as np

from ...images import Image, ImageError
from .masters.noise import robust_deviation


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a new master may differ from the last one.

    Attributes
    ----------
    level : float
        Change of the level of a bias or dark [noise of a single raw frame].
    structure : float
        What is left of the difference of two biases or darks without level and noise [noise of a single raw frame].
    response : float
        The same of flats, as a fraction of the response.
    illumination : float
        Largest change of a flat on the scale of a sixteenth of the frame, as a fraction.
    noise : float
        Factor by which the noise of a single raw frame may be larger or smaller.
    bad_fraction : float
        Increase of the fraction of pixels without a good value.
    """

    level: float = 3.0
    structure: float = 0.7
    response: float = 0.01
    illumination: float = 0.03
    noise: float = 1.5
    bad_fraction: float = 0.005


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a master compares with the last one of its kind.

    Attributes
    ----------
    passed : bool
        Whether it may be used without a person having looked at it.
    reasons : tuple of str
        Why not, one sentence each.
    figures : dict of str to float
        What was measured: ``level``, ``structure``, ``noise``, ``bad_fraction`` …
    is_first : bool
        There was nothing to compare with; only its own sanity was checked.
    """

    passed: bool
    reasons: tuple[str, ...]
    figures: dict[str, float]
    is_first: bool = False

    @property
    def status(self) -> str:
        """What MSTATUS should say: "accepted", or "candidate", which waits for a person."""
        return "accepted" if self.passed else "candidate"

    def summary(self) -> str:
        """One line for reports."""
        if self.reasons:
            return "; ".join(self.reasons)
        return "first of its kind" if self.is_first else "agrees with the last one"


def compare_masters(new: Image, old: Image | None, *, limits: Limits | None = None) -> Comparison:
    """Compare a new master with the last one of its kind: level, structure, noise, fraction of bad pixels.

    Biases and darks are measured by the noise of a single raw frame (MNOISE, or what follows from the uncertainty
    and NCOMBINE). Darks of different exposure times are compared after scaling. Maps of bad pixels are compared by
    their fraction of bad pixels.

    Parameters
    ----------
    new : Image
        The new master.
    old : Image or None
        The last one that was accepted; None if there is none.
    limits : Limits
        What may differ by how much.

    Raises
    ------
    ImageError
        The masters are of different kinds.
    """
    allowed = limits or Limits()
    kind = _kind(new)
    figures: dict[str, float] = {}
    good = _good(new)
    figures["bad_fraction"] = 1 - float(good.mean())
    reasons = _insane(new, kind, good)
    if old is None or reasons:
        return Comparison(not reasons, tuple(reasons), figures, is_first=old is None)
    if _kind(old) != kind:
        raise ImageError(f"{new.label} is a {kind}, {old.label} a {_kind(old)}: they cannot be compared")
    if new.data.shape != old.data.shape:
        sizes = [f"{image.data.shape[1]} x {image.data.shape[0]}" for image in (new, old)]
        return Comparison(False, (f"it has {sizes[0]} pixels, the last one {sizes[1]}",), figures)
    before = _good(old)
    increase = float(before.mean() - good.mean())
    figures["bad_fraction_increase"] = increase
    if increase > allowed.bad_fraction:
        reasons.append(
            f"{100 * increase:.2g} % more of its pixels are bad, allowed are {100 * allowed.bad_fraction:.2g} %"
        )
    both = good & before
    if kind != "bad pixels":
        reasons += _noise(new, old, allowed, figures)
        if kind == "master flat":
            reasons += _flat(new, old, both, allowed, figures)
        else:
            reasons += _offset(new, old, both, allowed, figures)
    return Comparison(not reasons, tuple(reasons), figures)


def judged(master: Image, comparison: Comparison) -> Image:
    """The master with MSTATUS, and MREASON if it waits for a person."""
    marked = master.copy()
    marked.header["MSTATUS"] = (comparison.status, "used only when accepted")
    marked.header.remove("MREASON", ignore_missing=True)
    if comparison.reasons:
        marked.header["MREASON"] = comparison.summary().encode("ascii", "replace").decode()
    return marked


def _insane(new: Image, kind: str, good: np.ndarray) -> list[str]:
    """What is wrong with a master whatever was before."""
    if kind != "bad pixels" and good.mean() < 0.5:
        return [f"{100 * (1 - good.mean()):.0f} % of its pixels have no good value"]
    if kind == "master flat" and not 0.5 < float(np.median(new.data[good])) < 2:
        return [f"its median is {np.median(new.data[good]):.3g}, a normalised flat has about 1"]
    if kind == "bad pixels" and good.mean() < 0.8:
        return [f"it marks {100 * (1 - good.mean()):.0f} % of the pixels as bad"]
    return []


def _noise(new: Image, old: Image, allowed: Limits, figures: dict[str, float]) -> list[str]:
    ours, before = single_noise(new), single_noise(old)
    if not (ours and before):
        return []
    ratio = ours / before
    if _kind(new) == "master flat":
        levels = [image.header.get("MLEVEL") for image in (new, old)]
        if all(isinstance(level, int | float) and level > 0 for level in levels):
            ratio *= float(np.sqrt(levels[0] / levels[1]))  # relative photon noise goes with 1 / sqrt(level)
    figures["noise"] = ratio
    if not 1 / allowed.noise <= ratio <= allowed.noise:
        return [f"its frames have {ratio:.2f} times the noise of the last ones"]
    return []


def _offset(new: Image, old: Image, both: np.ndarray, allowed: Limits, figures: dict[str, float]) -> list[str]:
    scale = _exposure_ratio(new, old)
    difference = (new.data - np.float32(scale) * old.data)[both]
    level, spread = float(np.median(difference)), robust_deviation(difference)
    unit = single_noise(old) or single_noise(new) or spread
    expected = _expected(new, old, both, scale)
    structure = float(np.sqrt(max(spread**2 - expected**2, 0.0)))
    figures |= {"level": level, "structure": structure, "expected_noise": expected, "spread": spread}
    reasons = []
    if abs(level) > allowed.level * unit:
        reasons.append(
            f"its level differs by {level:+.3g} adu from the last one, allowed are {allowed.level * unit:.3g} adu"
        )
    if structure > allowed.structure * unit:
        reasons.append(
            f"its structure differs by {structure:.3g} adu from the last one, "
            f"allowed are {allowed.structure * unit:.3g} adu"
        )
    return reasons


def _flat(new: Image, old: Image, both: np.ndarray, allowed: Limits, figures: dict[str, float]) -> list[str]:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(both & (old.data > 0), new.data / old.data, np.nan)
    ratio /= np.nanmedian(ratio)
    rows, columns = (max(1, -(-size // 16)) for size in ratio.shape)
    blocks = [
        float(np.nanmedian(ratio[y : y + rows, x : x + columns]))
        for y in range(0, ratio.shape[0], rows)
        for x in range(0, ratio.shape[1], columns)
        if np.isfinite(ratio[y : y + rows, x : x + columns]).any()
    ]
    illumination = max(abs(block - 1) for block in blocks)
    spread = robust_deviation(ratio)
    expected = _expected(new, old, both, 1.0)
    structure = float(np.sqrt(max(spread**2 - expected**2 - float(np.var(blocks)), 0.0)))
    figures |= {"illumination": illumination, "structure": structure, "expected_noise": expected, "spread": spread}
    reasons = []
    if illumination > allowed.illumination:
        reasons.append(
            f"its illumination differs by up to {100 * illumination:.2g} % from the last one, "
            f"allowed are {100 * allowed.illumination:.2g} %"
        )
    if structure > allowed.response:
        reasons.append(
            f"the response of single pixels differs by {100 * structure:.2g} % from the last one, "
            f"allowed are {100 * allowed.response:.2g} %"
        )
    return reasons


def single_noise(master: Image) -> float | None:
    """Noise of a pixel of one of the raw frames of a master; None if nothing says it."""
    noted = master.header.get("MNOISE")
    if isinstance(noted, int | float) and noted > 0:
        return float(noted)
    count = master.header.get("NCOMBINE")
    if master.safe_uncertainty is None or not isinstance(count, int | float):
        return None
    return float(np.nanmedian(master.uncertainty)) * float(np.sqrt(count)) or None


def _expected(new: Image, old: Image, both: np.ndarray, scale: float) -> float:
    """Typical noise of the difference of two masters."""
    variance = 0.0
    for image, factor in ((new, 1.0), (old, scale)):
        if image.safe_uncertainty is not None:
            variance += (factor * float(np.nanmedian(image.uncertainty[both]))) ** 2
    return float(np.sqrt(variance))


def _exposure_ratio(new: Image, old: Image) -> float:
    if _kind(new) != "master dark" or str(new.header.get("BUNIT")).endswith("/s"):
        return 1.0
    times = new.exposure_time, old.exposure_time
    return times[0] / times[1] if times[0] and times[1] else 1.0


def _kind(master: Image) -> str:
    kind = str(master.header.get("IMAGETYP", "")).strip().lower()
    if not kind:
        raise ImageError(f"{master.label} has no IMAGETYP: it cannot be told what kind of master it is")
    return kind


def _good(master: Image) -> np.ndarray:
    """Pixels with a good value; of a map of bad pixels, the good pixels."""
    good = np.isfinite(master.data)
    if _kind(master) == "bad pixels":
        good &= master.data == 0
    return good if master.safe_mask is None else good & (master.mask == 0)
