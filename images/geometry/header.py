"""What moving pixels does to a header: world coordinates, sections, binning factors."""

import math
import re
from collections.abc import Callable

from astropy.io import fits

from ..coordinates import from_fits, to_fits
from ..errors import ImageError
from ..header import Header, as_header, card_value
from ..keywords import BINNING_CARDS, IN_ELECTRONS, keyword_for, keyword_named, number
from ..sections import Section, header_section
from ..units import ELECTRONS
from .mapping import PixelMap

IMAGE_SECTION = re.compile(r"(TRIM|DATA|BIAS)SEC[1-9A-D]?|[TBD]SEC[1-9A-D]{1,2}")
"""Cards that hold sections of the image as it is stored."""

REFERENCE = re.compile(r"CRPIX([12])([A-Z]?)")
AXIS = re.compile(r"CTYPE([12][A-Z]?)")
SIP_TERM = re.compile(r"(A|B|AP|BP)_(\d+)_(\d+)")
PIXEL_SIZES = ("PIXSCALE", "SECPIX", "SECPIX1", "SECPIX2", "PIXSCAL1", "PIXSCAL2", "XPIXSZ", "YPIXSZ")
"""Cards that say how large a pixel is, on the sky or on the detector, binning included."""


def moved_header(header: fits.Header | None, move: PixelMap, shape: tuple[int, int]) -> Header:
    """A header for the moved image.

    Parameters
    ----------
    header : Header
        Not changed.
    move : PixelMap
        Where the pixels go.
    shape : (int, int)
        Rows and columns (H, W) of the new image.

    Returns
    -------
    Header
        World coordinates (primary and alternate; CD, or PC with CDELT, or CDELT with CROTA; SIP), IRAF's LTM and LTV,
        sections of the image, and pixel sizes follow. Sections of which nothing is left are removed.

    References
    ----------
    Greisen, E. W. & Calabretta, M. R. 2002, A&A 395, 1061.
    Shupe, D. L. et al. 2005, ASP Conf. Ser. 347, 491 (SIP).
    """
    moved = as_header(header)
    keys = [key for key in dict.fromkeys(moved) if key]
    _move_reference_pixels(moved, keys, move)
    for alternate in sorted({found[2] for key in keys if (found := REFERENCE.fullmatch(key))} | {""}):
        _move_matrix(moved, alternate, move)
    _move_distortion(moved, keys, move)
    _move_physical(moved, move)
    _move_sections(moved, keys, move, shape)
    if not move.keeps_size:
        for key in PIXEL_SIZES:
            if key in moved:
                scale = move.scale_y if key.endswith("2") or key.startswith("Y") else move.scale_x
                _change(moved, key, lambda value, scale=scale: value / abs(scale))
    return moved


def _number(header: fits.Header, key: str) -> float:
    value = card_value(header, key)
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ImageError(f"header card {key} must be a number, not {value!r}: the image cannot be moved") from None


def _change(header: fits.Header, key: str, change: Callable[[float], float]) -> None:
    """A new number in a card that keeps its comment."""
    header[key] = change(_number(header, key))


def _move_reference_pixels(header: Header, keys: list[str], move: PixelMap) -> None:
    for key in [key for key in keys if key.startswith("CTYPE")]:
        if (found := AXIS.fullmatch(key)) and f"CRPIX{found[1]}" not in header:
            header[f"CRPIX{found[1]}"] = 0.0  # the standard's default, which holds for the old pixels only
            keys = [*keys, f"CRPIX{found[1]}"]
    for key in keys:
        if found := REFERENCE.fullmatch(key):
            axis = int(found[1]) - 1
            scale, shift = move.scales[axis], move.shifts[axis]
            _change(header, key, lambda value, scale=scale, shift=shift: to_fits(scale * from_fits(value) + shift))


def _move_matrix(header: Header, alternate: str, move: PixelMap) -> None:
    """Divide the column of each pixel axis by the axis's scale.

    A CD matrix takes all of it. In PC and CDELT, which some headers have as well, the size of the pixels goes to
    CDELT, as it is the same for both axes, and a mirror to the column of PC, or to CDELT where there is no PC.
    """
    if move.scales == (1.0, 1.0):
        return
    has_cd = any(f"CD{i}_{j}{alternate}" in header for i in "12" for j in "12")
    has_pc = any(f"PC{i}_{j}{alternate}" in header for i in "12" for j in "12")
    for j, scale in zip("12", move.scales, strict=True):
        for i in "123":
            if (key := f"CD{i}_{j}{alternate}") in header:
                _change(header, key, lambda value, scale=scale: value / scale)
        step = f"CDELT{j}{alternate}"
        divisor = abs(scale) if has_pc else scale
        if step in header:
            _change(header, step, lambda value, divisor=divisor: value / divisor)
        elif divisor != 1 and (has_pc or (not has_cd and f"CTYPE{j}{alternate}" in header)):
            header[step] = 1 / divisor
        if has_pc and scale < 0:
            header.setdefault(f"PC{j}_{j}{alternate}", 1.0)
            for i in "123":
                if (key := f"PC{i}_{j}{alternate}") in header:
                    _change(header, key, lambda value: -value)


def _move_distortion(header: Header, keys: list[str], move: PixelMap) -> None:
    """SIP polynomials: terms in pixels from the reference pixel, giving pixels."""
    if move.scales == (1.0, 1.0):
        return
    for key in keys:
        if found := SIP_TERM.fullmatch(key):
            own = move.scale_x if found[1][0] == "A" else move.scale_y
            factor = own * move.scale_x ** -int(found[2]) * move.scale_y ** -int(found[3])
            _change(header, key, lambda value, factor=factor: value * factor)
    for key, scale in (("A_DMAX", move.scale_x), ("B_DMAX", move.scale_y)):
        if key in header:
            _change(header, key, lambda value, scale=scale: value * abs(scale))


