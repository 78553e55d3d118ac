"""One night as the page shows it: what makes which master, what became of it, and how good the frames are."""

import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ..queue import Filter, Job, JobKind, JobQueue, JobState
from ..settings import MastersSettings
from .frames import PLACED, QueuedFrame
from .standing import Build, Standing, standings
from .view import SETUP, Key, OneNight, add_frames, jobs_of, newest_of_each, setup_from

QUALITY = (
    "seeing",
    "fwhm",
    "ellipticity",
    "sky",
    "sky_noise",
    "n_sources",
    "limiting_magnitude",
    "zero_point",
    "airmass",
)
"""Facts of a job that tell how good its frame is."""


def night_summary(queue: JobQueue, night: str, masters: MastersSettings | None = None) -> dict[str, Any]:
    """Everything about one night. It looks into the queue only, and takes milliseconds for hundreds of frames.

    Parameters
    ----------
    queue : JobQueue
        The queue.
    night : str
        Date on which it began.
    masters : MastersSettings
        When a group of frames is complete; without it, groups that are being collected do not say what they need.

    Returns
    -------
    dict
        JSON data. ``night``, ``instruments``, ``counts`` (jobs by state);
        ``groups``: instrument, kind, label, frames (how many), needed, state, reason, job (that has built, or builds,
        the master), jobs (of the frames), setup;
        ``masters``: instrument, kind, label, status, path (in the library), frames (how many), reasons, numbers,
        seconds, job;
        ``science``: science frames by state; ``lacking``: what those wait for, with the number of frames;
        ``series``: a point for each science frame that is done, by time: job, label, time [s since 1970],
        instrument, object, filter, and what is known of :data:`QUALITY`.
    """
    jobs = jobs_of(queue, Filter(night=night))
    nights: dict[Key, OneNight] = {}
    add_frames(nights, (job for job in jobs if job.kind is JobKind.FRAME))
    for job in jobs:
        if job.kind is JobKind.MASTERS and SETUP in job.facts:
            nights.setdefault((night, setup_from(job.facts[SETUP])), OneNight()).masters.append(job)
    science = newest_of_each(job for job in jobs if job.kind is JobKind.IMAGE)
    groups: list[dict[str, Any]] = []
    made: list[dict[str, Any]] = []
    for (_, setup), one in sorted(nights.items(), key=lambda item: repr(item[0])):
        found = standings(one.frames, one.builds, masters or MastersSettings(), _age)
        groups += [_group(standing, setup) for standing in found]
        made += _masters(one.builds, setup[0], {job.id: job for job in one.masters})
    points = [_point(job) for job in science if job.state is JobState.DONE]
    return {
        "night": night,
        "instruments": sorted({job.instrument for job in jobs if job.instrument}),
        "counts": dict(Counter(str(job.state) for job in jobs)),
        "groups": groups,
        "masters": made,
        "science": dict(Counter(str(job.state) for job in science)),
        "lacking": dict(Counter(job.reason for job in science if job.state is JobState.WAITING and job.reason)),
        "series": sorted((point for point in points if point is not None), key=lambda point: point["time"]),
    }


def _age(frame: QueuedFrame) -> float:
    return max(0.0, time.time() - frame.job.created)


def _group(one: Standing, setup: Any) -> dict[str, Any]:
    instrument, size, binning, mode = setup
    return {
        "instrument": instrument,
        "setup": {"size": list(size), "binning": list(binning), "readout_mode": mode},
        "kind": one.group.kind,
        "label": one.group.label,
        "frames": len(one.frames),
        "needed": one.needed,
        "state": str(one.state),
        "reason": one.reason,
        "job": None if one.build is None else one.build.id,
        "jobs": [frame.id for frame in one.frames],
    }


def _masters(builds: list[Build], instrument: str, jobs: Mapping[int, Job]) -> list[dict[str, Any]]:
    """The last state of each master, by its name: later jobs have found it there, or made it again."""
    found: dict[Any, dict[str, Any]] = {}
    for build in builds:
        for master in build.masters:
            before = found.get((master["kind"], master["name"] or master["label"]))
            seconds = master["seconds"] or (before["seconds"] if before else 0.0)
            status = "accepted" if master["status"] == "reused" else master["status"]
            found[(master["kind"], master["name"] or master["label"])] = {
                "instrument": instrument,
                "kind": master["kind"],
                "label": master["label"],
                "status": status,
                "path": master["name"],
                "frames": len(master["frames"]) or int(master["numbers"].get("combined", 0)),
                "reasons": list(master["reasons"]),
                "numbers": dict(master["numbers"]),
                "compared_with": master.get("compared_with"),
                "seconds": seconds,
                "job": build.id,
                "finished": jobs[build.id].finished,
            }
    return list(found.values())


def _point(job: Job) -> dict[str, Any] | None:
    """How good a frame is; None if it does not tell when it was taken."""
    facts = job.facts
    start = _seconds(facts.get("observation_time"))
    if start is None:
        return None
    exposure = facts.get("exposure_time")
    middle = start + (exposure / 2 if isinstance(exposure, int | float) else 0.0)
    values = {name: facts[name] for name in QUALITY if isinstance(facts.get(name), int | float)}
    return {
        "job": job.id,
        "label": job.label,
        "time": middle,
        "instrument": job.instrument,
        "object": str(facts.get("object_name") or ""),
        "filter": str(job.payload.get(PLACED, {}).get("filter") or facts.get("filter") or ""),
        **values,
    }


def _seconds(text: Any) -> float | None:
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
