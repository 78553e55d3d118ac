"""A worker process: takes one image at a time through a whole chain, or calls a function that it is asked to.

It speaks JSON lines: what to do comes in on its standard input, what became of it goes out on its standard
output. Steps that print do not disturb this; their standard output is the parent's standard error. When the
input ends, because the parent closed it or died, the worker ends too, whatever it is doing.

=============================================  ==============================================================
in                                             out
=============================================  ==============================================================
``{"setup": {...}}``                           ``{"ready": pid}``, or ``{"unfit": "why"}``
``{"job": {"index": 3, "path": …}}``           ``{"step": "read"}`` before each step, then ``{"outcome": …}``
``{"warm": {"chain": …}}``                     ``{"warm": seconds}``
``{"call": {"function": …, "arguments": …}}``  ``{"result": …}``, or ``{"error": …}``
``{"finish": true}``                           ``{"outcomes": [...]}``
=============================================  ==============================================================

A worker without a chain of its own (``"pipeline": null`` in its setup) gets one with each job, as text the first
time and by its fingerprint afterwards, and marks in its standard error what belongs to which job.
"""

import asyncio
import ctypes
import faulthandler
import gc
import importlib
import json
import logging
import os
import queue
import resource
import runpy
import signal
import sys
import threading
import traceback
import types
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from .streams import Streams

if TYPE_CHECKING:
    from ...pipeline import Pipeline
    from ..outcome import Outcome

NATIVE_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
"""Variables that bound native thread pools; they must be set before the libraries are loaded."""

IMPORTING = "ETENDUE_IMPORTS_SCRIPT"
"""Set in the environment while a worker imports the script that was started: it must not start a run by that."""

MAIN = "__mp_main__"
"""Name under which a script is imported in a worker; the one that multiprocessing uses, so its guard works."""

Message = dict[str, Any]


def main() -> None:
    """Serve until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    _die_with_parent()
    _die_first()
    streams = Streams()
    faulthandler.enable(streams.words)
    warnings.filterwarnings("ignore", module=r"astropy\.")  # odd headers are the rule; as in the command's process

    messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(streams.incoming, messages), daemon=True).start()
    try:
        setup = messages.get()["setup"]
        serve = _Server(setup, streams)
    except Exception as error:  # noqa: BLE001 - the parent tells the person, whatever it is
        streams.send({"unfit": f"{type(error).__name__}: {error}"})
        return
    gc.freeze()
    gc.enable()
    streams.send({"ready": os.getpid()})
    with serve.runner:
        while True:
            serve.handle(messages.get())


class _Server:
    """The chains, their memory, and an event loop of its own on which nobody else waits."""

    def __init__(self, setup: Mapping[str, Any], streams: Streams) -> None:
        from threadpoolctl import threadpool_limits

        if setup["main"]:
            _import_main(setup["main"])
        from ....processors import State, compute_inline
        from ..one_image import Setting
        from ..shipping import unpack

        self._streams = streams
        self._home = os.open(".", os.O_RDONLY | getattr(os, "O_PATH", 0))  # paths in chains are relative to it
        self._warm = False
        self._modules = len(sys.modules)
        self._many = setup["pipeline"] is None
        self._pipeline = None if self._many else unpack(setup["pipeline"])
        self._setting = Setting.from_json(setup["setting"]) if setup["setting"] else None
        self._state = State()
        self._chains: dict[str, Pipeline] = {}
        self._functions: Mapping[str, str] = setup["functions"]
        self._asked = 0
        if self._many:
            _log_to_standard_error()
        threadpool_limits(1)
        self._inline = compute_inline()
        self._inline.__enter__()
        self.runner = asyncio.Runner()
        if setup["memory"]:
            _limit_memory(setup["memory"])

    def handle(self, message: Message) -> None:
        from ....processors.computing import threads_left_behind
        from ..memory import children_left_behind, give_back, resident

        self._asked += 1
        self._streams.begin(self._asked if self._many else None)
        unclean = 0
        try:
            reply = self._reply(message)
        except BaseException as error:  # noqa: BLE001 - KeyboardInterrupt, too, is only what a step has raised
            reply, unclean = _failure(message, error), 1
        os.fchdir(self._home)  # a step may have gone elsewhere
        unclean += self._streams.restore() + threads_left_behind() + children_left_behind()
        if self._has_loaded("call" in message):
            gc.collect()
            gc.freeze()  # libraries and compiled code stay: a collection after each image passes them over (85 ms each)
        give_back()
        state = {"resident": resident(), "left_behind": unclean, "chains": list(self._chains)}
        self._streams.send({**reply, **self._streams.end(), **state})

    def _has_loaded(self, is_call: bool) -> bool:
        """Whether libraries were loaded that stay: by the first image, or by a function called for the first time."""
        known, self._modules = self._modules, len(sys.modules)
        if is_call:
            return self._modules > known
        warm, self._warm = self._warm, True
        return not warm

    def _reply(self, message: Message) -> Message:
        if "job" in message:
            return {"outcome": self._take_through(message["job"]).to_json()}
        if "call" in message:
            return self._call(**message["call"])
        if "warm" in message:
            from .warming import warm_up

            return {"warm": warm_up(self._chain(message["warm"]["chain"]), self.runner)}
        from ..one_image import take_the_rest

        assert self._pipeline is not None
        assert self._setting is not None
        work = take_the_rest(self._pipeline, self._setting, self._state, on_step=self._tell_step)
        return {"outcomes": [outcome.to_json() for outcome in self.runner.run(work)]}

    def _take_through(self, job: Mapping[str, Any]) -> "Outcome":
        from ..one_image import Job, Setting, take_through
        from ..outcome import Outcome

        given = job["path"]
        path = Path(given if given is not None else job["label"])
        pipeline, setting = self._pipeline, self._setting
        try:
            pipeline = pipeline or self._chain(job["chain"])
        except Exception as error:  # noqa: BLE001 - a plugin that is not there, or anything that it does on import
            why = f"the chain cannot be rebuilt in a worker process: {type(error).__name__}: {error}"
            return Outcome(path, "failed", error=why, traceback=traceback.format_exc(), cause="other")
        setting = setting or Setting.from_json(job["setting"])
        identity = tuple(job["identity"]) if job.get("identity") else None
        image = None
        if given is None:
            from ....images import Image

            image = Image(name=job["label"])
        work = take_through(
            pipeline, Job(job["index"], path, image, identity), setting, self._state, on_step=self._tell_step
        )
        return self.runner.run(work)

    def _chain(self, chain: Mapping[str, Any]) -> "Pipeline":
        """A chain that was sent, now or earlier."""
        from ..shipping import unpack

        fingerprint = chain["fingerprint"]
        if fingerprint not in self._chains:
            if chain.get("main"):
                _import_main(chain["main"])
            self._chains[fingerprint] = unpack(chain["text"])
        return self._chains[fingerprint]

    def _call(self, function: str, arguments: Mapping[str, Any]) -> Message:
        from ....processors import RunContext, run_context

        with run_context(RunContext(on_step=self._tell_step)):
            result = find_function(function, self._functions)(**arguments)
        attached: list[tuple[str, bytes]] = []
        if isinstance(result, dict):
            attached = [(name, bytes(value)) for name, value in result.items() if isinstance(value, bytes | bytearray)]
            result = {name: value for name, value in result.items() if not isinstance(value, bytes | bytearray)}
        self._streams.attach(attached)
        return {"result": result}

    def _tell_step(self, name: str) -> None:
        self._streams.send({"step": name})


def find_function(name: str, functions: Mapping[str, str]) -> Callable[..., Any]:
    """A function that may be called by its name.

    Raises
    ------
    LookupError
        There is none of this name.
    """
    if name not in functions:
        raise LookupError(f"a worker has no function '{name}'; it has {', '.join(functions) or 'none'}")
    module, _, attribute = functions[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def _failure(message: Message, error: BaseException) -> Message:
    """What is answered if something was raised that is no part of a job's own outcome."""
    from ...step import explain
    from ..causes import cause_of
    from ..outcome import Outcome

    text = "".join(traceback.format_exception(error))
    if "job" in message:
        path = Path(message["job"]["path"] or message["job"]["label"])
        outcome = Outcome(path, "failed", error=explain(error), traceback=text, cause=cause_of(error))
        return {"outcome": outcome.to_json()}
    told = {"kind": type(error).__name__, "message": explain(error), "traceback": text, "cause": cause_of(error)}
    return {"error": told}


