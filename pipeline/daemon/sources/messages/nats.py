"""Messages of a NATS server.

With a JetStream `stream` the server keeps messages until their jobs are in the database, whatever happens to the
daemon. Daemons that share a queue share the messages. Without a stream, NATS tells only those who listen.

References
----------
NATS documentation: JetStream, consumers (durable, explicit acknowledgement).
"""

import asyncio
import contextlib
import logging
from typing import Any

from ....errors import ConfigError
from ...settings import NatsSource
from ..source import Hand, SourceState
from .broker import (
    AT_ONCE,
    Broker,
    cancel_all,
    deliver,
    keep_trying,
    look_after,
    password_of,
    stable_name,
    why_not_secure,
)
from .reader import MessageReader

log = logging.getLogger(__name__)

ACK_WAIT = 60.0
"""A message comes again if nothing was heard of it for so long [s]."""

STILL_AT_IT = 20.0
"""The server is told so often that a message is worked on [s]."""

ASK_EVERY = 5.0
"""A request for messages ends after this time, and is made again [s]."""


class NatsRunner:
    """Listens to a subject.

    Parameters
    ----------
    settings : NatsSource
        What is configured.
    reader : MessageReader
        Makes inputs of messages.

    Raises
    ------
    ConfigError
        The address makes no sense, or the library is not installed.
    """

    kind = "nats"

    def __init__(self, settings: NatsSource, *, reader: MessageReader) -> None:
        try:
            import nats  # noqa: F401 - better to miss it now than in the night
        except ImportError as error:
            raise ConfigError(f"source {reader.name}: NATS needs nats-py: pip install 'etendue[nats]'") from error
        self.name = reader.name
        self.broker = Broker.of(settings.nats, port=4222, secure_port=4222)
        self.where = f"{self.broker.address} {settings.subject}"
        self.state = SourceState("holding", "connecting")
        self._settings = settings
        self._reader = reader
        self._group = stable_name(self.name, settings.subject)
        self._tasks: set[asyncio.Task[None]] = set()
        self._refused = ""
        self._is_refused = asyncio.Event()

    async def run(self, hand: Hand) -> None:
        """Listen until cancelled."""
        watching = asyncio.create_task(look_after(self._reader, hand, self.state))
        try:
            await keep_trying(self.name, self.state, lambda: self._serve(hand))
        finally:
            await cancel_all({watching})
            await self.close()

    async def close(self) -> None:
        """End what is being worked on; a stream sends it again."""
        await cancel_all(self._tasks)

    async def _serve(self, hand: Hand) -> None:
        """One connection, which the library makes anew whenever it breaks.

        Raises
        ------
        ConfigError
            The server refuses us, or we refuse its certificate. The next connection asks for the password anew.
        """
        self.state.count += await self._reader.sweep(hand)
        self._refused = ""
        self._is_refused.clear()
        client = await self._connected()
        listen = self._listen if self._settings.stream is None else self._take_from_stream
        work = asyncio.create_task(listen(client, hand))
        refused = asyncio.create_task(self._is_refused.wait())
        try:
            await asyncio.wait({work, refused}, return_when=asyncio.FIRST_COMPLETED)
            if self._refused:
                raise ConfigError(self._refused)
            await work
        finally:
            work.cancel()
            refused.cancel()
            await asyncio.gather(work, refused, return_exceptions=True)
            await _closed(client)

    async def _connected(self) -> Any:
        from nats.errors import Error, NoServersError, SlowConsumerError

        async def lost() -> None:
            self.state.holds("the connection to the server is lost")

        async def back() -> None:
            self.state.is_well()

        async def wrong(error: Exception) -> None:
            if why := why_refused(error):  # it is said by whoever tries again
                self._refused = why
                self._is_refused.set()
            if self._refused:
                return
            log.warning("source %s: %s: %s", self.name, type(error).__name__, error)
            if isinstance(error, SlowConsumerError):
                self.state.notes = ("messages came faster than they could be taken, and some were lost; use a stream",)

        options: dict[str, Any] = {}
        if self.broker.user is not None:
            password = await asyncio.to_thread(password_of, self._settings.password_file)
            options = {"user": self.broker.user, "password": password or ""}
        client = _client(secure=self.broker.secure)
        try:
            # Without retries at first: a wrong password is to be seen.
            await client.connect(
                self.broker.address,
                name=self._group,
                error_cb=wrong,
                disconnected_cb=lost,
                reconnected_cb=back,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=1,
                connect_timeout=5,
                **options,
            )
        except NoServersError as error:
            raise ConnectionError(f"the server {self.broker.address} cannot be reached") from error
        except (OSError, Error, TimeoutError) as error:
            await _closed(client)
            if why := why_refused(error):
                raise ConfigError(why) from error
            raise ConnectionError(f"the server {self.broker.address} does not answer as one of NATS does") from error
        client.options |= {"allow_reconnect": True, "max_reconnect_attempts": -1}
        return client

    async def _listen(self, client: Any, hand: Hand) -> None:
        """Without a stream: whoever listens hears it once."""
        subscription = await client.subscribe(self._settings.subject, queue=self._group)
        self.state.is_well()
        async for message in subscription.messages:
            await self._room()
            self._begin(deliver(self._reader, message.data, message.subject, hand, self.state))

    async def _take_from_stream(self, client: Any, hand: Hand) -> None:
        from nats.errors import TimeoutError as NothingCame
        from nats.js.api import ConsumerConfig
        from nats.js.errors import NotFoundError

        stream = self._settings.stream
        try:
            subscription = await client.jetstream().pull_subscribe(
                self._settings.subject,
                durable=self._group,
                stream=stream,
                config=ConsumerConfig(ack_wait=ACK_WAIT, max_ack_pending=10 * AT_ONCE),
            )
        except NotFoundError:
            raise ConfigError(f"the server has no stream '{stream}'; make it: nats stream add {stream}") from None
        self.state.is_well()
        while True:
            await self._room()
            try:
                messages = await subscription.fetch(AT_ONCE - len(self._tasks), timeout=ASK_EVERY)
            except (TimeoutError, NothingCame):
                continue  # there was nothing
            for message in messages:
                self._begin(self._take(message, hand))

    async def _take(self, message: Any, hand: Hand) -> None:
        """Make a job of a message of a stream; only then does the server forget it."""
        telling = asyncio.create_task(_tell_still_at_it(message))
        try:
            await deliver(self._reader, message.data, message.subject, hand, self.state)
            await message.ack()
        finally:
            await cancel_all({telling})

    async def _room(self) -> None:
        """Wait until fewer messages are worked on than may be."""
        while len(self._tasks) >= AT_ONCE:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)

    def _begin(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("source %s: %s: %s; the message comes again", self.name, type(error).__name__, error)


def why_refused(error: Exception) -> str:
    """Why server or client refuse each other, in a sentence; empty if the error is about something else."""
    from nats.errors import Error, SecureConnWantedError

    if isinstance(error, SecureConnWantedError):
        return "the server does not encrypt the connection, which tls:// asks for; no password was sent to it"
    if isinstance(error, Error) and "authorization" in str(error).lower():
        return "the server refuses the connection: user or password are wrong"
    return why_not_secure(error)


def _client(*, secure: bool) -> Any:
    """A client; one that is to be secure says nothing to a server that does not encrypt.

    The library would go on in plain text, password included, whatever the address says.
    """
    from nats.aio.client import Client
    from nats.errors import SecureConnWantedError

    class WaryClient(Client):
        async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
            if secure and initial_connection and not info.get("tls_required"):
                raise SecureConnWantedError
            await super()._process_info(info, initial_connection)

    return WaryClient()


async def _closed(client: Any) -> None:
    with contextlib.suppress(Exception):  # it may be broken already
        await asyncio.wait_for(client.close(), 1.0)


async def _tell_still_at_it(message: Any) -> None:
    while True:
        await asyncio.sleep(STILL_AT_IT)
        with contextlib.suppress(Exception):  # the connection is away; when it is back the message comes again
            await message.in_progress()
