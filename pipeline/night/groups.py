"""Which raw frames make which master."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .frame_types import FrameType
from .settings import MasterKind
from .sorting import RawFrame, Setup, SortedNight

EXPOSURE_TOLERANCE = 0.01
"""Part by which the exposure times of darks that are combined may differ."""

TYPES: dict[FrameType, MasterKind] = {FrameType.BIAS: "bias", FrameType.DARK: "dark", FrameType.FLAT: "flat"}


@dataclass(frozen=True, slots=True)
class Group:
    """Raw frames that are combined into one master.

    Attributes
    ----------
    kind : {"bias", "dark", "flat"}
        What they are.
    setup : tuple
        What frames share that can be used for one another.
    frames : tuple of RawFrame
        In the order of time.
    exposure_time : float or None
        Of darks [s].
    filter : str
        Of flats.
    """

    kind: MasterKind
    setup: Setup
    frames: tuple[RawFrame, ...]
    exposure_time: float | None = None
    filter: str = ""

    @property
    def label(self) -> str:
        """``bias``, ``dark 60 s``, ``flat R``."""
        if self.kind == "dark":
            return f"dark {self.exposure_time:g} s" if self.exposure_time is not None else "dark"
        return f"flat {self.filter}".strip() if self.kind == "flat" else "bias"

    @property
    def paths(self) -> list[Path]:
        """The files."""
        return [frame.path for frame in self.frames]


def groups_of(night: SortedNight) -> list[Group]:
    """The calibration frames of a night by what they make together: biases first, then darks, then flats."""
    found: list[Group] = []
    for frame_type, kind in TYPES.items():
        by_setup: dict[Setup, list[RawFrame]] = {}
        for frame in night.of(frame_type):
            by_setup.setdefault(frame.setup, []).append(frame)
        for setup, frames in by_setup.items():
            if kind == "bias":
                found.append(Group(kind, setup, tuple(frames)))
            elif kind == "dark":
                found += [
                    Group(kind, setup, tuple(members), exposure_time=seconds)
                    for seconds, members in _by_exposure(frames)
                ]
            else:
                filters = sorted({frame.filter for frame in frames})
                found += [
                    Group(kind, setup, tuple(f for f in frames if f.filter == name), filter=name) for name in filters
                ]
    return found


def _by_exposure(frames: Iterable[RawFrame]) -> list[tuple[float | None, list[RawFrame]]]:
    """Darks of the same exposure time together; those of unknown exposure time last."""
    frames = list(frames)
    known = sorted((f for f in frames if f.exposure_time is not None), key=lambda f: (f.exposure_time, str(f.path)))
    groups: list[tuple[float | None, list[RawFrame]]] = []
    for frame in known:
        seconds = frame.exposure_time or 0.0
        if groups and seconds - (groups[-1][0] or 0.0) <= EXPOSURE_TOLERANCE * seconds:
            groups[-1][1].append(frame)
        else:
            groups.append((seconds, [frame]))
    unknown = [frame for frame in frames if frame.exposure_time is None]
    return groups + ([(None, unknown)] if unknown else [])


def setup_words(setups: Iterable[Setup]) -> dict[Setup, str]:
    """What tells each setup of a night from the others in a file name: nothing if there is only one."""
    import re

    setups = list(dict.fromkeys(setups))
    if len(setups) <= 1:
        return dict.fromkeys(setups, "")
    words: dict[Setup, str] = {}
    for instrument, size, binning, mode in setups:
        parts = []
        for part, every in (
            (instrument, {s[0] for s in setups}),
            ("x".join(str(n) for n in size), {s[1] for s in setups}),
            ("bin" + "x".join(str(n) for n in binning), {s[2] for s in setups}),
            (mode, {s[3] for s in setups}),
        ):
            if len(every) > 1:
                parts.append(re.sub(r"[^A-Za-z0-9.]+", "-", str(part)).strip("-") or "none")
        words[(instrument, size, binning, mode)] = "_".join(parts)
    return words
