"""How the calibration frames of a night stand: which are complete, which are a master, and what the others wait for.

Everything here follows from the rows of the queue, so that a daemon that starts anew, or another one, comes to the
same conclusions.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from ...night.groups import Group, groups_of
from ...night.settings import FEWEST
from ...night.sorting import SortedNight
from ..queue import OPEN_STATES, Job, JobState
from ..settings import MastersSettings
from .frames import NOTES, QueuedFrame

PLURALS = {"bias": "biases", "dark": "darks", "flat": "flats"}

EARLIER = {"dark": ("bias",), "flat": ("bias", "dark")}
"""Kinds that raw frames of a kind are corrected with."""

Age = Callable[[QueuedFrame], float]
"""Tells how long ago a frame came in [s]."""


@dataclass(frozen=True, slots=True)
class Build:
    """A job that builds masters, and what came of it.

    Attributes
    ----------
    id : int
        Number of the job.
    state : JobState
        How the job stands.
    frames : frozenset of int
        Jobs of the raw frames that it was given.
    masters : tuple of mapping
        What became of each master: kind, label, status, name, path, frames (numbers of jobs), reasons, numbers.
    damaged : mapping of int to str
        Frames that no master can be made from, and why.
    error : str
        Why the job itself failed.
    """

    id: int
    state: JobState
    frames: frozenset[int]
    masters: tuple[Mapping[str, Any], ...] = ()
    damaged: Mapping[int, str] = field(default_factory=dict)
    error: str = ""

    @classmethod
    def of(cls, job: Job) -> Self:
        """What a job of kind MASTERS says."""
        notes = job.facts.get(NOTES, {}) if job.state is JobState.DONE else {}
        return cls(
            job.id,
            job.state,
            frozenset(int(frame["job"]) for frame in job.payload.get("frames", ())),
            tuple(notes.get("masters", ())),
            {int(frame): reason for frame, reason in notes.get("damaged", {}).items()},
            job.error or job.reason,
        )

    @property
    def is_open(self) -> bool:
        """Whether it is still to be done, or being done."""
        return self.state in OPEN_STATES

    def master_of(self, group: Group) -> Mapping[str, Any] | None:
        """What became of the master of a group; None if the job has not come to it."""
        own = {frame.id for frame in frames_in(group)}
        return next((m for m in self.masters if m["kind"] == group.kind and not own.isdisjoint(m["frames"])), None)


class GroupState(StrEnum):
    """How a group stands."""

    COLLECTING = "collecting"
    FEW = "too few"
    HELD = "held"
    """Complete, and waits for the masters that its frames are corrected with."""
    COMPLETE = "complete"
    BUILDING = "building"
    BUILT = "built"
    CANDIDATE = "candidate"
    """Built, and not used before a person accepts it."""
    NOT_BUILT = "not built"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a group of calibration frames stands.

    Attributes
    ----------
    group : Group
        The frames, of which each is a :class:`~etendue.pipeline.daemon.nights.frames.QueuedFrame`.
    state : GroupState
        How it stands.
    reason : str
        The same for people.
    needed : int or None
        Frames with which it is complete; None: it is complete when no more come in.
    ready : tuple of QueuedFrame
        Frames for the next job that builds masters: all, if the group is complete; those of its last master, if
        others are late.
    due : float or None
        When it will be complete at the latest [s from now].
    build : Build or None
        The job that has built its master, or is about to.
    master : mapping or None
        What became of its master.
    """

    group: Group
    state: GroupState
    reason: str
    needed: int | None
    ready: tuple[QueuedFrame, ...] = ()
    due: float | None = None
    build: Build | None = None
    master: Mapping[str, Any] | None = None

    @property
    def frames(self) -> tuple[QueuedFrame, ...]:
        """The frames of the group."""
        return frames_in(self.group)

    @property
    def is_under_way(self) -> bool:
        """Whether a master is still to be expected from it."""
        return self.state in (GroupState.COLLECTING, GroupState.HELD, GroupState.COMPLETE, GroupState.BUILDING)


def frames_in(group: Group) -> tuple[QueuedFrame, ...]:
    """The frames of a group of frames in the queue."""
    return group.frames  # type: ignore[return-value]


def standings(
    frames: Iterable[QueuedFrame], builds: Sequence[Build], settings: MastersSettings, age: Age
) -> list[Standing]:
    """How the groups of one night and setup stand: biases first, then darks, then flats.

    Parameters
    ----------
    frames : iterable of QueuedFrame
        All calibration frames of the night and setup.
    builds : sequence of Build
        All jobs that build masters of it, in their order.
    settings : MastersSettings
        When a group is complete.
    age : callable
        How long ago a frame came in [s].
    """
    found: list[Standing] = []
    for group in groups_of(SortedNight(tuple(usable(frames, builds)))):
        found.append(_standing(group, found, builds, settings, age))
    return found


def usable(frames: Iterable[QueuedFrame], builds: Sequence[Build]) -> list[QueuedFrame]:
    """The frames that masters can be made from, one for each file: the newest."""
    newest: dict[Any, QueuedFrame] = {}
    for frame in sorted(frames, key=lambda frame: frame.id):
        if frame.counts:
            newest[frame.path] = frame
    return [frame for frame in newest.values() if damage_of(frame, builds) is None]


