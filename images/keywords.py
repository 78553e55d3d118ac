"""What headers call things: one table of synonyms, and properties that read through it."""

import contextlib
import difflib
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from .errors import ImageError
from .times import parse_time

if TYPE_CHECKING:
    from astropy.io import fits

Kind = Literal["number", "text", "image type", "time", "binning", "longitude", "latitude", "temperature", "saturation"]


@dataclass(frozen=True, slots=True)
class Keyword:
    """One property of an image and the header cards that may hold it.

    Attributes
    ----------
    cards : tuple of str
        Synonyms; the first one that is present and not blank is used. Two that belong together are joined by ``+``.
    kind : str
        How the value is understood.
    unit : str
        Unit of the property.
    description : str
        One line.
    """

    cards: tuple[str, ...]
    kind: Kind
    unit: str
    description: str


KEYWORDS: Mapping[str, Keyword] = MappingProxyType(
    {
        "exposure_time": Keyword(
            ("EXPTIME", "EXPOSURE", "EXP_TIME", "EXPOSED", "ITIME", "TEXPTIME"),
            "number",
            "s",
            "time during which the detector collected light",
        ),
        # EGAIN and ESO's CONAD are unambiguous; GAIN is the setting of the amplifier in some cameras' files.
        "gain": Keyword(
            ("EGAIN", "DET-GAIN", "ESO DET OUT1 CONAD", "GAIN", "CCDGAIN", "ATODGAIN", "GAINEFF"),
            "number",
            "electron/adu",
            "electrons per count",
        ),
        "read_noise": Keyword(
            ("RDNOISE", "READNOIS", "READNSE", "RON", "DET-RON", "ENOISE", "ESO DET OUT1 RON", "RNOISE"),
            "number",
            "electron",
            "standard deviation of the signal of a pixel that saw no light",
        ),
        "filter": Keyword(
            ("FILTER", "FILTERS", "FILTNAM", "FILTNAME", "INSFILTE", "BAND", "ESO INS FILT1 NAME", "FILTER1"),
            "text",
            "",
            "name of the filter",
        ),
        "observation_time": Keyword(
            ("DATE-OBS", "DATE_OBS", "DATE-BEG", "UTC-OBS", "UT-OBS", "MJD-OBS", "MJD_OBS", "MJD-BEG", "JD", "MJD"),
            "time",
            "UTC",
            "start of the exposure",
        ),
        "image_type": Keyword(
            ("IMAGETYP", "OBSTYPE", "IMTYPE", "EXPTYPE", "ESO DPR TYPE", "FRAME"),
            "image type",
            "",
            "bias, dark, flat, skyflat, object, … in lower case",
        ),
        "object_name": Keyword(
            ("OBJECT", "OBJNAME", "TARGNAME", "TARGET", "ESO OBS TARG NAME"), "text", "", "what was observed"
        ),
        "instrument": Keyword(("INSTRUME", "INSTRUMENT", "CAMERA", "DETECTOR"), "text", "", "camera or instrument"),
        "telescope": Keyword(("TELESCOP", "TELNAME", "TELID"), "text", "", "telescope"),
        "site": Keyword(("SITEID", "SITE", "SITENAME", "OBSERVAT", "ORIGIN"), "text", "", "observatory"),
        "observer": Keyword(("OBSERVER", "USERID"), "text", "", "who observed"),
        "binning": Keyword(
            (
                "XBINNING+YBINNING",
                "DET-BIN1+DET-BIN2",
                "CCDXBIN+CCDYBIN",
                "XBIN+YBIN",
                "BINX+BINY",
                "ESO DET WIN1 BINX+ESO DET WIN1 BINY",
                "CCDSUM",
                "CCDBIN",
                "BINNING",
            ),
            "binning",
            "px",
            "pixels of the detector per pixel, along x and y",
        ),
        "ra": Keyword(
            ("RA", "OBJCTRA", "TEL-RA", "TELRA", "RA_TARG", "RA_OBJ", "RA_DEG", "OBJRA", "CRVAL1"),
            "longitude",
            "deg",
            "right ascension of the pointing",
        ),
        "dec": Keyword(
            ("DEC", "OBJCTDEC", "TEL-DEC", "TELDEC", "DEC_TARG", "DEC_OBJ", "DEC_DEG", "OBJDEC", "CRVAL2"),
            "latitude",
            "deg",
            "declination of the pointing",
        ),
        "airmass": Keyword(("AIRMASS", "SECZ", "AIRM", "ESO TEL AIRM START"), "number", "", "airmass"),
        "temperature": Keyword(
            ("CCD-TEMP", "DET-TEMP", "CCDTEMP", "CCDATEMP", "DETTEMP", "CAMTEMP", "SET-TEMP"),
            "temperature",
            "deg C",
            "temperature of the detector",
        ),
        "saturation": Keyword(
            ("SATURATE", "SATLEVEL", "SATURATI", "SATURAT", "SATVAL", "MAXLIN", "DET-SATU", "DATAMAX"),
            "saturation",
            "adu",
            "raw counts above which a pixel is saturated",
        ),
        "zero_point": Keyword(
            ("ZEROPT", "ZEROPNT", "MAGZP", "MAGZERO", "MAGZPT", "ZEROPOIN", "PHOTZP", "ZPTMAG"),
            "number",
            "mag",
            "magnitude of a source of flux 1 in the unit of the pixels",
        ),
        "pedestal": Keyword(("PEDESTAL",), "number", "adu", "constant that was added to the counts"),
        "latitude": Keyword(
            ("LATITUDE", "SITELAT", "OBSLAT", "LAT-OBS", "GEOLAT", "ESO TEL GEOLAT"),
            "latitude",
            "deg",
            "geographic latitude of the telescope",
        ),
        "height": Keyword(
            ("HEIGHT", "ALT-OBS", "OBSALT", "SITEELEV", "OBSGEO-H", "ESO TEL GEOELEV"),
            "number",
            "m",
            "height of the telescope above sea level",
        ),
    }
)
"""The properties of an image that come from its header, and the cards that may hold them, in order of preference."""

