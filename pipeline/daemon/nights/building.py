"""Build the masters of a night and setup from raw frames in the queue. Runs in a worker."""

import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ....images import Image, ImageError, TransientError
from ....processors.calibration import Calibration
from ....processors.calibration.library import read_entry, set_status
from ...night.build import MasterBuilder, NightMaster
from ...night.chain import calibration_of
from ...night.frame_types import FrameType
from ...night.settings import NightSettings
from ...night.sorting import RawFrame, Setup, SortedNight, header_of
from ...pipeline import Pipeline
from ...running.causes import FULL_OR_BROKEN
from ...running.shipping import unpack
from ..work.storage import StorageError

PLAIN = re.compile(r"[A-Za-z0-9.+-]+(_[A-Za-z0-9.+-]+)*")
"""Parts of file names that remain as they are."""


def build_masters(
    pipeline: str | None,
    library: str,
    night: str,
    frames: Sequence[Mapping[str, Any]],
    fewest: Mapping[str, int],
    bad_pixels: bool,
    memory: float,
    earlier: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Build the masters that raw frames of one night and setup make, and put them into the library.

    Doing it again changes nothing: a master that was made of the same frames, in the same way, stays as it is.

    Parameters
    ----------
    pipeline : str or None
        The chain (JSON) that science frames go through; its Calibration tells how raw frames are prepared.
    library : str
        Folder of masters; made if need be.
    night : str
        Date on which the night began.
    frames : sequence of mapping
        Raw calibration frames: job, path, size, mtime_ns, type.
    fewest : mapping
        Fewest frames of which a master of a kind is made.
    bad_pixels : bool
        Whether to make a map of bad pixels.
    memory : float
        For the combination of frames [byte].
    earlier : sequence of mapping
        Masters of this night and setup that were made before: kind, name, frames. One that was made of some of the
        frames of a new master that has another name is marked as rejected.

    Returns
    -------
    dict
        Facts for the job. ``nights`` holds ``masters``, what became of each (kind, label, status, name, frames as
        numbers of jobs, reasons, numbers, seconds, compared_with), and ``damaged``: jobs of frames that no master can
        be made from, and why. ``notes`` says in words what a person should look at.

    Raises
    ------
    TransientError
        A folder of raw frames is not there at the moment.
    StorageError, OSError
        The library cannot be written to.
    """
    chain = None if pipeline is None else unpack(pipeline)
    folder = Path(library)
    folder.mkdir(parents=True, exist_ok=True)
    if chain is None:
        return _Building(None, folder, night, frames, fewest, bad_pixels, memory).run(earlier)
    with chain.keywords_known():
        return _Building(chain, folder, night, frames, fewest, bad_pixels, memory).run(earlier)


class _Builder(MasterBuilder):
    """Builds masters; a library that cannot be written to is nobody's frames' fault."""

    def _made(self, *arguments: Any) -> NightMaster:
        try:
            return super()._made(*arguments)
        except OSError as error:
            if error.errno not in FULL_OR_BROKEN:
                raise
            bare = OSError(error.errno, error.strerror)
            raise StorageError(f"the library of masters {self.folder} cannot be written to: {error.strerror}") from bare


class _Building:
    """One job: its frames, the masters that they make, and the frames that turn out to be damaged."""

    def __init__(
        self,
        chain: Pipeline | None,
        library: Path,
        night: str,
        frames: Sequence[Mapping[str, Any]],
        fewest: Mapping[str, int],
        bad_pixels: bool,
        memory: float,
    ) -> None:
        self.library = library
        self.night = night
        self.frames = frames
        self.jobs = {Path(frame["path"]): int(frame["job"]) for frame in frames}
        self.damaged: dict[int, str] = {}
        own = (chain and chain.night) or NightSettings()
        changes = {"fewest": {**own.fewest, **fewest}, "bad_pixels": bad_pixels, "memory": memory / 1e6}
        settings = own.model_copy(update=changes)
        calibration = (chain and calibration_of(chain)) or Calibration()
        self.builder = _Builder(library, calibration, settings, again=False)

    def run(self, earlier: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        raw = [found for frame in self.frames if (found := self._raw(frame)) is not None]
        masters = self._built(raw)
        suspects = {path for master in masters if master.status == "not built" for path in master.frames}
        sound = [frame for frame in raw if frame.path not in suspects or self._is_sound(frame)]
        if len(sound) < len(raw):
            masters = self._built(sound)
        self._retire(earlier, masters)
        told = [self._told(master) for master in masters]
        damaged = {str(job): reason for job, reason in self.damaged.items()}
        return {"nights": {"masters": told, "damaged": damaged}, "notes": [*map(_note, filter(_needs_a_look, told))]}

    def _built(self, raw: list[RawFrame]) -> list[NightMaster]:
        ordered = sorted(raw, key=lambda frame: (frame.time.timestamp() if frame.time else 0.0, str(frame.path)))
        words = {frame.setup: setup_word(frame.setup) for frame in ordered}
        return self.builder.build(SortedNight(tuple(ordered)), date=self.night, words=words)

    # --- raw frames ---------------------------------------------------------------------------------------------

    def _raw(self, frame: Mapping[str, Any]) -> RawFrame | None:
        """A frame with its header; None, and the reason noted, if it is not the one that it was."""
        path = Path(frame["path"])
        try:
            status = path.stat()
            if (status.st_size, status.st_mtime_ns) != (frame["size"], frame["mtime_ns"]):
                return self._leave_out(path, "the file was replaced after it had been seen")
            return RawFrame(path, FrameType(frame["type"]), "", header_of(path))
        except FileNotFoundError:
            if not path.parent.is_dir():
                raise TransientError(f"the folder {path.parent} of raw frames is not there") from None
            return self._leave_out(path, "the file is not there any more")
        except (ImageError, OSError) as error:
            return self._leave_out(path, _reason(error, path))

    def _is_sound(self, frame: RawFrame) -> bool:
        try:
            Image.from_file(frame.path)
        except (ImageError, OSError) as error:
            self._leave_out(frame.path, _reason(error, frame.path))
            return False
        return True

    def _leave_out(self, path: Path, reason: str) -> None:
        self.damaged[self.jobs[path]] = reason

    # --- masters ------------------------------------------------------------------------------------------------

    def _retire(self, earlier: Sequence[Mapping[str, Any]], masters: Sequence[NightMaster]) -> None:
        """An earlier master must not be preferred to the one that has replaced it under another name."""
        for old in earlier:
            for new in masters:
                if new.path is None or not new.is_used or new.kind != old["kind"] or new.path.name == old["name"]:
                    continue
                own = {self.jobs.get(path) for path in new.frames}
                path = self.library / old["name"]
                if old["frames"] and own.issuperset(old["frames"]) and _is_accepted(path):
                    set_status(path, "rejected", f"made again as {new.path.name}")

    def _told(self, master: NightMaster) -> dict[str, Any]:
        jobs = [self.jobs[path] for path in master.frames if path in self.jobs]
        reasons = [self._plain(reason) for reason in master.reasons]
        return {
            "kind": master.kind,
            "label": master.label,
            "status": master.status,
            "name": None if master.path is None else str(master.path.relative_to(self.library)),
            "frames": jobs,
            "reasons": reasons,
            "compared_with": None if master.compared_with is None else master.compared_with.name,
            "numbers": {name: float(value) for name, value in master.numbers.items() if abs(value) < float("inf")},
            "seconds": round(master.seconds, 3),
        }

    def _plain(self, reason: str) -> str:
        return reason.replace(f"{self.library}/", "")


def setup_word(setup: Setup) -> str:
    """What tells a setup from all others in a file name, whichever others there are: ``CAM1_2048x2048_bin2x2_fast``.

    A blank becomes ``-``, and ``-`` is doubled. Where that is not enough, a number keeps names apart.
    """
    instrument, size, binning, mode = setup
    binned = "bin" + "x".join(map(str, binning)) if tuple(binning) != (1, 1) else ""
    parts = [str(part) for part in (instrument, "x".join(map(str, size)), binned, mode) if part]
    words = [part.replace("-", "--").replace(" ", "-") for part in parts]
    if all(PLAIN.fullmatch(word) for word in words) and not str(mode).startswith("bin"):
        return "_".join(words)
    cleaned = re.sub(r"[^A-Za-z0-9.+-]+", "_", "_".join(words)).strip("_")
    return f"{cleaned}_{zlib.crc32(repr(setup).encode(errors='replace')):08x}"


def _needs_a_look(master: Mapping[str, Any]) -> bool:
    return master["status"] in ("candidate", "not built")


def _note(master: Mapping[str, Any]) -> str:
    what = "waits for a person" if master["status"] == "candidate" else "not built"
    return f"{master['label']} {what}: {'; '.join(master['reasons'])}"


def _is_accepted(path: Path) -> bool:
    try:
        return read_entry(path).status == "accepted"
    except FileNotFoundError:
        return False


def _reason(error: Exception, path: Path) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"it cannot be read: {error.strerror}"
    return str(error).replace(str(path), path.name)
