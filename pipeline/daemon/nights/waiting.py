"""What a science frame waits for: the masters of its night that its chain looks for, and that may still come."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...night.groups import EXPOSURE_TOLERANCE
from .frames import Placed
from .standing import Build, GroupState, Standing

WORDS = {"bad_pixels": "map of bad pixels"}


def lacking(
    placed: Placed,
    kinds: Sequence[str],
    at_hand: Mapping[str, Mapping[str, Any]],
    found: Sequence[Standing],
    builds: Sequence[Build],
) -> list[str]:
    """What a science frame waits for, one sentence for each kind of master; nothing if it can be calibrated.

    Parameters
    ----------
    placed : Placed
        The frame.
    kinds : sequence of str
        Kinds of masters that its chain looks for in the library.
    at_hand : mapping
        For each kind what the library has, see :func:`etendue.pipeline.daemon.nights.library.masters_at_hand`.
    found : sequence of Standing
        How the calibration frames of its night and setup stand.
    builds : sequence of Build
        Jobs that build masters of its night and setup.
    """
    if not kinds:
        return []
    if building := next((build for build in builds if build.is_open), None):
        # Masters are replaced one after the other: a frame must not take some old and some new ones.
        return [f"masters of {placed.night} are being built (job {building.id})"]
    return [_lack(placed, kind, found) for kind in kinds if not at_hand.get(kind, {}).get("of_night", False)]


def _lack(placed: Placed, kind: str, found: Sequence[Standing]) -> str:
    own = list(_concerned(placed, kind, found))
    what = f"{_label(placed, kind)} of {placed.night}"
    if any(one.is_under_way for one in own):
        return f"{what}: its frames are being collected"  # how many there are is said by them, and changes often
    for one in own:
        if one.state is GroupState.CANDIDATE and one.master is not None:
            why = "; ".join(one.master["reasons"])
            return f"{what}: {one.master['name']} waits for a person, who may accept it: {why}"
    return f"{what}: {own[-1].reason}" if own else f"{what}: no frames for it have come in"


def _concerned(placed: Placed, kind: str, found: Sequence[Standing]) -> Iterator[Standing]:
    """The groups that a master for a frame may come from."""
    match kind:
        case "bias":
            yield from (one for one in found if one.group.kind == "bias")
        case "dark":
            # Without a dark of its own exposure time, the frame takes a dark current, or a dark that can be scaled.
            darks = [one for one in found if one.group.kind == "dark"]
            yield from [one for one in darks if _same_exposure(placed, one)] or darks
        case "flat":
            yield from (one for one in found if one.group.kind == "flat" and one.group.filter == placed.filter)
        case "bad_pixels":
            yield from (one for one in found if one.group.kind in ("dark", "flat"))


def _same_exposure(placed: Placed, one: Standing) -> bool:
    own, other = placed.exposure_time, one.group.exposure_time
    return own is not None and other is not None and abs(own - other) <= EXPOSURE_TOLERANCE * max(own, other)


def _label(placed: Placed, kind: str) -> str:
    match kind:
        case "flat":
            return f"flat {placed.filter}".strip()
        case "dark" if placed.exposure_time is not None:
            return f"dark for {placed.exposure_time:g} s"
    return WORDS.get(kind, kind)
