"""What becomes of the jobs of calibration frames, as their groups stand."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..queue import JobState
from ..settings import MastersSettings
from .frames import QueuedFrame
from .standing import Age, Build, GroupState, Standing, damage_of


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a job.

    Attributes
    ----------
    job : int
        Its number.
    state : JobState
        WAITING, DONE or FAILED.
    reason : str
        What it waits for, what it has become part of, or why it failed.
    build : int
        The job that has come to this; 0 if none has.
    """

    job: int
    state: JobState
    reason: str
    build: int = 0


def verdicts(
    frames: Iterable[QueuedFrame],
    found: Sequence[Standing],
    builds: Sequence[Build],
    settings: MastersSettings,
    age: Age,
) -> list[Verdict]:
    """What is to be changed, so that the jobs of frames say how their groups stand.

    Frames that failed since there were too few of them are done when a later master holds them after all.
    """
    changes = []
    for one in found:
        changes += [change for frame in one.frames if (change := _verdict(frame, one, settings, age)) is not None]
    last = builds[-1].id if builds else 0
    for frame in frames:
        damage = damage_of(frame, builds)
        if damage is not None and frame.job.state is JobState.WAITING:
            changes.append(Verdict(frame.id, JobState.FAILED, damage, last))
    return changes


def _verdict(frame: QueuedFrame, one: Standing, settings: MastersSettings, age: Age) -> Verdict | None:
    state, reason = JobState.WAITING, one.reason
    match one.state:
        case GroupState.BUILT | GroupState.CANDIDATE:
            state = JobState.DONE
        case GroupState.FEW:
            state = JobState.FAILED
        case GroupState.NOT_BUILT:
            # What it lacks, such as a bias, may still come in, as long as science frames would wait for it too.
            lasts = min(age(other) for other in one.frames) < settings.wait
            state = JobState.WAITING if lasts else JobState.FAILED
    now = frame.job.state
    build = 0 if one.build is None else one.build.id
    changes = now is JobState.FAILED and state is JobState.DONE
    if now is JobState.WAITING:
        changes = state is not now or reason != frame.job.reason
    return Verdict(frame.id, state, reason, build) if changes else None
