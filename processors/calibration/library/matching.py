"""Which masters belong to a frame: what must be equal, how exposure times and dates count, and why nothing is left."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

from astropy.io import fits

from ....images import ImageError
from ....images.header import card_value
from ....images.keywords import KEYWORDS, header_value
from .entry import KINDS, Kind, MasterEntry, plain
from .keys import OFTEN_CONFIGURED
from .words import SINGULARS, as_text, days, listed, plural, status_words, words_for

When = Literal["nearest", "before", "after"]

DAY = 86400.0


class NoMatchError(ImageError):
    """No master of the library belongs to a frame; the message says why."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for.

    Attributes
    ----------
    kind : {"bias", "dark", "flat", "bad_pixels"}
        Kind of master.
    values : mapping
        What the frame says about each key.
    tolerances : mapping
        By how much numbers may differ.
    exposure_time : float or None
        Of the frame [s].
    time : datetime or None
        When the frame was taken.
    shape : (int, int) or None
        Rows and columns that the master must have; None: any.
    max_age : float or None
        How far in time the master may be [day].
    when : {"nearest", "before", "after"}
        On which side of the frame.
    exposure_tolerance : float
        Fraction by which the exposure time of a dark may differ.
    dark_scale : (float, float) or None
        Between which factors darks of other exposure times may be scaled.
    """

    kind: Kind
    values: Mapping[str, Any]
    tolerances: Mapping[str, float | None]
    exposure_time: float | None = None
    time: datetime | None = None
    shape: tuple[int, int] | None = None
    max_age: float | None = None
    when: When = "nearest"
    exposure_tolerance: float = 0.01
    dark_scale: tuple[float, float] | None = None

    @property
    def words(self) -> str:
        """The request as a person says it: ``flat for filter R, binning 2x2``."""
        first = [key for key in ("filter", "binning") if key in self.values]
        keys = [*first, *(key for key in self.values if key not in first)]
        told = [(key, self.values[key]) for key in keys if self.values[key] is not None]
        parts = [f"{words_for(key)} {as_text(key, value)}" for key, value in told]
        if self.kind == "dark" and self.exposure_time is not None:
            parts.insert(0, f"{self.exposure_time:g} s")
        name = SINGULARS.get(self.kind, self.kind)
        return f"{name} for {', '.join(parts)}" if parts else f"{name} for this frame"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A master that is still in question: the factor for a dark, how good its exposure time is, and its age."""

    entry: MasterEntry
    scale: float = 1.0
    rank: tuple[float, ...] = ()
    age: float | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """How the choice went.

    Attributes
    ----------
    chosen : Candidate or None
        The best master.
    steps : tuple of (str, int)
        Each test, in order, and how many masters passed it.
    reason : str
        Why there is none; empty if there is one.
    """

    chosen: Candidate | None
    steps: tuple[tuple[str, int], ...]
    reason: str = ""


def request_for(
    kind: Kind, header: fits.Header, tolerances: Mapping[str, float | None], *, label: str = "the frame", **wishes: Any
) -> Request:
    """What a frame with this header needs.

    Raises
    ------
    ImageError
        A card that must be known makes no sense.
    """
    values = {
        key: header_value(header, key, label=label) if key in KEYWORDS else plain(card_value(header, key))
        for key in tolerances
    }
    exposure = header_value(header, "exposure_time", label=label) if kind == "dark" else None
    return Request(
        kind,
        MappingProxyType(values),
        tolerances,
        exposure,
        header_value(header, "observation_time", label=label),
        **wishes,
    )


def select(request: Request, entries: Sequence[MasterEntry], *, where: str = "the library") -> Selection:
    """The best master for a request.

    Parameters
    ----------
    request : Request
        What is asked for.
    entries : sequence of MasterEntry
        What the library holds.
    where : str
        What messages call the library.
    """
    return _Elimination(request, entries, where).run()


