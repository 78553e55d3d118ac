"""What the sources that listen to a broker have in common."""

import asyncio
import contextlib
import hashlib
import logging
import re
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ....errors import ConfigError
from ..source import Hand, SourceState
from .reader import MessageReader

log = logging.getLogger(__name__)

AT_ONCE = 20
"""Messages that are worked on at the same time."""

LOOK_AGAIN = 2.0
"""Whether files were replaced after their messages is looked up so often [s]."""

TRY_AGAIN = (1.0, 30.0)
"""First and longest wait after an error [s]."""


@dataclass(frozen=True, slots=True)
class Broker:
    """Where a broker is, and who we are to it.

    Attributes
    ----------
    address : str
        Without a user: ``nats://host:4222``.
    host : str
        Its name.
    port : int
        Its port.
    secure : bool
        Whether the connection is encrypted.
    user : str or None
        Who we are.
    """

    address: str
    host: str
    port: int
    secure: bool
    user: str | None

    @classmethod
    def of(cls, address: str, *, port: int, secure_port: int) -> "Broker":
        """From the address in a configuration.

        Raises
        ------
        ConfigError
            It names no host, or holds a password.
        """
        parts = urlsplit(address)
        secure = parts.scheme in ("mqtts", "tls")
        try:
            number = parts.port or (secure_port if secure else port)
        except ValueError:
            raise ConfigError(f"{address}: the port is no number") from None
        if not parts.hostname:
            raise ConfigError(f"{address}: names no host")
        if parts.password is not None:
            raise ConfigError(
                f"{parts.scheme}://{parts.hostname}: put the password into a file and name that: password_file"
            )
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        user = None if parts.username is None else unquote(parts.username)
        return cls(f"{parts.scheme}://{host}:{number}", parts.hostname, number, secure, user)


def password_of(path: Path | None) -> str | None:
    """The password in a file; None without one.

    Raises
    ------
    ConfigError
        The file cannot be read.
    """
    if path is None:
        return None
    try:
        return path.read_text().strip()
    except OSError as error:
        raise ConfigError(f"password_file {path} cannot be read: {error.strerror or error}") from None


def why_not_secure(error: BaseException) -> str:
    """Why there is no encrypted connection, in a sentence; empty if the error is about something else."""
    match error:
        case ssl.SSLCertVerificationError():
            return (
                f"the certificate of the broker is refused: {error.verify_message.rstrip('.')}; it must be made out to "
                "the name in the address, by an authority that this system trusts (docs: Running it, Brokers with TLS)"
            )
        case ssl.SSLError():
            return f"there is no encrypted connection to the broker: {error.reason or error}; does it speak TLS there?"
    return ""


def stable_name(name: str, *distinct: str) -> str:
    """What a source is called to a broker: the same after a restart, and nobody else's."""
    digest = hashlib.sha256("\n".join((name, *distinct)).encode()).hexdigest()[:10]
    return f"etendue-{re.sub(r'[^A-Za-z0-9]+', '-', name).strip('-')[:24]}-{digest}"


async def deliver(reader: MessageReader, payload: bytes, topic: str, hand: Hand, state: SourceState) -> None:
    """Make a job of a message, however long that takes. Only when this returns may the broker forget the message."""
    wait = TRY_AGAIN[0]
    while True:
        try:
            found = await reader.found(payload, topic)
            await hand([found])
        except Exception as error:  # noqa: BLE001 - a full disk, a locked database: the message must not be lost
            log.warning("source %s: a message waits: %s: %s", reader.name, type(error).__name__, error)
            state.holds(f"a message waits: {error}")
            await asyncio.sleep(wait)
            wait = min(2 * wait, TRY_AGAIN[1])
            continue
        if found.problem:
            log.warning("source %s: %s (%s)", reader.name, found.problem, found.origin)
        if state.message.startswith("a message waits"):
            state.is_well()
        state.count += 1
        state.last = time.time()
        return


async def look_after(reader: MessageReader, hand: Hand, state: SourceState) -> None:
    """Take newer versions of files that were replaced after their messages, for ever."""
    wait = LOOK_AGAIN
    while True:
        await asyncio.sleep(wait)
        try:
            count = await reader.look_again(hand)
        except Exception as error:  # noqa: BLE001 - the queue, or the clerk, may work again later
            wait = min(2 * wait, TRY_AGAIN[1])
            text = "source %s: whether files were replaced is not known: %s: %s; trying again in %g s"
            log.warning(text, reader.name, type(error).__name__, error, wait)
            continue
        wait = LOOK_AGAIN
        if count:
            state.count += count
            state.last = time.time()


async def keep_trying(name: str, state: SourceState, work: Callable[[], Awaitable[None]]) -> None:
    """Do something for ever, whatever it raises; a :class:`ConfigError` needs a person, the rest may work later."""
    wait = TRY_AGAIN[0]
    while True:
        began = time.monotonic()
        try:
            await work()
        except ConfigError as error:
            state.fails(str(error))
            log.error("source %s: %s", name, error)
        except Exception as error:  # noqa: BLE001 - libraries raise anything when a network fails
            state.holds(f"{str(error) or type(error).__name__}")
            log.warning("source %s: %s: %s; trying again in %g s", name, type(error).__name__, error, wait)
        wait = TRY_AGAIN[0] if time.monotonic() - began > TRY_AGAIN[1] else wait
        await asyncio.sleep(wait)
        wait = min(2 * wait, TRY_AGAIN[1])


async def cancel_all(tasks: "set[asyncio.Task[None]]") -> None:
    """End tasks, and wait until they have ended."""
    for task in tasks:
        task.cancel()
    for task in list(tasks):
        with contextlib.suppress(asyncio.CancelledError):
            await task
