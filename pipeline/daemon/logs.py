"""What the daemon logs: JSON lines for machines, coloured lines for a person at a terminal.

Every line knows which daemon, job, image, chain and step it is about:

>>> with log_facts(job=12, image="m31.fits", chain="photometry"):
...     logger.info("started")

Lines are written by a thread of their own, so that a slow disk or a stopped terminal never holds up the daemon.
"""

import contextlib
import copy
import errno
import json
import logging
import os
import queue
import sys
import threading
import traceback
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from logging.handlers import QueueHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from .settings import LogSettings

FACTS = ("daemon", "job", "image", "chain", "step")
"""What a line is about; keys of every JSON line, in this order."""

LOGS = __name__

OURS = "etendue"
"""Logger of everything of ours; libraries are heard from warnings on, whatever the level."""

LONGEST_BACKLOG = 10_000
"""Lines that wait to be written; beyond, lines are lost, and it is said how many."""

COLOURS = {"debug": "2", "warning": "33", "error": "31", "critical": "1;31"}

_about: ContextVar[dict[str, Any]] = ContextVar("etendue_log_facts", default={})  # noqa: B039 - it is never changed


@contextlib.contextmanager
def log_facts(**facts: Any) -> Iterator[None]:
    """Say what the lines within are about: ``job``, ``image``, ``chain``, ``step``.

    Tasks that are started within inherit it, and so does :func:`asyncio.to_thread`.

    Raises
    ------
    TypeError
        There is no such fact.
    """
    if unknown := facts.keys() - set(FACTS):
        raise TypeError(f"a log line is about {', '.join(FACTS)}, not about {', '.join(sorted(unknown))}")
    before = _about.set({**_about.get(), **facts})
    try:
        yield
    finally:
        _about.reset(before)


def printable(text: Any) -> str:
    """Text on one line, without anything that a terminal would obey.

    Names and header values come from elsewhere: line ends, escape sequences, marks that turn the direction of writing,
    and bytes that are no text are spelled out.
    """
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape", "surrogatepass").decode()
        for letter in str(text)
    )


# --- how a line looks --------------------------------------------------------------------------------------------


class JsonLines(logging.Formatter):
    """One JSON object a line: time (UTC), level, message, the :data:`FACTS` (null where there is none), logger, and the
    traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _time(record).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        line |= {name: getattr(record, name, None) for name in FACTS}
        line["logger"] = record.name
        if told := _traceback(record):
            line["traceback"] = told
        text = json.dumps(line, ensure_ascii=False, default=str)
        # A log file is looked at on terminals too, and not all that they obey is escaped in JSON.
        return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(letter: str) -> str:
    return letter if letter.isprintable() else json.dumps(letter)[1:-1]


class TextLines(logging.Formatter):
    """``03:12:45 warning job 12 m31.fits (photometry, Calibration): message``; the time is local, as on the wall.

    Parameters
    ----------
    colours : bool
        Whether the level may be coloured.
    """

    def __init__(self, *, colours: bool = False) -> None:
        super().__init__()
        self._colours = colours

    def format(self, record: logging.LogRecord) -> str:
        level = record.levelname.lower()
        time = _time(record).astimezone()
        line = f"{time:%H:%M:%S} {self._painted(f'{level:<7}', level)} {_subject(record)}"
        line += printable(record.getMessage())
        if told := _traceback(record):
            line += "".join(f"\n    {printable(each)}" for each in told.splitlines())
        return line

    def _painted(self, text: str, level: str) -> str:
        return f"\033[{COLOURS[level]}m{text}\033[0m" if self._colours and level in COLOURS else text


def _time(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _subject(record: logging.LogRecord) -> str:
    """``job 12 m31.fits (photometry, Calibration): ``, as far as it is known."""
    _, job, image, chain, step = (getattr(record, name, None) for name in FACTS)
    words = [f"job {job}" if job is not None else "", printable(image or "")]
    where = ", ".join(printable(part) for part in (chain, step) if part)
    words.append(f"({where})" if where else "")
    told = " ".join(filter(None, words))
    return f"{told}: " if told else ""


def _traceback(record: logging.LogRecord) -> str:
    if record.exc_info and record.exc_info[0] is not None:
        return "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
    return record.exc_text or ""


# --- where lines go ----------------------------------------------------------------------------------------------


class _Hand(QueueHandler):
    """Hands lines over to the thread that writes them; it never waits and never fails."""

    def __init__(self, lines: "queue.Queue[logging.LogRecord | None]", daemon: str) -> None:
        super().__init__(lines)
        self.lines = lines
        self.daemon_name = daemon
        self.lost = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        facts = {"daemon": self.daemon_name or None, **_about.get()}
        record = copy.copy(record)
        for name in FACTS:
            if not hasattr(record, name):
                setattr(record, name, facts.get(name))
        record.exc_text = _traceback(record)
        record.msg, record.args, record.exc_info = record.getMessage(), None, None
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.lines.put_nowait(record)
        except queue.Full:
            self.lost += 1


class _Stream(logging.StreamHandler[TextIO]):
    """A stream that may break (a closed terminal): then lines are lost, and nothing else happens."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record) + "\n"
            encoding = getattr(self.stream, "encoding", None) or "utf-8"
            self.stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
            self.flush()
        except (OSError, ValueError):  # ValueError: the stream is closed
            return