@dataclass
class _Elimination:
    """Test after test, until masters remain or the reason is known why none does."""

    request: Request
    entries: Sequence[MasterEntry]
    where: str
    left: list[Candidate] = field(default_factory=list)
    steps: list[tuple[str, int]] = field(default_factory=list)

    def run(self) -> Selection:
        request = self.request
        reason = self._of_kind()
        tests: list[Callable[[], str]] = [
            *(lambda key=key: self._equal(key) for key in request.values),
            *((self._shape,) if request.shape is not None else ()),
            *((self._exposure,) if request.kind == "dark" else ()),
            self._accepted,
            self._in_time,
        ]
        for test in tests:
            if reason:
                break
            reason = test()
        if reason:
            return Selection(None, tuple(self.steps), f"no {request.words}: {reason}")
        best = min(self.left, key=lambda c: (c.rank, abs(c.age) if c.age is not None else math.inf, str(c.entry.path)))
        return Selection(best, tuple(self.steps))

    def _keep(self, text: str, kept: list[Candidate], reason: Callable[[], str]) -> str:
        """Note a test; empty if something is left, else the reason, told before the others are forgotten."""
        why = "" if kept else reason()
        self.steps.append((text, len(kept)))
        self.left = kept
        return why

    def _counted(self) -> str:
        return plural(len(self.left), self.request.kind)

    # --- the tests -----------------------------------------------------------------------------------------------

    def _of_kind(self) -> str:
        kept = [Candidate(entry) for entry in self.entries if entry.kind == self.request.kind]

        def reason() -> str:
            held = Counter(entry.kind for entry in self.entries if entry.kind is not None)
            words = ", ".join(plural(held[kind], kind) for kind in KINDS if held[kind])
            broken = [entry for entry in self.entries if entry.kind is None and entry.problems.get("")]
            more = f"; {broken[0].path.name} cannot be read" if broken else ""
            more += f", nor can {len(broken) - 1} more" if len(broken) > 1 else ""
            return f"{self.where} holds {words or 'no masters'}{more}"

        return self._keep(f"in {self.where}", kept, reason)

    def _equal(self, key: str) -> str:
        wanted = self.request.values[key]
        tolerance = self.request.tolerances.get(key) or 0.0
        kept = [c for c in self.left if _is_equal(c.entry, key, wanted, tolerance)]

        def reason() -> str:
            found = Counter(_told(c.entry, key) for c in self.left)
            others = listed([text for text, _ in found.most_common()])
            if wanted is None:
                return f"the frame does not tell its {words_for(key)}; of {self._counted()} in question it is {others}"
            allowed = f" (+-{tolerance:g} allowed)" if tolerance else ""
            whose = "its" if len(self.left) == 1 else "their"
            return f"{self._counted()} in question, but {whose} {words_for(key)} is {others}{allowed}"

        told = f"of {words_for(key)} {as_text(key, wanted)}"
        return self._keep(told if wanted is not None else f"without {words_for(key)}, like the frame", kept, reason)

    def _shape(self) -> str:
        assert self.request.shape is not None
        kept = [c for c in self.left if c.entry.shape == self.request.shape]
        height, width = self.request.shape

        def reason() -> str:
            sizes = listed(list(dict.fromkeys(f"{c.entry.shape[1]} x {c.entry.shape[0]}" for c in self.left)))
            return f"{self._matching()}, but not in size: {sizes} px instead of {width} x {height}"

        return self._keep(f"of {width} x {height} px", kept, reason)

    def _exposure(self) -> str:
        if self.request.exposure_time is None:
            return self._keep("of an exposure time", [], lambda: "the frame does not tell its exposure time")
        kept = [found for c in self.left if (found := _scaled(c, self.request)) is not None]

        def reason() -> str:
            times = sorted({c.entry.exposure_time for c in self.left if c.entry.exposure_time is not None})
            exposed = f", exposed for {listed([f'{t:g}' for t in times])} s" if times else ""
            limits = self.request.dark_scale
            if limits is None:
                return f"{self._matching()}{exposed}; dark_scale: [low, high] allows darks to be scaled"
            return f"{self._matching()}{exposed}; dark_scale allows factors of {limits[0]:g} to {limits[1]:g}"

        return self._keep(f"exposed for {self.request.exposure_time:g} s, or scalable to it", kept, reason)

    def _accepted(self) -> str:
        kept = [c for c in self.left if c.entry.status == "accepted"]

        def reason() -> str:
            statuses = Counter(c.entry.status for c in self.left)
            words = " and ".join(f"{count} {status_words(status, count)}" for status, count in statuses.items())
            return f"{self._matching()}, but {words}; `etendue masters accept {self.left[0].entry.path}` would allow it"

        return self._keep("accepted", kept, reason)

    def _in_time(self) -> str:
        request = self.request
        dated = [_aged(c, request.time) for c in self.left]
        if request.max_age is None and request.when == "nearest":
            if len(dated) > 1 and request.time is None:
                return self._keep("nearest in time", [], lambda: self._undated("which is nearest cannot be told"))
            return self._keep("in time", dated, lambda: "")
        if request.time is None:
            return self._keep("in time", [], lambda: self._undated("their age cannot be told"))
        aged = [c for c in dated if c.age is not None]
        on_side = [c for c in aged if request.when == "nearest" or (c.age >= 0) == (request.when == "before")]  # type: ignore[operator]
        limit = math.inf if request.max_age is None else request.max_age
        kept = [c for c in on_side if abs(c.age) <= limit]  # type: ignore[arg-type]
        allowed = "" if request.max_age is None else f" within {days(request.max_age)}"
        side = "" if request.when == "nearest" else f" {request.when} the frame"

        def reason() -> str:
            if not aged:
                return f"{self._matching()}, but {'it does' if len(dated) == 1 else 'they do'} not tell when taken"
            nearest = min(abs(c.age) for c in on_side or aged)  # type: ignore[arg-type]
            if not on_side:
                other = "after" if request.when == "before" else "before"
                taken = f"none was taken {request.when} the frame"
                return f"{self._matching()}, but {taken}; the nearest is {days(nearest)} {other} it"
            return f"{self._matching()}, the nearest{side} is {days(nearest)} away and max_age is {days(limit)}"

        return self._keep(f"taken{allowed}{side}", kept, reason)

    def _matching(self) -> str:
        return f"{self._counted()} {'matches' if len(self.left) == 1 else 'match'}"

    def _undated(self, consequence: str) -> str:
        return f"{self._matching()}, but the frame does not tell when it was taken, so {consequence}"