BINNING_CARDS: tuple[tuple[str, ...], ...] = tuple(tuple(cards.split("+")) for cards in KEYWORDS["binning"].cards)
"""The cards that hold the binning: pairs for x and y, and single ones for both."""

TIME_OF_DAY = ("TIME-OBS", "UTC-OBS", "UT-OBS", "UTSTART", "UTC", "UT", "TIME_OBS", "TIME-BEG")
"""Cards that hold the time of day where the date stands alone."""

IMAGE_TYPES = {
    "zero": "bias",
    "light": "object",
    "science": "object",
    "sci": "object",
    "expose": "object",
    "target": "object",
    "flat field": "flat",
    "flatfield": "flat",
    "dome flat": "flat",
    "domeflat": "flat",
    "dflat": "flat",
    "lamp flat": "flat",
    "sky flat": "skyflat",
    "twilight flat": "skyflat",
    "twflat": "skyflat",
}
"""Words that mean one of bias, dark, flat, skyflat, object."""

_extra: ContextVar[Mapping[str, tuple[str, ...]]] = ContextVar("extra_keywords", default=MappingProxyType({}))


@contextlib.contextmanager
def extra_keywords(cards: Mapping[str, Iterable[str]]) -> Iterator[None]:
    """Within this context, more header cards are understood; they go before the known ones.

    ``with extra_keywords({"exposure_time": ["XPOSURE"]}): …``. It holds for this task and the threads that
    :func:`asyncio.to_thread` starts from it, not for anything else in the process.

    Parameters
    ----------
    cards : mapping of str to sequence of str
        Property name -> cards in order.

    Raises
    ------
    ValueError
        There is no property of that name.
    """
    added = dict(_extra.get())
    for name, synonyms in cards.items():
        keyword_named(name)
        words = (synonyms,) if isinstance(synonyms, str) else tuple(synonyms)
        added[name] = (*words, *added.get(name, ()))
    token = _extra.set(MappingProxyType(added))
    try:
        yield
    finally:
        _extra.reset(token)


def keyword_named(name: str) -> Keyword:
    """The entry of a property, with the extra cards of this context.

    Raises
    ------
    ValueError
        There is no property of that name.
    """
    if name not in KEYWORDS:
        near = difflib.get_close_matches(name, KEYWORDS, n=1)
        hint = f", did you mean {near[0]!r}?" if near else f"; there are {', '.join(KEYWORDS)}"
        raise ValueError(f"unknown property {name!r}{hint}")
    keyword = KEYWORDS[name]
    extra = _extra.get().get(name)
    if not extra:
        return keyword
    return Keyword((*extra, *keyword.cards), keyword.kind, keyword.unit, keyword.description)