def _move_physical(header: Header, move: PixelMap) -> None:
    """IRAF's image coordinates: image = LTM * physical + LTV, 1-based."""
    names = [key for key in ("LTV1", "LTV2", "LTM1_1", "LTM2_2") if key in header]
    if not names:
        return
    for j, scale, shift in zip("12", move.scales, move.shifts, strict=True):
        old_v = _number(header, f"LTV{j}") if f"LTV{j}" in header else 0.0
        old_m = _number(header, f"LTM{j}_{j}") if f"LTM{j}_{j}" in header else 1.0
        header[f"LTV{j}"] = to_fits(scale * from_fits(old_v) + shift)
        header[f"LTM{j}_{j}"] = scale * old_m


def _move_sections(header: Header, keys: list[str], move: PixelMap, shape: tuple[int, int]) -> None:
    for key in keys:
        if IMAGE_SECTION.fullmatch(key) and (section := _section(header, key)) is not None:
            new = move.section(section, shape)
            if new is None:
                del header[key]
            else:
                header[key] = str(new)


def _section(header: fits.Header, key: str) -> Section | None:
    """A section, or None where the card is blank or not understood: it is then no worse than before."""
    try:
        return header_section(header, key)
    except ImageError:
        return None


def cut_detector_section(header: Header, cut: Section, shape: tuple[int, int]) -> None:
    """Make CCDSEC, the part of the detector that DATASEC (or the whole image) shows, follow a cut.

    Parameters
    ----------
    header : Header
        Changed; still with the DATASEC of before the cut.
    cut : Section
        What is cut out of the image.
    shape : (int, int)
        Rows and columns (H, W) before the cut.

    Notes
    -----
    Detector pixels may be binned: then each pixel of the image is a whole number of them. Where the sizes do not fit,
    nobody knows what CCDSEC became, and it is removed.
    """
    detector = _section(header, "CCDSEC")
    if detector is None:
        return
    shown = _section(header, "DATASEC") or Section(0, shape[1], 0, shape[0])
    kept = shown.overlap(cut)
    step_y, rest_y = divmod(detector.shape[0], shown.shape[0])
    step_x, rest_x = divmod(detector.shape[1], shown.shape[1])
    if kept is None or rest_x or rest_y or not step_x or not step_y:
        del header["CCDSEC"]
        return
    header["CCDSEC"] = str(
        Section(
            detector.x0 + step_x * (kept.x0 - shown.x0),
            detector.x0 + step_x * (kept.x1 - shown.x0),
            detector.y0 + step_y * (kept.y0 - shown.y0),
            detector.y0 + step_y * (kept.y1 - shown.y0),
        )
    )


def multiply_binning(header: Header, factor: int) -> None:
    """Make the cards that tell the binning follow; without any, XBINNING and YBINNING are added."""
    known = False
    for cards in BINNING_CARDS:
        for key in cards:
            if key not in header:
                continue
            known = True
            value = card_value(header, key)
            if isinstance(value, str):
                header[key] = re.sub(r"\d+", lambda digits: str(int(digits[0]) * factor), value)
            else:
                _change(header, key, lambda number: int(number) * factor)
    if not known:
        header["XBINNING"] = (factor, "pixels of the detector per pixel, along x")
        header["YBINNING"] = (factor, "pixels of the detector per pixel, along y")


def change_readout(header: Header, pixels: int, *, method: str) -> None:
    """Make the cards that speak of a single pixel follow, when the mean or the sum of several becomes one pixel.

    A count of a mean of n pixels stands for n times as many electrons; the noise of n readouts is sqrt(n) that of one
    [electron]; a sum saturates, and has a pedestal and a sky, n times as high. So errors that are computed from gain
    and read noise stay right. In pixels that are in electrons already, the gain is the one that was applied, and stays.
    Cards that hold no number stay as they are.

    Parameters
    ----------
    header : Header
        Changed.
    pixels : int
        How many pixels become one.
    method : {"mean", "sum"}
        How they are combined.
    """
    root = math.sqrt(pixels)
    in_electrons = str(header.get("BUNIT") or "").strip().lower() in ELECTRONS
    total = pixels if method == "sum" else 1
    gain = 1 if method == "sum" or in_electrons else pixels
    cards = dict.fromkeys(_cards_in_use(header, "gain"), gain)
    cards |= dict.fromkeys(_cards_in_use(header, "read_noise"), root * gain * total / pixels)
    cards |= {key: gain * total if key in IN_ELECTRONS else total for key in _cards_in_use(header, "saturation")}
    cards |= dict.fromkeys((*_cards_in_use(header, "pedestal"), "BKGLEVEL"), total)
    cards |= {"BKGRMS": root * total / pixels}
    for key, factor in cards.items():
        if factor != 1 and _holds_number(header, key):
            _change(header, key, lambda value, factor=factor: value * factor)
    for key in _cards_in_use(header, "zero_point"):
        if total == 1 and _holds_number(header, key):
            _change(header, key, lambda value: value - 2.5 * math.log10(pixels))


def _cards_in_use(header: Header, name: str) -> list[str]:
    """The card that holds a property, and those that say the same; another value has another meaning."""
    used = keyword_for(header, name)
    if used is None:
        return []
    value = card_value(header, used)
    return [key for key in keyword_named(name).cards if key == used or card_value(header, key) == value]


def _holds_number(header: Header, key: str) -> bool:
    try:
        number(card_value(header, key))
    except ValueError:
        return False
    return True