# --- comparisons ------------------------------------------------------------------------------------------------


def _is_equal(entry: MasterEntry, key: str, wanted: Any, tolerance: float) -> bool:
    try:
        own = entry.value(key)
    except ImageError:
        return False
    if own is None or wanted is None:
        return own is wanted or key in OFTEN_CONFIGURED
    numbers = [isinstance(value, int | float) and not isinstance(value, bool) for value in (own, wanted)]
    if all(numbers):
        return abs(own - wanted) <= tolerance + 1e-9 * abs(wanted)
    return own == wanted


def _told(entry: MasterEntry, key: str) -> str:
    try:
        return as_text(key, entry.value(key))
    except ImageError:
        return "not readable"


def _scaled(candidate: Candidate, request: Request) -> Candidate | None:
    """A dark with its factor: of the same exposure time first, then a dark current, then others, the nearest first."""
    entry, exposure = candidate.entry, request.exposure_time
    assert exposure is not None
    if entry.is_rate:
        return Candidate(entry, exposure, (1.0,))
    own = entry.exposure_time
    if "exposure_time" in entry.problems or own is None:
        return None
    if abs(own - exposure) <= request.exposure_tolerance * exposure:
        return Candidate(entry, 1.0, (0.0,))
    limits = request.dark_scale
    if limits is None or own <= 0 or not limits[0] <= exposure / own <= limits[1]:
        return None
    return Candidate(entry, exposure / own, (2.0, round(abs(math.log(exposure / own)), 2)))


def _aged(candidate: Candidate, time: datetime | None) -> Candidate:
    own = candidate.entry.time
    age = None if own is None or time is None else (time - own).total_seconds() / DAY
    return Candidate(candidate.entry, candidate.scale, candidate.rank, age)
