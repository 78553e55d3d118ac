"""A worker process, as its parent sees it: it is started, asked, and ended with all that it has started itself."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any, Self

import psutil

from ...errors import ConfigError
from ..one_image import Setting
from ..shipping import Chain
from .transcript import Transcript
from .worker import NATIVE_THREADS

BOOTSTRAP = (
    "import gc, json, sys; gc.disable(); sys.path[:] = json.loads(sys.argv[1]); "
    "from etendue.pipeline.running.processes.worker import main; main()"
)
"""What a worker is started with: it finds modules where its parent finds them.

Garbage is collected once it is ready: while it imports there is none, and looking for it takes a sixth of the time.
"""

LONGEST_MESSAGE = 64 * 1024 * 1024
START_LIMIT = 120.0
"""How long a worker may take to start [s]."""

GOODBYE_LIMIT = 5.0
"""How long a worker may take to end when nothing more comes in [s]."""

LAST_WORDS_LIMIT = 1.0
"""How long what a process has left in its pipes is waited for [s]; somebody whom it has started may hold them open."""

REMEMBERED_OUTPUT = 8_000
"""Characters of a worker's last words that are kept for the report of its death."""


class WorkerDiedError(Exception):
    """A worker process ended before its image did."""


class WorkerProcess:
    """One process. :meth:`start` makes it; it answers one question at a time.

    Attributes
    ----------
    images : int
        How many images it has taken.
    step : str
        The step that it entered last.
    resident : int
        Its memory after the last question [byte].
    left_behind : int
        How many computations and processes it could not end: it should be replaced.
    known : set of str
        Fingerprints of the chains that it has.
    ended_because : str
        Why its parent has ended it.
    """

    def __init__(self, process: subprocess.Popen[bytes], *, echo: bool) -> None:
        self.images = 0
        self.step = ""
        self.resident = 0
        self.left_behind = 0
        self.known: set[str] = set()
        self.ended_because = ""
        self._process = process
        self._echo = echo
        self._transcript = Transcript()
        self._gone = asyncio.Event()
        self._marked = asyncio.Event()
        self._answers = asyncio.StreamReader(limit=LONGEST_MESSAGE)
        self._words = asyncio.StreamReader()
        self._pipes: list[asyncio.BaseTransport] = []
        self._listener: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls,
        chain: Chain | None = None,
        setting: Setting | None = None,
        *,
        memory: int | None = None,
        functions: Mapping[str, str] | None = None,
        echo: bool = True,
    ) -> Self:
        """A worker that is ready.

        Parameters
        ----------
        chain : Chain
            The chain for all its images. None: each job brings its own, together with its setting.
        setting : Setting
            What all its images share.
        memory : int
            Most memory that it may take [byte].
        functions : mapping of str to str
            What else it can be asked to call: names, and ``module:function``.
        echo : bool
            Whether what it prints is passed on to our standard error.

        Raises
        ------
        ConfigError
            It cannot rebuild the chain.
        WorkerDiedError
            It ended at once.
        OSError
            The system allows no further process.
        """
        environment = os.environ | dict.fromkeys(NATIVE_THREADS, "1") | {"MALLOC_ARENA_MAX": "2"}
        process = subprocess.Popen(  # noqa: ASYNC220 - which is what asyncio does, too; it takes about 3 ms
            [sys.executable, "-c", BOOTSTRAP, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            bufsize=0,
            start_new_session=True,
        )
        worker = cls(process, echo=echo)
        setup = {
            "pipeline": None if chain is None else chain.text,
            "main": None if chain is None else chain.main,
            "setting": None if setting is None else setting.to_json(),
            "memory": memory,
            "functions": dict(functions or {}),
        }
        try:
            await worker._connect()
            try:
                async with asyncio.timeout(START_LIMIT):
                    answer = await worker.ask({"setup": setup})
            except TimeoutError:
                raise WorkerDiedError(f"it was not ready within {START_LIMIT:g} s") from None
            if "unfit" in answer:
                raise ConfigError(f"a worker process cannot rebuild the chain: {answer['unfit']}; run it with 1 worker")
        except BaseException:
            await worker.end(kill=True)
            raise
        return worker

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return not self._gone.is_set()

    @property
    def log(self) -> str:
        """What was printed and logged in the last job, if the worker marks jobs; else since its start."""
        return self._transcript.text

    @property
    def last_words(self) -> str:
        """The end of what it printed: for a crash, where in the code it was."""
        return self._transcript.end(REMEMBERED_OUTPUT)

    async def ask(self, message: dict[str, Any], *, on_step: Callable[[str], None] | None = None) -> dict[str, Any]:
        """Send a message and wait for the answer.

        Parameters
        ----------
        message : dict
            See :mod:`~etendue.pipeline.running.processes.worker`.
        on_step : callable
            Told the steps that the worker enters.

        Raises
        ------
        WorkerDiedError
            The worker ended instead; the message says of what.
        """
        try:
            self._send(json.dumps(message).encode() + b"\n")
            while line := await self._answers.readline():
                answer = json.loads(line)
                if "step" not in answer:
                    return await self._complete(answer)
                self.step = answer["step"]
                if on_step is not None:
                    on_step(self.step)
        except (ValueError, KeyError, TypeError, asyncio.IncompleteReadError):
            self.kill()  # it wrote nonsense, or died while it wrote
        self.kill()  # without its pipe it cannot be asked any more, should it still live
        await self._gone.wait()
        await self._hear_the_end()
        raise WorkerDiedError(self.ended_because or _cause(self._process.returncode, self.last_words))

    def kill(self, because: str = "") -> None:
        """End the process and its group at once."""
        if self.alive:
            self.ended_because = self.ended_because or because
            _kill_group(self.pid)

    async def end(self, *, kill: bool = False) -> None:
        """End the process and everything that it started; with `kill` at once, else when it has read all messages.

        It has ended when this returns, or raises: whoever is cancelled meanwhile waits for that all the same.
        """
        ending = asyncio.ensure_future(self._end(kill))
        cancelled: asyncio.CancelledError | None = None
        while not ending.done():
            try:
                await asyncio.shield(ending)
            except asyncio.CancelledError as error:
                cancelled = error
                self.kill()
        if cancelled is not None:
            raise cancelled

    async def _end(self, kill: bool) -> None:
        if not kill:
            self._pipes[0].close()  # its standard input
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._gone.wait(), GOODBYE_LIMIT)
        self.kill()
        await self._gone.wait()
        await self._hear_the_end()

    # --- pipes ----------------------------------------------------------------------------------------------------

    async def _connect(self) -> None:
        """Read and write the pipes from the event loop, and learn when the process ends."""
        loop = asyncio.get_running_loop()
        process = self._process
        try:
            handle = os.pidfd_open(process.pid)
        except OSError:
            self._ended()
            raise
        loop.add_reader(handle, self._on_exit, handle)
        self._pipes.append((await loop.connect_write_pipe(asyncio.BaseProtocol, process.stdin))[0])
        for pipe, reader in ((process.stdout, self._answers), (process.stderr, self._words)):
            protocol = asyncio.StreamReaderProtocol(reader)
            self._pipes.append((await loop.connect_read_pipe(lambda protocol=protocol: protocol, pipe))[0])
        self._listener = asyncio.create_task(self._listen())

    def _send(self, data: bytes) -> None:
        pipe = self._pipes[0]
        assert isinstance(pipe, asyncio.WriteTransport)
        pipe.write(data)  # a broken pipe shows as the end of the answers

    async def _complete(self, answer: dict[str, Any]) -> dict[str, Any]:
        """An answer, with what follows its line: bytes, and the rest of what the job has printed."""
        for name, length in answer.pop("attached", ()):
            answer["result"][name] = await self._answers.readexactly(length)
        self.resident = answer.get("resident", 0)
        self.left_behind = answer.get("left_behind", 0)
        self.known = set(answer.get("chains", ()))
        number = answer.get("marked", -1)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_LIMIT):
                while self._transcript.finished < number and self.alive:
                    self._marked.clear()
                    await self._marked.wait()
        return answer

    async def _listen(self) -> None:
        """Take up what steps print, and pass it on."""
        while data := await self._words.read(65536):
            self._transcript.add(data)
            self._marked.set()
            if self._echo:
                sys.stderr.write(data.decode(errors="replace"))

    def _on_exit(self, handle: int) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(handle)
        os.close(handle)
        self._ended()
        loop.call_later(LAST_WORDS_LIMIT, self._close)

    def _ended(self) -> None:
        """The process has ended: end those whom it has left behind, before its number can be another one's."""
        _kill_group(self.pid)
        _kill_session(self.pid)
        self._process.wait()
        self._gone.set()

    async def _hear_the_end(self) -> None:
        """Read what an ended process has left in its pipes, and close them."""
        if self._listener is not None:
            await asyncio.wait([self._listener], timeout=LAST_WORDS_LIMIT)
            self._listener.cancel()
        self._close()

    def _close(self) -> None:
        for pipe in self._pipes:
            pipe.close()


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _kill_session(session: int) -> None:
    """End the processes that a worker has started and that left its group."""
    for process in psutil.pids():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getsid(process) == session:
                os.kill(process, signal.SIGKILL)


def _cause(code: int, words: str) -> str:
    """What a process died of, from its return code and, if it ended by itself, its last words."""
    if code >= 0:
        last = words.strip().rpartition("\n")[2]
        return f"exit status {code}: {last}" if last else f"exit status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = "unknown"
    hint = ", perhaps out of memory" if -code == signal.SIGKILL else ""
    return f"signal {-code}, {name}{hint}"