def keyword_for(header: "fits.Header", name: str) -> str | None:
    """The header card that holds a property, or None. Of two cards that belong together, ``x+y``.

    Raises
    ------
    ValueError
        There is no property of that name.
    """
    keyword = keyword_named(name)
    return next((card for card in keyword.cards if _holds(header, card, keyword.kind)), None)


def header_value(header: "fits.Header", name: str, *, label: str = "image") -> Any:
    """A property of an image, in the unit of :data:`KEYWORDS`; None if no card holds it.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Where to look.
    name : str
        A key of :data:`KEYWORDS`.
    label : str
        What messages call the image.

    Raises
    ------
    ImageError
        The card's value is not understood.
    ValueError
        There is no property of that name.
    """
    card = keyword_for(header, name)
    if card is None:
        return None
    kind = KEYWORDS[name].kind
    try:
        return READERS[kind](header, card)
    except ValueError as error:
        value = ", ".join(repr(header.get(key)) for key in card.split("+"))
        raise ImageError(f"{label}: header card {card} = {value} gives no {name}: {error}") from None


def _holds(header: "fits.Header", card: str, kind: Kind) -> bool:
    if "+" in card:
        return all(not _is_blank(header.get(key)) for key in card.split("+"))
    if _is_blank(header.get(card)):
        return False
    if card in ("CRVAL1", "CRVAL2"):
        return str(header.get(f"CTYPE{card[-1]}", "")).startswith(("RA", "DEC"))
    return card != "DET-SATU" or kind != "saturation" or keyword_for(header, "gain") is not None


