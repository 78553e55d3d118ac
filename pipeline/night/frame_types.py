"""Which kind of exposure a raw frame is, by rules for the headers that real cameras write.

A rule is a condition on the header (see :mod:`etendue.pipeline.conditions`) and the type that it tells. The first
rule that holds decides. Rules of a configuration come before those that are known here:

.. code-block:: yaml

    frame_types:
      - type: bias
        when: {OBSTYPE: DARK, OBJECT: "Bias*"}
      - type: arc
        when: {LAMPSTAF: "on"}
      - type: unknown
        when: {OBJECT: "test*"}

A frame that no rule knows, and one whose cards contradict each other, has no type: it is listed, never guessed.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Annotated, Any

from astropy.io import fits
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ...images import Image, ImageError
from ...images.header import card_value
from ...images.keywords import header_value, keyword_for
from ..conditions import Condition
from ..errors import ConfigError


class FrameType(StrEnum):
    """What a raw frame was taken for."""

    BIAS = "bias"
    DARK = "dark"
    FLAT = "flat"
    SCIENCE = "science"
    ARC = "arc"
    """Lamp lines for the wavelengths of a spectrograph."""
    MASTER = "master"
    """Not raw: the combination of several frames."""
    OTHER = "other"
    """Known, but nothing to reduce: focus, pointing, guiding, tests."""
    UNKNOWN = "unknown"
    """Only in rules: whatever holds here is not to be told from the header."""


class FrameRule(BaseModel):
    """One rule: the type of frames for which a condition holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Annotated[FrameType, Field(description="what such frames are; unknown: not to be told, listed for a person")]
    when: Annotated[Condition, Field(description='header tests that must all hold: {OBSTYPE: DARK, EXPTIME: "> 0"}')]


def _rule(frame_type: FrameType, **tests: Any) -> FrameRule:
    return FrameRule(type=frame_type, when=Condition(tests))


BIAS_OBJECTS = ["bias", "bias[ _-]*", "bias[0-9]*", "zero", "zero[ _-]*", "master bias"]
DARK_OBJECTS = ["dark", "dark[_-]*", "dark[0-9]*", "dark frame*", "dark current"]
FLAT_OBJECTS = [
    "flat",
    "flat[ _-]*",
    "flat[0-9]*",
    "*[ _-]flat",
    "*[ _-]flats",
    "*[ _-]flat[ _-]*",
    "flats",
    "domeflat*",
    "skyflat*",
    "flatfield*",
    "twilight",
]
ARC_OBJECTS = ["arc", "arcs", "arc[ _-]*", "arcs[ _-]*", "comp", "comparison", "comp lamp*"]
CALIBRATION_OBJECTS = [*BIAS_OBJECTS, *DARK_OBJECTS, *FLAT_OBJECTS, *ARC_OBJECTS]
DUBIOUS_OBJECTS = [
    "*bias*",
    "*flat*",
    "*dark*",
    "*zero*",
    "*lamp*",
    "*test*",
    "*focus*",
    "*none*",
    "*unknown*",
    "*cap*",
]

EXPOSED = ["object", "std", "standard", "object,*", "std,*"]
"""Types of frames of the sky. Many control programs write them unless somebody changes the setting."""