def damage_of(frame: QueuedFrame, builds: Sequence[Build]) -> str | None:
    """Why no master can be made from a frame; None if nothing is known against it."""
    build = _answer(frame, builds)
    return None if build is None or build.is_open else build.damaged.get(frame.id)


def _answer(frame: QueuedFrame, builds: Sequence[Build]) -> Build | None:
    """The last job that was given a frame, since a person has last asked to try it again."""
    own = [build for build in builds if frame.id in build.frames and build.id > retried_after(frame.job)]
    return own[-1] if own else None


def retried_after(job: Job) -> int:
    """The job for which a frame once failed, if it waits again: what came of that job does not count any more."""
    return job.facts.get(NOTES, {}).get("failed_by", 0) if job.state is JobState.WAITING else 0


def _standing(
    group: Group, earlier: Sequence[Standing], builds: Sequence[Build], settings: MastersSettings, age: Age
) -> Standing:
    frames = frames_in(group)
    fewest = settings.fewest.get(group.kind, FEWEST[group.kind])
    needed = settings.complete.get(group.kind)
    needed = None if needed is None else max(needed, fewest)
    answers = {frame.id: _answer(frame, builds) for frame in frames}
    pending = [frame for frame in frames if answers[frame.id] is None]
    answered = tuple(frame for frame in frames if answers[frame.id] is not None)
    last = max((build for build in answers.values() if build is not None), key=lambda build: build.id, default=None)

    def standing(state: GroupState, reason: str, ready: Iterable[QueuedFrame] = (), **more: Any) -> Standing:
        return Standing(group, state, reason, needed, tuple(ready), **more)

    if last is not None and last.is_open:
        return standing(
            GroupState.BUILDING, f"{group.label} is being built from {counted(answered)} (job {last.id})", build=last
        )
    master = None if last is None else last.master_of(group)
    waiting = [frame for frame in pending if frame.job.state not in (JobState.FAILED, JobState.DONE)]
    if last is not None and not waiting:
        return _built(group, answered, last, master, needed)
    has_master = master is not None and master["status"] != "not built"
    quiet = min((age(frame) for frame in waiting), default=settings.deadline)
    is_full = needed is not None and len(frames) >= needed and not has_master
    if not is_full and quiet < settings.deadline:
        reason = _collecting(group, len(frames), needed, len(answered) if has_master else 0, settings.deadline)
        return standing(
            GroupState.COLLECTING, reason, answered, due=settings.deadline - quiet, build=last, master=master
        )
    if len(frames) < fewest:
        what = group.label if len(frames) == 1 else group.label.replace(group.kind, PLURALS[group.kind], 1)
        return standing(GroupState.FEW, f"{len(frames)} {what}, and it takes {fewest}", build=last)
    others = [other for other in earlier if other.group.kind in EARLIER.get(group.kind, ())]
    others = [other for other in others if other.state in (GroupState.COLLECTING, GroupState.HELD)]
    if others:
        reason = f"{group.label} is complete with {counted(frames)}; it waits for {others[0].group.label}: "
        return standing(GroupState.HELD, reason + others[0].reason, answered, build=last, master=master)
    return standing(
        GroupState.COMPLETE, f"{group.label} is complete with {counted(frames)}", frames, build=last, master=master
    )


def _built(
    group: Group,
    frames: tuple[QueuedFrame, ...],
    build: Build,
    master: Mapping[str, Any] | None,
    needed: int | None,
) -> Standing:
    """A group all of whose frames have been through a job that builds masters."""
    if master is None:
        why = build.error or f"{build.state}"
        state, reason = GroupState.NOT_BUILT, f"{group.label} was not built: job {build.id} {why}"
    elif master["status"] == "not built":
        state, reason = GroupState.NOT_BUILT, f"{group.label} was not built: {'; '.join(master['reasons'])}"
    elif master["status"] == "candidate":
        state = GroupState.CANDIDATE
        reason = f"in {master['name']}, which waits for a person: {'; '.join(master['reasons'])}"
    else:
        state, reason = GroupState.BUILT, f"in {master['name']}"
    return Standing(group, state, reason, needed, frames, None, build, master)


def _collecting(group: Group, count: int, needed: int | None, built: int, deadline: float) -> str:
    quiet = f"when none has come in for {deadline / 60:.3g} min" if deadline >= 60 else "soon"
    if built:
        return f"late: the master {group.label} has {built} frames; it is built again with {count} {quiet}"
    if needed is not None:
        return f"collecting: {group.label} {count} of {needed}"
    return f"collecting: {group.label}, {count} so far; complete {quiet}"


def counted(frames: Sequence[Any]) -> str:
    """``1 frame``, ``7 frames``."""
    return f"{len(frames)} frame{'' if len(frames) == 1 else 's'}"


def next_build(found: Sequence[Standing], builds: Sequence[Build]) -> tuple[QueuedFrame, ...]:
    """The frames of the next job that builds masters; none if there is nothing to build, or another job is open.

    Masters that exist already are among them: they are not made again unless what they were made with has changed.
    """
    if any(build.is_open for build in builds) or not any(one.state is GroupState.COMPLETE for one in found):
        return ()
    frames = {frame.id: frame for one in found for frame in one.ready}
    return tuple(frames[number] for number in sorted(frames))