def _listen(incoming: BinaryIO, messages: "queue.SimpleQueue[Message]") -> None:
    for line in incoming:
        messages.put(json.loads(line))
    os._exit(0)  # the parent has gone or wants nothing more; products are renamed into place, so none is half-written


def _die_with_parent() -> None:
    """On Linux the kernel ends the worker together with its parent, even while a library holds the interpreter."""
    if sys.platform.startswith("linux"):
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def _die_first() -> None:
    """When the machine runs out of memory, the kernel ends a worker and not the daemon."""
    try:
        Path("/proc/self/oom_score_adj").write_text("500")
    except OSError:
        return  # no Linux, or a container that does not let us: the kernel then decides by size alone


def _limit_memory(limit: int) -> None:
    """Let allocations fail beyond a limit [byte], so that a step gets a MemoryError and nobody else suffers.

    What libraries have reserved by now but not used does not count.
    """
    from ..memory import private

    used = private(os.getpid())
    _, hardest = resource.getrlimit(resource.RLIMIT_DATA)
    limit += max(0, used.reserved - used.private)
    resource.setrlimit(resource.RLIMIT_DATA, (limit if hardest < 0 else min(limit, hardest), hardest))


def _log_to_standard_error() -> None:
    """What steps log goes where they print, and with it into the record of their job."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr, force=True)
    logging.captureWarnings(True)


def _import_main(path: str) -> None:
    """Import the script that was started, for the processors that it defines; what it guards is not run."""
    module = types.ModuleType(MAIN)
    os.environ[IMPORTING] = "1"
    module.__dict__.update(runpy.run_path(path, run_name=MAIN))
    del os.environ[IMPORTING]
    sys.modules[MAIN] = sys.modules["__main__"] = module
    for thing in vars(module).values():
        if getattr(thing, "__module__", None) == MAIN and isinstance(thing, type | types.FunctionType):
            thing.__module__ = "__main__"  # provenance says the same as in the parent