RULES: tuple[FrameRule, ...] = (
    _rule(
        FrameType.MASTER,
        image_type=[
            "master*",
            "combined*",
            "super bias",
            "super dark",
            "super flat",
            "bad pixels",
            "bad pixel mask",
            "bpm",
        ],
    ),
    # A shutter that remained closed for no time makes a bias, whatever the control program calls it.
    _rule(FrameType.BIAS, image_type="dark", exposure_time="0"),
    _rule(FrameType.UNKNOWN, image_type="dark", object_name=BIAS_OBJECTS),
    _rule(FrameType.DARK, image_type=["dark", "dark flat", "darkflat", "flat dark", "flatdark", "dark,*"]),
    _rule(FrameType.UNKNOWN, image_type=["bias", "bias,*", "offset"], exposure_time="> 1"),
    _rule(FrameType.BIAS, image_type=["bias", "bias,*", "offset"]),
    _rule(FrameType.FLAT, image_type=["flat*", "*flat", "*flat,*", "twilight"]),
    _rule(
        FrameType.ARC,
        image_type=["arc", "arc *", "arcs", "arclamp", "comp", "comparison", "wave,*", "*,wave", "*,wave,*", "wavecal"],
    ),
    _rule(FrameType.OTHER, image_type=["focus*", "pointing*", "acquisition*", "acq*", "guid*", "test*", "align*"]),
    # The control program says "object" of everything; the observer has written what it was.
    _rule(FrameType.BIAS, image_type=EXPOSED, object_name=BIAS_OBJECTS, exposure_time="0"),
    _rule(FrameType.DARK, image_type=EXPOSED, object_name=DARK_OBJECTS, exposure_time="> 0"),
    _rule(FrameType.FLAT, image_type=EXPOSED, object_name=FLAT_OBJECTS, exposure_time="> 0"),
    _rule(FrameType.ARC, image_type=EXPOSED, object_name=ARC_OBJECTS, exposure_time="> 0"),
    _rule(FrameType.UNKNOWN, image_type=EXPOSED, object_name=CALIBRATION_OBJECTS),
    _rule(FrameType.UNKNOWN, image_type=EXPOSED, exposure_time="0"),
    _rule(FrameType.SCIENCE, image_type=EXPOSED),
    # No card for the type at all: what was observed and where the telescope pointed say that it is the sky.
    _rule(FrameType.UNKNOWN, image_type="absent", object_name=[*CALIBRATION_OBJECTS, *DUBIOUS_OBJECTS]),
    _rule(
        FrameType.SCIENCE, image_type="absent", object_name="present", exposure_time="> 0", ra="present", dec="present"
    ),
)
"""Rules for the headers of common cameras and control programs, in the order in which they are tried."""

RULE_LIST = TypeAdapter(list[FrameRule])


def frame_rules(configured: Iterable[Any] = ()) -> tuple[FrameRule, ...]:
    """The rules of a configuration, and after them those that are known here.

    Parameters
    ----------
    configured : iterable of FrameRule or mapping
        ``{"type": "bias", "when": {"OBJECT": "Bias"}}``.

    Raises
    ------
    ConfigError
        A rule is malformed; one line for each problem.
    """
    try:
        return (*RULE_LIST.validate_python(list(configured)), *RULES)
    except ValidationError as error:
        lines = [f"frame_types.{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in error.errors()]
        raise ConfigError("\n".join(lines)) from None


def classify(header: fits.Header, rules: Sequence[FrameRule] = RULES) -> FrameType | None:
    """The type of a frame; None if no rule knows it.

    Parameters
    ----------
    header : astropy.io.fits.Header
        The frame's header.
    rules : sequence of FrameRule
        The first one that holds decides.
    """
    image = Image(header=header)
    found = next((rule.type for rule in rules if _holds(rule, image)), FrameType.UNKNOWN)
    return None if found is FrameType.UNKNOWN else found


def _holds(rule: FrameRule, image: Image) -> bool:
    try:
        return not rule.when.why_not(image)
    except ImageError:  # the value of a card makes no sense: then it does not fulfil a test either
        return False


def why_unknown(header: fits.Header, rules: Sequence[FrameRule] = RULES) -> str:
    """Why a frame has no type, for the person who looks at the list: what the header says, and what would help."""
    if (known := classify(header, rules)) is not None:
        return f"it is known: {known}"
    image = Image(header=header)
    facts = [fact for name in ("image_type", "object_name", "exposure_time") if (fact := _fact(header, name))]
    said = " and ".join(facts) if facts else "the header says neither the type of the frame nor its object"
    stopped = next((rule for rule in rules if _holds(rule, image)), None)
    if stopped is None and keyword_for(header, "image_type") is not None:
        said += ", a type that no rule knows"
    elif stopped is not None and stopped not in RULES:
        said += ", and a rule of the configuration says that this does not tell the type"
    elif stopped is not None and stopped.when.root.get("image_type") != "absent":
        said += ", which contradict each other" if len(facts) > 1 else ""
    elif facts:
        said += ", but no card with the type of the frame"
    return f"{said}; add a rule to frame_types"


def _fact(header: fits.Header, name: str) -> str:
    """``OBSTYPE = 'DARK'``, or nothing where no card holds the property."""
    try:
        card = keyword_for(header, name)
        if card is None:
            return ""
        header_value(header, name)
        return f"{card} = {card_value(header, card)!r}"
    except ImageError as error:
        return str(error).removeprefix("image: ")
