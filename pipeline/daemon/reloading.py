"""The configuration in use: its chains are loaded at the start, and taken over anew when they have changed."""

import asyncio
import logging
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..running.shipping import Chain
from .chains import LoadedChain, know_modules_beside
from .configuration import load_observatory
from .ledger import Ledger
from .service import Service
from .settings import ChainSettings, Observatory
from .work.calls import CallError
from .work.fleet import Clerk, Fleet

log = logging.getLogger(__name__)

TAKEN_OVER = ("chains",)
"""Parts of the configuration that are taken over while the daemon runs."""


class Reloading:
    """A daemon, as far as it reads its configuration.

    Parameters
    ----------
    settings : Observatory
        The configuration.
    path : Path
        Its file.
    """

    service: Service
    ledger: Ledger
    fleet: Fleet
    inspector: Clerk

    def __init__(self, settings: Observatory, path: Path) -> None:
        self.settings = settings
        self.path = path.absolute()
        self._files: list[tuple[str, int]] = []
        self._reading = asyncio.Lock()

    async def reload(self) -> list[str]:
        """Read the configuration again; take over what is right of it.

        Returns
        -------
        list of str
            Why something was not taken over.
        """
        async with self._reading:  # the page, the command line and a signal may ask at the same time
            return await self._read_anew()

    async def _read_anew(self) -> list[str]:
        service = self.service
        try:
            new = await asyncio.to_thread(load_observatory, self.path)
        except ConfigError as error:
            service.problems = str(error).splitlines()
            self._complain()
            return self._all_problems()
        service.problems = _not_taken_over(self.settings, new)
        know_modules_beside(new.chains.values())
        await service.page_clerk.renew()  # the code of processors may have changed, and is imported once by a process
        chains, service.chain_problems = await self._load_chains(new)
        await self._note_chains(chains)
        used = {name for source in self.settings.sources for name in _chains_of(source)}
        for name in used - set(new.chains):
            service.chain_problems[name] = [
                f"chain '{name}' is used by a source, and is not in {self.path.name} any more"
            ]
        for name in list(service.chains):
            if name not in chains and name not in service.chain_problems:
                del service.chains[name]
        changed = [
            name
            for name, chain in chains.items()
            if name not in service.chains or service.chains[name].fingerprint != chain.fingerprint
        ]
        service.chains.update(chains)
        self.fleet.expect([Chain(chain.pipeline, fingerprint=chain.fingerprint) for chain in service.chains.values()])
        if not service.chain_problems:  # a chain that stays as it was needs workers that have its code as it was
            self.fleet.renew()
            await self.inspector.renew()
        self.settings = self.settings.model_copy(update={"chains": new.chains})
        log.info("configuration read; new or changed: %s", ", ".join(changed) or "nothing")
        self._complain()
        service.tell({"changed": True})
        service.foreman.wake()
        return self._all_problems()

    async def _load_chains(self, settings: Observatory) -> tuple[dict[str, LoadedChain], dict[str, list[str]]]:
        loaded: dict[str, LoadedChain] = {}
        problems: dict[str, list[str]] = {}
        for name, one in settings.chains.items():
            found: dict[str, Any]
            try:
                found = await self.service.page_clerk.call("load_chain", _arguments(name, one, settings), timeout=120)
            except CallError as error:  # a plugin that ends its process, or loads for ever
                found = {"problems": [f"{one.file}: the chain cannot be loaded: {error}"]}
            if "problems" in found:
                problems[name] = found["problems"]
            else:
                loaded[name] = LoadedChain.from_json(found["chain"], one)
        return loaded, problems

    async def _note_chains(self, chains: dict[str, LoadedChain]) -> None:
        for chain in chains.values():
            await self.ledger.write(self.ledger.queue.note_chain, chain.fingerprint, chain.name, chain.pipeline)

    def _files_changed(self) -> bool:
        """Whether a file of the configuration is another one than the one that was read last."""
        state = [(str(self.path), _when(self.path))]
        for chain in self.service.chains.values():
            state += [(path, _when(Path(path))) for path in chain.files]
        before, self._files = self._files, state
        return bool(before) and before != state

    def _all_problems(self) -> list[str]:
        return [*self.service.problems, *(line for lines in self.service.chain_problems.values() for line in lines)]

    def _complain(self) -> None:
        for line in self._all_problems():
            log.error("not taken over, what was valid before goes on: %s", line)


def _arguments(name: str, chain: ChainSettings, settings: Observatory) -> dict[str, Any]:
    library = None if settings.nights is None else str(settings.nights.library)
    return {
        "name": name,
        "file": chain.file,
        "variables": dict(chain.variables),
        "overrides": list(chain.set),
        "library": library,
    }


def _not_taken_over(old: Observatory, new: Observatory) -> list[str]:
    """What has changed in the configuration besides its chains."""
    changed = [
        name for name in type(old).model_fields if name not in TAKEN_OVER and getattr(old, name) != getattr(new, name)
    ]
    return [f"'{name}' has changed: restart the daemon to take it over (no work is lost by that)" for name in changed]


def _chains_of(source: Any) -> list[str]:
    return [name for name in (source.chain, *(choice.chain for choice in source.choose)) if name is not None]


def _when(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
