"""Questions to the library of masters, asked in the clerk; answers are kept for a few seconds."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from ..queue import Job
from ..settings import NightsSettings
from .frames import Placed

LOOK_EVERY = 5.0
"""What the library has for frames that wait is looked up so often [s]: a person may have put a master there."""

Call = Callable[..., Awaitable[Any]]
"""``await call(function, arguments)``: runs a function in the clerk."""

AtHand = Mapping[str, Any]
"""What the library has for a frame, see :func:`etendue.pipeline.daemon.nights.library.masters_at_hand`."""


class Chain(Protocol):
    """What the nights must know of a chain."""

    @property
    def pipeline(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def keywords(self) -> Mapping[str, Any]: ...
    @property
    def read(self) -> Mapping[str, Any]: ...


class Library:
    """The library of masters, as the daemon sees it.

    Parameters
    ----------
    settings : NightsSettings
        Where it is.
    chains : mapping
        The chains by name, as they are at the moment.
    call : callable
        ``await call(function, arguments)`` runs a function in the clerk.
    monotonic : callable
        A clock that nobody sets [s].

    Attributes
    ----------
    waited : float
        How long answers of the clerk have been waited for, all in all [s].
    """

    def __init__(
        self,
        settings: NightsSettings,
        chains: Mapping[str, Chain],
        call: Call,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.chains = chains
        self.waited = 0.0
        self._asked = call
        self._monotonic = monotonic
        self._needs: dict[str, Mapping[str, Any]] = {}
        self._answers: dict[Any, tuple[float, AtHand]] = {}

    @property
    def folder(self) -> str:
        """Where the masters are."""
        return str(self.settings.library)

    def has_changed(self) -> None:
        """Forget what was there."""
        self._answers.clear()

    async def kinds_for(self, name: str) -> Sequence[str]:
        """The kinds of masters that a chain looks for in the library."""
        return (await self._needs_of(name))["kinds"] if name in self.chains else ()

    async def tells_preparation(self, name: str) -> bool:
        """Whether a chain has a step Calibration, which tells how raw calibration frames are prepared."""
        return (await self._needs_of(name))["calibrates"]

    def known(self, name: str, placed: Placed) -> AtHand | None:
        """What the library has for frames of a chain that belong together, if it was asked a moment ago."""
        when, answer = self._answers.get(self._class_of(name, placed), (0.0, {}))
        return answer if answer and self._monotonic() - when <= LOOK_EVERY else None

    async def at_hand(self, name: str, placed: Placed, job: Job) -> AtHand:
        """What it has for frames of a chain that belong together, of which `job` is one."""
        if (answer := self.known(name, placed)) is None:
            (answer,) = await self.masters_for(name, [job])
            self._answers[self._class_of(name, placed)] = self._monotonic(), answer
        return answer

    async def masters_for(self, name: str, jobs: Sequence[Job]) -> list[AtHand]:
        """What it has for frames of a chain."""
        arguments = {
            "pipeline": self.chains[name].pipeline,
            "library": self.folder,
            "noon": self.settings.noon,
            "frames": [[str(job.path), job.night] for job in jobs],
        }
        return await self._call("masters_at_hand", arguments)

    async def statuses(self, names: Sequence[str]) -> dict[str, str]:
        """Status of some masters, see :func:`etendue.pipeline.daemon.nights.library.statuses`."""
        return await self._call("statuses", {"library": self.folder, "names": list(names)})

    async def inspect(self, job: Job) -> Mapping[str, Any]:
        """Look once more at the file of a job."""
        rules = [rule.model_dump(mode="json") for rule in self.settings.frame_types]
        arguments: dict[str, Any] = {"paths": [str(job.path)], "frame_types": rules, "noon": self.settings.noon}
        if (chain := self.chains.get(job.chain)) is not None:
            arguments |= {"keywords": dict(chain.keywords), "read": dict(chain.read)}
        (seen,) = await self._call("inspect", arguments)
        return seen

    async def _call(self, function: str, arguments: Mapping[str, Any]) -> Any:
        began = self._monotonic()
        try:
            return await self._asked(function, arguments)
        finally:
            self.waited += self._monotonic() - began

    def _class_of(self, name: str, placed: Placed) -> Any:
        return name, self.chains[name].fingerprint, placed

    async def _needs_of(self, name: str) -> Mapping[str, Any]:
        chain = self.chains[name]
        if chain.fingerprint not in self._needs:
            arguments = {"pipeline": chain.pipeline, "library": self.folder}
            self._needs[chain.fingerprint] = await self._call("chain_needs", arguments)
        return self._needs[chain.fingerprint]