class _File(logging.Handler):
    """A file that another program may rotate. On a full disk lines are lost, and afterwards it is said how many.

    A line is in the file whole, or not at all.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path, self._file, self._lost = path, self._open(path), 0

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if self._lost:
                self._append(self.format(_missing(self._lost, f"{self._path} could not be written")))
                self._lost = 0
            self._append(self.format(record))
        except OSError as error:
            self._lost += 1
            if self._lost == 1:
                print(f"{self._path}: no log lines can be written: {error.strerror or error}", file=sys.stderr)

    def _append(self, line: str) -> None:
        if not self._is_in_place():
            os.close(self._file)
            self._file = self._open(self._path)
        text = line.encode("utf-8", "backslashreplace") + b"\n"
        before = os.fstat(self._file).st_size
        written = os.write(self._file, text)
        if written == len(text):
            return
        if os.fstat(self._file).st_size == before + written:  # nobody else has written to it meanwhile
            os.ftruncate(self._file, before)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _is_in_place(self) -> bool:
        """Whether the open file is still the one of that name."""
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(self._file))  # noqa: PTH116 - samestat takes no Path
        except FileNotFoundError:
            return False

    @staticmethod
    def _open(path: Path) -> int:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        super().close()


def _missing(count: int, why: str) -> logging.LogRecord:
    text = "%s: %d log line(s) are missing"
    return logging.LogRecord(LOGS, logging.WARNING, __file__, 0, text, (why, count), None)


class _Writer:
    """The thread that writes."""

    def __init__(self, hand: _Hand, handlers: list[logging.Handler]) -> None:
        self._hand, self._handlers = hand, handlers
        self._thread = threading.Thread(target=self._write, name="logs", daemon=True)
        self._thread.start()

    def _write(self) -> None:
        told = 0
        while (record := self._hand.lines.get()) is not None:
            self._hand_out(record)
            if self._hand.lost > told and self._hand.lines.empty():
                missing, told = self._hand.lost - told, self._hand.lost
                self._hand_out(self._hand.prepare(_missing(missing, "lines came faster than they could be written")))

    def _hand_out(self, record: logging.LogRecord) -> None:
        for handler in self._handlers:
            handler.handle(record)

    def stop(self, patience: float = 5.0) -> None:
        """Write what is left; not for ever, if nobody reads at the other end of a pipe."""
        try:
            self._hand.lines.put(None, timeout=patience)
        except queue.Full:
            return
        self._thread.join(patience)


@contextlib.contextmanager
def logging_to(settings: "LogSettings", *, daemon: str = "", stream: TextIO | None = None) -> Iterator[None]:
    """Log as the configuration says, until the end of the block.

    Warnings of libraries and errors that nobody caught in a thread are logged too. Lines that wait are written before
    the block ends.

    Parameters
    ----------
    settings : LogSettings
        Format, level and file.
    daemon : str
        What the daemon is called; :func:`name_daemon` changes it.
    stream : text stream
        Where lines go besides the file; standard error by default.

    Raises
    ------
    ConfigError
        The log file cannot be written.
    """
    shown = stream or sys.stderr
    handlers: list[logging.Handler] = [_Stream(shown)]
    handlers[0].setFormatter(_formatter(settings, shown))
    if settings.file is not None:
        handlers.append(_open_file(settings))
    hand = _Hand(queue.Queue(LONGEST_BACKLOG), daemon)
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    root, ours = logging.getLogger(), logging.getLogger(OURS)
    before = root.handlers[:], root.level, ours.level, threading.excepthook
    root.handlers[:] = [hand]
    root.setLevel(max(level, logging.WARNING))
    ours.setLevel(level)
    logging.captureWarnings(True)
    threading.excepthook = _log_uncaught
    writer = _Writer(hand, handlers)
    try:
        yield
    finally:
        root.handlers[:], threading.excepthook = before[0], before[3]
        root.setLevel(before[1])
        ours.setLevel(before[2])
        logging.captureWarnings(False)
        writer.stop()
        for handler in handlers:
            handler.close()


def name_daemon(name: str) -> None:
    """Say what this daemon is called on every further line; nothing happens where nobody logs."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _Hand):
            handler.daemon_name = name


def _formatter(settings: "LogSettings", stream: TextIO) -> logging.Formatter:
    terminal = stream.isatty()
    if settings.format == "json" or (settings.format == "auto" and not terminal):
        return JsonLines()
    return TextLines(colours=terminal and "NO_COLOR" not in os.environ)


def _open_file(settings: "LogSettings") -> logging.Handler:
    from ..errors import ConfigError

    assert settings.file is not None
    try:
        settings.file.parent.mkdir(parents=True, exist_ok=True)
        handler = _File(settings.file)
    except OSError as error:
        raise ConfigError(f"log.file: {settings.file} cannot be written: {error.strerror or error}") from error
    handler.setFormatter(JsonLines())
    return handler


def _log_uncaught(what: threading.ExceptHookArgs) -> None:
    if what.exc_value is None or isinstance(what.exc_value, SystemExit):
        return
    name = what.thread.name if what.thread is not None else "a thread"
    logging.getLogger(f"{OURS}.pipeline.daemon").error(
        "the thread %s has ended by an error that nobody expected: %s",
        name,
        what.exc_value,
        exc_info=(what.exc_type, what.exc_value, what.exc_traceback),
    )