def _is_blank(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return value is None or type(value).__name__ == "Undefined"


# --- how each kind of value is understood; ValueError where it is not ------------------------------------------


def number(value: Any) -> float:
    """A finite number, also when it is written as text.

    Raises
    ------
    ValueError
        It is none.
    """
    if isinstance(value, bool):
        raise ValueError("it is a truth value, not a number")
    try:
        found = float(value)
    except (TypeError, ValueError):
        raise ValueError("it is not a number") from None
    if not math.isfinite(found):
        raise ValueError("it is not a finite number")
    return found


def _number(header: "fits.Header", card: str) -> float:
    return number(header[card])


def _text(header: "fits.Header", card: str) -> str:
    return str(header[card]).strip()


def normal_image_type(text: str) -> str:
    """The kind of exposure in lower case: bias, dark, flat, skyflat, object, or what the header says.

    >>> normal_image_type("Light Frame")
    'object'
    """
    word = re.sub(r"[\s_-]+", " ", text.strip().lower())
    word = word.removesuffix(" frame").strip()
    return IMAGE_TYPES.get(word, word)


def _image_type(header: "fits.Header", card: str) -> str:
    return normal_image_type(str(header[card]))


def _binning(header: "fits.Header", card: str) -> tuple[int, int]:
    if "+" in card:
        factors = [number(header[key]) for key in card.split("+")]
    else:
        value = header[card]
        words = re.findall(r"[\d.]+", value) if isinstance(value, str) else [value]
        factors = [number(word) for word in (words * 2 if len(words) == 1 else words)]
    if len(factors) != 2 or any(factor < 1 or factor != int(factor) for factor in factors):
        raise ValueError("binning is two whole numbers, like 2 2 or 2x2")
    return int(factors[0]), int(factors[1])


def _longitude(header: "fits.Header", card: str) -> float:
    """Degrees. Sexagesimal text is in hours unless too large; a number is in degrees unless its comment says hours."""
    value = header[card]
    parts = _sexagesimal(value)
    if parts is not None:
        return parts * 15 if abs(parts) < 24 else parts
    return number(value) * (15 if _says_hours(header, card) else 1)


def _latitude(header: "fits.Header", card: str) -> float:
    value = header[card]
    parts = _sexagesimal(value)
    degrees = number(value) if parts is None else parts
    if abs(degrees) > 90:
        raise ValueError("it is beyond the pole")
    return degrees


SEXAGESIMAL = re.compile(r"([+-]?)\s*(\d+)\s*[:hd°\s]\s*(\d+(?:\.\d*)?)(?:\s*[:m'\s]\s*(\d+(?:\.\d*)?)\s*[s\"]?)?")


def _sexagesimal(value: Any) -> float | None:
    """Hours or degrees from ``12:34:56.7``, ``12 34 56.7`` or ``12h34m56.7s``; None if it is not written so."""
    if not isinstance(value, str) or (found := SEXAGESIMAL.fullmatch(value.strip())) is None:
        return None
    sign, whole, minutes, seconds = found.groups()
    if float(minutes) >= 60 or float(seconds or 0) > 60:
        raise ValueError("minutes and seconds go up to 60")
    magnitude = int(whole) + float(minutes) / 60 + float(seconds or 0) / 3600
    return -magnitude if sign == "-" else magnitude


HOURS = re.compile(r"\[(h|hr|hrs|hours?)\]|\bin hours|^\s*hours?\b|decimal hours", re.I)


def _says_hours(header: "fits.Header", card: str) -> bool:
    return HOURS.search(header.comments[card]) is not None


def _temperature(header: "fits.Header", card: str) -> float:
    value = number(header[card])
    kelvin = value > 150 or re.search(r"kelvin|\[K\]", header.comments[card], re.I)
    return value - 273.15 if kelvin else value


def _saturation(header: "fits.Header", card: str) -> float:
    value = number(header[card])
    return value / header_value(header, "gain") if card == "DET-SATU" else value


def _time(header: "fits.Header", card: str) -> datetime:
    companions = [text for key in TIME_OF_DAY if isinstance(text := header.get(key), str) and text.strip()]
    modified = [value for key in ("MJD-OBS", "MJD_OBS", "MJD-BEG") if not _is_blank(value := header.get(key))]
    return parse_time(
        header[card],
        is_julian=card == "JD",
        time_of_day=companions[0] if companions else None,
        modified_julian_date=modified[0] if modified else None,
        scale=str(header.get("TIMESYS") or "UTC"),
    )


READERS = {
    "number": _number,
    "text": _text,
    "image type": _image_type,
    "time": _time,
    "binning": _binning,
    "longitude": _longitude,
    "latitude": _latitude,
    "temperature": _temperature,
    "saturation": _saturation,
}


class KeywordProperties:
    """Properties of an image that its header holds, under any of their names.

    Each is None where the header does not say, and raises :class:`ImageError` where its value makes no sense.
    """

    header: Any
    label: Any

    def _from_header(self, name: str) -> Any:
        return header_value(self.header, name, label=self.label)

    @property
    def exposure_time(self) -> float | None:
        """Time during which the detector collected light [s]."""
        return self._from_header("exposure_time")

    @property
    def gain(self) -> float | None:
        """Electrons per count [electron/adu]."""
        return self._from_header("gain")

    @property
    def read_noise(self) -> float | None:
        """Standard deviation of the signal of a pixel that saw no light [electron]."""
        return self._from_header("read_noise")

    @property
    def filter(self) -> str | None:
        """Name of the filter."""
        return self._from_header("filter")

    @property
    def observation_time(self) -> datetime | None:
        """Start of the exposure, with time zone UTC."""
        return self._from_header("observation_time")

    @property
    def image_type(self) -> str | None:
        """Kind of exposure in lower case: bias, dark, flat, skyflat, object, …"""
        return self._from_header("image_type")

    @property
    def object_name(self) -> str | None:
        """What was observed."""
        return self._from_header("object_name")

    @property
    def instrument(self) -> str | None:
        """Camera or instrument."""
        return self._from_header("instrument")

    @property
    def telescope(self) -> str | None:
        """Telescope."""
        return self._from_header("telescope")

    @property
    def site(self) -> str | None:
        """Observatory."""
        return self._from_header("site")

    @property
    def observer(self) -> str | None:
        """Who observed."""
        return self._from_header("observer")

    @property
    def binning(self) -> tuple[int, int] | None:
        """Pixels of the detector per pixel, along x and y."""
        return self._from_header("binning")

    @property
    def ra(self) -> float | None:
        """Right ascension of the pointing [deg]."""
        return self._from_header("ra")

    @property
    def dec(self) -> float | None:
        """Declination of the pointing [deg]."""
        return self._from_header("dec")

    @property
    def airmass(self) -> float | None:
        """Airmass."""
        return self._from_header("airmass")

    @property
    def temperature(self) -> float | None:
        """Temperature of the detector [deg C]."""
        return self._from_header("temperature")

    @property
    def saturation(self) -> float | None:
        """Raw counts above which a pixel is saturated [adu]."""
        return self._from_header("saturation")

    @property
    def zero_point(self) -> float | None:
        """Magnitude of a source of flux 1 in the unit of the pixels [mag]."""
        return self._from_header("zero_point")
