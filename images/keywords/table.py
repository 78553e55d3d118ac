"""What headers call things: the table of properties and the cards that may hold them."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Kind = Literal["number", "text", "image type", "time", "binning", "longitude", "latitude", "temperature"]


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
            ("IMAGETYP", "OBSTYPE", "IMTYPE", "IMGTYPE", "EXPTYPE", "FRAMETYP", "ESO DPR TYPE", "DATA-TYP", "FRAME"),
            "image type",
            "",
            "bias, dark, flat, skyflat, object, … in lower case",
        ),
        "object_name": Keyword(
            ("OBJECT", "OBJNAME", "TARGNAME", "TARGET", "ESO OBS TARG NAME"), "text", "", "what was observed"
        ),
        "instrument": Keyword(("INSTRUME", "INSTRUMENT", "CAMERA", "DETECTOR"), "text", "", "camera or instrument"),
        "telescope": Keyword(("TELESCOP", "TELNAME", "TELID"), "text", "", "telescope"),
        "site": Keyword(("SITEID", "SITE", "SITENAME", "OBSERVAT"), "text", "", "observatory"),
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
        "readout_mode": Keyword(
            ("READOUTM", "READMODE", "RDMODE", "CONFMODE", "ESO DET READ CURNAME", "READ-SPD", "READSPD"),
            "text",
            "",
            "how the detector was read out",
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
            "number",
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

IN_ELECTRONS = ("DET-SATU",)
"""Cards whose value is in electrons where the property is in adu; without a gain they are of no use."""
