"""Files that appear in a folder.

The search is the truth: at the start, every `scan` seconds, and whenever something is unclear. Events make it quick. A
file is handed over when it is complete (see :mod:`.candidates`), and not again until it changes.

Nothing is ever concluded from the absence of a file.
"""

import asyncio
import contextlib
import itertools
import logging
import math
import time
from collections.abc import Sequence
from pathlib import Path

from .....images.io.fits.layout import CompanionFile
from ...settings import WatchSource
from ..inspect import Inspected, spelled
from ..source import Found, Hand, Inspect, Known, SourceState
from .candidates import LOOK_AGAIN, LOOK_ANYWAY, QUICK, Candidate, problem_of
from .events import FolderEvents
from .search import MOST_NOTES, Identity, Seen, Selection, common, different, look_at, search

log = logging.getLogger(__name__)

TOGETHER = 0.05
"""Changes within this time are looked at together [s]."""

LOST_AGAIN = 2.0
"""A folder that is not there is looked for so often [s]."""

LONGEST_LOOK = 1.0
"""After this time, what else has happened has its turn [s]."""

MOST_AT_ONCE = 50
"""Files that are inspected, and handed over, together."""

KNOWN_AT_ONCE = 500
"""Files about which the queue is asked together."""

TRY_AGAIN = (1.0, 30.0)
"""First and longest wait after an error [s]."""


