"""Files that are sent by HTTP."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from ..settings import UploadSource
from .incoming import store
from .source import Found, Hand, Inspect, Known, SourceState
from .stranded import hand_over_stranded

log = logging.getLogger(__name__)

TRY_AGAIN = 5.0
"""Wait until the folder is searched again after an error [s]."""


class UploadRunner:
    """Takes files that are sent.

    Parameters
    ----------
    settings : UploadSource
        What is configured.
    folder : Path
        Where the files go.
    known : callable
        Asks the queue which files have had a job.
    inspect : callable
        Looks at files, in another process.
    """

    kind = "upload"

    def __init__(self, settings: UploadSource, *, folder: Path, known: Known, inspect: Inspect) -> None:
        self.name = settings.name or settings.upload
        self.where = f"/api/upload/{settings.upload}"
        self.state = SourceState()
        self._settings = settings
        self._folder = folder
        self._known = known
        self._inspect = inspect

    async def run(self, hand: Hand) -> None:
        """Hand over what came in before the daemon was last ended, if it has no job. The rest is :meth:`take`'s."""
        while True:
            try:
                self.state.count += await hand_over_stranded(
                    self._folder, self.name, known=self._known, inspect=self._inspect, hand=hand
                )
                break
            except Exception as error:
                log.exception("source %s: trying again in %g s", self.name, TRY_AGAIN)
                self.state.holds(f"{type(error).__name__}: {error}")
                await asyncio.sleep(TRY_AGAIN)
        self.state.is_well()
        await asyncio.Event().wait()

    async def take(
        self,
        stream: AsyncIterator[bytes],
        filename: str,
        *,
        length: int | None = None,
        who: str = "",
        found: Callable[[list[Found]], Awaitable[list[int]]],
    ) -> int:
        """Take a file; its job is in the queue when this returns.

        Parameters
        ----------
        stream : asynchronous iterator of bytes
            The file.
        filename : str
            What it is called.
        length : int
            Its size, if it was announced [byte].
        who : str
            Who sends it.
        found : callable
            Makes jobs, and returns their numbers.

        Returns
        -------
        int
            Number of the job. Of a file that was sent before, name and content alike, it is that of the first time.

        Raises
        ------
        Refused
            The file is too large, cut off, too slow, misnamed, or no image.
        OSError
            It cannot be written.
        """
        path = await store(
            stream,
            filename,
            self._folder,
            limit=self._settings.limit,
            length=length,
            total=self._settings.timeout,
            check=self._refusal,
        )
        (looked,) = await self._inspect([path])
        (job,) = await found(
            [
                Found(
                    source=self.name,
                    path=path,
                    size=looked.size,
                    mtime_ns=looked.mtime_ns,
                    origin=f"uploaded by {who}" if who else "uploaded",
                    facts=looked.facts,
                )
            ]
        )
        self.state.count += 1
        self.state.last = time.time()
        return job

    async def close(self) -> None:
        """There is nothing to give back."""

    async def _refusal(self, path: Path) -> str:
        (looked,) = await self._inspect([path])
        return looked.why if looked.hostile or looked.whole is False else ""
