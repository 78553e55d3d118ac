"""A worker process: takes one image at a time through the whole chain.

It speaks JSON lines: what to do comes in on its standard input, what became of it goes out on its standard
output. Steps that print do not disturb this; their standard output is the parent's standard error. When the
input ends, because the parent closed it or died, the worker ends too, whatever it is doing.

====================================  ===================================================================
in                                    out
====================================  ===================================================================
``{"setup": {...}}``                  ``{"ready": pid}``, or ``{"unfit": "why"}``
``{"job": {"index": 3, "path": …}}``  ``{"step": "read"}`` before each step, then ``{"outcome": …}``
``{"finish": true}``                  ``{"outcomes": [...]}``
====================================  ===================================================================
"""

import asyncio
import ctypes
import faulthandler
import gc
import json
import os
import queue
import runpy
import signal
import sys
import threading
import types
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

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
    incoming, outgoing = _private_streams()
    faulthandler.enable()
    warnings.filterwarnings("ignore", module=r"astropy\.")  # odd headers are the rule; as in the command's process

    def send(message: Message) -> None:
        outgoing.write(json.dumps(message).encode() + b"\n")
        outgoing.flush()

    messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(incoming, messages), daemon=True).start()
    try:
        setup = messages.get()["setup"]
        serve = _Server(setup, send)
    except Exception as error:  # noqa: BLE001 - the parent tells the person, whatever it is
        send({"unfit": f"{type(error).__name__}: {error}"})
        return
    send({"ready": os.getpid()})
    with serve.runner:
        while True:
            serve.handle(messages.get())


class _Server:
    """The chain, its memory, and an event loop of its own on which nobody else waits."""

    def __init__(self, setup: Mapping[str, Any], send: Callable[[Message], None]) -> None:
        from threadpoolctl import threadpool_limits

        if setup["main"]:
            _import_main(setup["main"])
        from ...processors import State, compute_inline
        from .one_image import Setting
        from .shipping import unpack

        self._send = send
        self._warm = False
        self._pipeline = unpack(setup["pipeline"])
        self._setting = Setting.from_json(setup["setting"])
        self._state = State()
        threadpool_limits(1)
        self._inline = compute_inline()
        self._inline.__enter__()
        self.runner = asyncio.Runner()

    def handle(self, message: Message) -> None:
        from ...processors.computing import threads_left_behind
        from .memory import give_back, resident
        from .one_image import Job, take_the_rest, take_through

        arguments = (self._setting, self._state)
        if "job" in message:
            job = Job(message["job"]["index"], Path(message["job"]["path"]))
            work = take_through(self._pipeline, job, *arguments, on_step=self._tell_step)
            reply = {"outcome": self.runner.run(work).to_json()}
        else:
            rest = self.runner.run(take_the_rest(self._pipeline, *arguments, on_step=self._tell_step))
            reply = {"outcomes": [outcome.to_json() for outcome in rest]}
        if not self._warm:
            self._warm = True
            gc.collect()
            gc.freeze()  # libraries and compiled code stay: a collection after each image passes them over (85 ms each)
        give_back()
        self._send({**reply, "resident": resident(), "left_behind": threads_left_behind()})

    def _tell_step(self, name: str) -> None:
        self._send({"step": name})


def _private_streams() -> tuple[BinaryIO, BinaryIO]:
    """The parent's pipes under numbers of their own, so that nothing a step prints or reads can disturb them."""
    incoming, outgoing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return incoming, outgoing


def _listen(incoming: BinaryIO, messages: "queue.SimpleQueue[Message]") -> None:
    for line in incoming:
        messages.put(json.loads(line))
    os._exit(0)  # the parent has gone or wants nothing more; products are renamed into place, so none is half-written


def _die_with_parent() -> None:
    """On Linux the kernel ends the worker together with its parent, even while a library holds the interpreter."""
    if sys.platform.startswith("linux"):
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


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