class WatchRunner:
    """A folder that is watched.

    Parameters
    ----------
    settings : WatchSource
        What is configured.
    known : callable
        Asks the queue which files have had a job.
    inspect : callable
        Looks at files, in another process.
    apart : sequence of Path
        Folders of our own, which are not searched.
    companions : sequence of CompanionFile
        Files that are masks or uncertainties of an image beside them.
    newest_first : bool
        Whether, of many files, the newest is looked at first.
    """

    kind = "watch"

    def __init__(
        self,
        settings: WatchSource,
        *,
        known: Known,
        inspect: Inspect,
        apart: Sequence[Path] = (),
        companions: Sequence[CompanionFile] = (),
        newest_first: bool = False,
    ) -> None:
        self.name = settings.name or settings.watch.name
        self.where = str(settings.watch)
        self.state = SourceState()
        self._settings = settings
        self._known = known
        self._inspect = inspect
        self._newest_first = newest_first
        self._selection = Selection(
            settings.watch,
            settings.recursive,
            settings.patterns,
            settings.ignore,
            settings.follow_links,
            tuple(apart),
            tuple(companions),
        )
        self._handed: dict[str, Identity] = {}
        self._candidates: dict[str, Candidate] = {}
        self._hints: set[Path] = set()
        self._new_folders: set[Path] = set()
        self._search_at = 0.0
        self._search_wanted = True
        self._earliest_search = 0.0
        self._next_look = 0.0
        self._wake = asyncio.Event()
        self._events: FolderEvents | None = None
        self._place: tuple[int, int] | None = None
        self._notes: dict[str, None] = {}
        self._stuck: list[str] = []
        self._deaf = ""
        self._trouble = 0.0

    async def run(self, hand: Hand) -> None:
        """Watch the folder until cancelled."""
        try:
            while True:
                try:
                    await self._go_round(hand)
                    self._trouble = 0.0
                except Exception as error:
                    self._trouble = min(max(TRY_AGAIN[0], 2 * self._trouble), TRY_AGAIN[1])
                    log.exception("source %s: trying again in %g s", self.name, self._trouble)
                    self.state.holds(f"{type(error).__name__}: {error}")
                    self._search_wanted = True
                    await asyncio.sleep(self._trouble)
        finally:
            await self.close()

    async def close(self) -> None:
        """Stop listening to the kernel."""
        if self._events is not None:
            asyncio.get_running_loop().remove_reader(self._events.descriptor)
            self._events.close()
            self._events = None

    # --- the round -------------------------------------------------------------------------------------------------

    async def _go_round(self, hand: Hand) -> None:
        await self._sleep()
        if time.monotonic() >= self._time_of_search:
            await self._search()
        if self._hints or self._new_folders:
            await self._follow_hints()
        await self._look(hand)
        # With a hundred thousand candidates this takes longer than the event loop has time for.
        self._next_look, self._stuck = await asyncio.to_thread(self._look_ahead)
        self.state.waiting = len(self._candidates)
        self.state.notes = (*self._notes, *([self._deaf] if self._deaf else []), *self._stuck)

    @property
    def _time_of_search(self) -> float:
        return self._earliest_search if self._search_wanted else self._search_at

    async def _sleep(self) -> None:
        """Wait until there is something to do."""
        wait = min(self._next_look, self._time_of_search) - time.monotonic()
        if wait > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), wait)
                await asyncio.sleep(TOGETHER)
        self._wake.clear()

    def _look_ahead(self) -> tuple[float, list[str]]:
        """When to look at the next candidate, and what those lack that do not become complete."""
        next_look = min((one.next_look for one in self._candidates.values()), default=math.inf)
        stuck = (f"{spelled(path)}: {one.why}" for path, one in self._candidates.items() if one.why)
        return next_look, list(itertools.islice(stuck, MOST_NOTES))

    async def _search(self) -> None:
        """The folder as it is now."""
        started = time.monotonic()
        self._search_wanted = False
        self._hints.clear()
        self._new_folders.clear()
        try:
            place = await asyncio.to_thread(_place_of, self._selection.folder)
            if place != self._place:
                await self._listen_anew()
            seen = await asyncio.to_thread(search, self._selection, on_folder=self._listen_to)
        except OSError as error:
            self._lost(f"{self.where}: {error.strerror or error}")
        else:
            if self._place is not None and place[0] != self._place[0] and not seen.files and self._handed:
                self._lost(f"{self.where} is empty, and no longer the file system that was there: is it mounted?")
            else:
                self._place = place
                self._found_again(seen)
                self._note(seen)
                # A hundred thousand files take longer to compare than the event loop has time for.
                new = await asyncio.to_thread(different, seen.files, self._handed)
                self._handed = await asyncio.to_thread(common, self._handed, seen.files)
                await self._consider(new)
                gone = await asyncio.to_thread(lambda: [path for path in self._candidates if path not in new])
                for path in gone:
                    del self._candidates[path]
        now = time.monotonic()
        pause = 10 * (now - started)  # a folder that takes long to search is not searched all the time
        self._earliest_search = now + min(pause, self._settings.scan)
        often = self._settings.scan if self.state.state == "ok" else min(self._settings.scan, LOST_AGAIN)
        self._search_at = now + max(often, pause)

    async def _follow_hints(self) -> None:
        """What events have told of."""
        paths, folders = list(self._hints), list(self._new_folders)
        self._hints.clear()
        self._new_folders.clear()
        seen = await asyncio.to_thread(look_at, self._selection, paths)
        for folder in folders if self._settings.recursive else ():
            with contextlib.suppress(OSError):  # it has gone again
                deeper = await asyncio.to_thread(search, self._selection, within=folder, on_folder=self._listen_to)
                seen.files |= deeper.files
        await self._consider(await asyncio.to_thread(different, seen.files, self._handed))

    async def _consider(self, files: dict[str, Identity]) -> None:
        """Make candidates of files that are new or have changed."""
        paths = list(files)
        for start in range(0, len(paths), KNOWN_AT_ONCE):
            batch = paths[start : start + KNOWN_AT_ONCE]
            unseen = [Path(path) for path in batch if path not in self._candidates]
            known = await self._known(self.name, unseen) if unseen else {}
            now = time.monotonic()
            for path in batch:
                identity = files[path]
                before = self._candidates.get(path)
                if before is None and known.get(Path(path)) == identity:
                    self._handed[path] = identity
                elif before is None or before.identity != identity:
                    self._candidates[path] = Candidate(identity, now, now + QUICK)
                else:  # something has happened to it, for example it was closed
                    before.next_look = min(before.next_look, now + QUICK)
                    before.wait = LOOK_AGAIN[0]

    async def _look(self, hand: Hand) -> None:
        """Look at candidates whose time has come, and hand over those that are complete."""
        began = time.monotonic()
        due = await asyncio.to_thread(self._due)
        for start in range(0, len(due), MOST_AT_ONCE):
            looked = await self._inspect([Path(path) for path in due[start : start + MOST_AT_ONCE]])
            found = [one for shown in looked if (one := self._judge(shown)) is not None]
            if found:
                await hand(found)
                self._have_handed(found)
            self.state.waiting = len(self._candidates)
            now = time.monotonic()
            if now - began > LONGEST_LOOK and (self._wake.is_set() or now >= self._time_of_search):
                break  # five thousand files at once are no reason to miss what else happens

    def _due(self) -> list[str]:
        """Candidates whose time has come."""
        now = time.monotonic()
        due = [path for path, one in self._candidates.items() if one.next_look <= now]
        return sorted(due, key=lambda path: self._candidates[path].identity[1], reverse=self._newest_first)

    def _judge(self, shown: Inspected) -> Found | None:
        """What to hand over, or None if it is not time yet."""
        candidate = self._candidates[str(shown.path)]
        now = time.monotonic()
        if not shown.exists:
            del self._candidates[str(shown.path)]
            return None
        if shown.identity != candidate.identity:
            candidate.identity, candidate.since, candidate.why = shown.identity, now, ""
            candidate.postpone(now, LOOK_AGAIN[1])
            return None
        problem = problem_of(shown, now - candidate.since, self._settings.settle)
        if problem is None:
            is_stuck = shown.whole is False and now - candidate.since >= LOOK_ANYWAY
            candidate.why = shown.why if is_stuck else ""
            candidate.postpone(now, LOOK_ANYWAY if shown.whole is False else LOOK_AGAIN[1])
            return None
        return Found(
            source=self.name,
            path=shown.path,
            size=shown.size,
            mtime_ns=shown.mtime_ns,
            problem=problem,
            facts=shown.facts,
        )

    def _have_handed(self, found: list[Found]) -> None:
        for one in found:
            self._handed[str(one.path)] = (one.size, one.mtime_ns)
            self._candidates.pop(str(one.path), None)
        self.state.count += len(found)
        self.state.last = time.time()

    # --- the folder itself -----------------------------------------------------------------------------------------

    def _lost(self, message: str) -> None:
        """The folder is not there. What was handed over stays so: nothing is concluded from that."""
        if self.state.message != message:
            log.warning("source %s holds: %s", self.name, message)
        self.state.holds(message)
        self.state.lost = True
        self._candidates.clear()

    def _found_again(self, seen: Seen) -> None:
        if self.state.state != "ok":
            log.info("source %s: %s can be searched, %d files", self.name, self.where, len(seen.files))
        self.state.is_well()

    def _note(self, seen: Seen) -> None:
        for note in seen.notes.keys() - self._notes.keys():
            log.warning("source %s: %s", self.name, note)
        self._notes = seen.notes

    async def _listen_anew(self) -> None:
        await self.close()
        try:
            self._events = FolderEvents()
        except OSError as error:
            self._be_deaf(error)
            return
        asyncio.get_running_loop().add_reader(self._events.descriptor, self._hear)
        self._deaf = ""

    def _listen_to(self, folder: Path) -> None:
        """Called from the thread that searches."""
        if self._events is None:
            return
        try:
            self._events.add(folder)
        except OSError as error:
            self._be_deaf(error)

    def _be_deaf(self, error: OSError) -> None:
        self._deaf = (
            f"the kernel does not tell of all changes ({error.strerror or error}); new files are found every "
            f"{self._settings.scan:g} s (a larger fs.inotify.max_user_watches may help)"
        )

    def _hear(self) -> None:
        """Events have come."""
        assert self._events is not None
        for change in self._events.read():
            if change.path is None:
                self._search_wanted = True
            elif change.is_folder:
                if not change.path.name.startswith("."):
                    self._new_folders.add(change.path)
            else:
                self._hints.add(change.path)
        self._wake.set()


def _place_of(folder: Path) -> tuple[int, int]:
    facts = folder.stat()
    return facts.st_dev, facts.st_ino
