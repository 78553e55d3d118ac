"""Messages of an MQTT broker.

The session is kept by the broker (QoS 1): what is published while the daemon is away comes when it is back. A message
is acknowledged when its job is in the database, and comes again if that does not happen. Daemons that share a queue
share the messages if the topic says so: ``$share/etendue/images/#``.

References
----------
OASIS, MQTT version 5.0, 2019: sections 3.1.2.4 (clean start), 3.1.2.11 (session expiry), 4.3.2 (QoS 1).
"""

import asyncio
import contextlib
import logging
import sys
import time
from concurrent.futures import TimeoutError as StillWaiting
from typing import Any

from ....errors import ConfigError
from ...settings import MqttSource
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
from .reader import LARGEST_MESSAGE, MessageReader

log = logging.getLogger(__name__)

KEEP_ALIVE = 30
"""Longest silence on the connection [s]."""

SESSION = 7 * 86400
"""How long the broker keeps messages for a daemon that is away [s]."""

WATCH_EVERY = 5.0
TOO_LONG = 120.0
"""After this time without a connection the client is made anew, should its thread have died [s]."""

Message = tuple[int, int, int, str, bytes]
"""Number of the connection, of the message, its QoS, topic, payload."""


class MqttRunner:
    """Listens to a topic.

    Parameters
    ----------
    settings : MqttSource
        What is configured.
    reader : MessageReader
        Makes inputs of messages.
    identity : str
        What tells this daemon from others to the broker; the same after a restart.

    Raises
    ------
    ConfigError
        The address makes no sense, or the library is not installed.
    """

    kind = "mqtt"

    def __init__(self, settings: MqttSource, *, reader: MessageReader, identity: str) -> None:
        try:
            import paho.mqtt.client  # noqa: F401 - better to miss it now than in the night
        except ImportError as error:
            raise ConfigError(f"source {reader.name}: MQTT needs paho-mqtt: pip install 'etendue[mqtt]'") from error
        self.name = reader.name
        self.broker = Broker.of(settings.mqtt, port=1883, secure_port=8883)
        self.where = f"{self.broker.address} {settings.topic}"
        self.state = SourceState("holding", "connecting")
        self._settings = settings
        self._reader = reader
        self._client_id = stable_name(self.name, identity)
        self._client: Any = None
        self._connection = 0
        self._queue: asyncio.Queue[Message] = asyncio.Queue(maxsize=AT_ONCE)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._refused = ""
        self._is_refused = asyncio.Event()
        self._connected_at = 0.0

    async def run(self, hand: Hand) -> None:
        """Listen until cancelled."""
        self._loop = asyncio.get_running_loop()
        workers = {asyncio.create_task(self._work(hand)) for _ in range(AT_ONCE)}
        workers.add(asyncio.create_task(look_after(self._reader, hand, self.state)))
        try:
            await keep_trying(self.name, self.state, lambda: self._serve(hand))
        finally:
            await self.close()
            await cancel_all(workers)

    async def close(self) -> None:
        """Go away; the broker keeps the session."""
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            await asyncio.to_thread(client.loop_stop)

    async def _serve(self, hand: Hand) -> None:
        """One client, which makes a new connection by itself whenever one breaks.

        Raises
        ------
        ConfigError
            The broker refuses us, or we refuse its certificate. The next client asks for the password anew.
        """
        self.state.count += await self._reader.sweep(hand)
        self._refused = ""
        self._is_refused.clear()
        self._client = await asyncio.to_thread(self._made)
        try:
            self._client.connect_async(
                self.broker.host,
                self.broker.port,
                keepalive=KEEP_ALIVE,
                clean_start=False,
                properties=_session_properties(),
            )
            self._client.loop_start()
            self._connected_at = time.monotonic()
            while time.monotonic() - self._connected_at < TOO_LONG:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._is_refused.wait(), WATCH_EVERY)
                    raise ConfigError(self._refused)
                if self._client.is_connected():
                    self._connected_at = time.monotonic()
        finally:
            await self.close()

    def _made(self) -> Any:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            manual_ack=True,
        )
        if self.broker.user is not None:
            client.username_pw_set(self.broker.user, password_of(self._settings.password_file))
        if self.broker.secure:
            client.tls_set()
        client.reconnect_delay_set(1, 30)
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        return client

    # --- in paho's thread ------------------------------------------------------------------------------------------

    def _on_connect(self, client: Any, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self._refuse(f"the broker refuses the connection: {reason}")
            return
        self._connection += 1
        client.subscribe(self._settings.topic, qos=1)

    def _on_connect_fail(self, client: Any, userdata: Any) -> None:
        error = sys.exception()  # paho calls this while it handles the error, and says nothing of it
        if error is not None and (why := why_not_secure(error)):
            self._refuse(why)
        else:
            why = getattr(error, "strerror", None) or error
            self._tell("holding", "the broker cannot be reached" + (f": {why}" if why else ""))

    def _refuse(self, why: str) -> None:
        assert self._loop is not None
        self._refused = why
        self._loop.call_soon_threadsafe(self._is_refused.set)

    def _on_disconnect(self, client: Any, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        if self._client is not None and not self._refused:
            self._tell("holding", f"the connection to the broker is lost: {reason}")

    def _on_subscribe(self, client: Any, userdata: Any, mid: int, reasons: Any, properties: Any) -> None:
        if any(reason.is_failure for reason in reasons):
            self._tell("failed", f"the broker refuses the topic {self._settings.topic}: {reasons[0]}")
        else:
            self._tell("ok", "")

    def _on_message(self, client: Any, userdata: Any, message: Any) -> None:
        assert self._loop is not None
        item = (self._connection, message.mid, message.qos, message.topic, message.payload)
        put = asyncio.run_coroutine_threadsafe(self._queue.put(item), self._loop)
        while self._client is client:
            try:
                put.result(timeout=0.5)  # until there is room, nothing more is taken from the network
            except StillWaiting:
                continue
            return
        put.cancel()

    def _tell(self, state: Any, message: str) -> None:
        assert self._loop is not None

        def change() -> None:
            if (self.state.state, self.state.message) != (state, message):
                log.log(logging.INFO if state == "ok" else logging.WARNING, "source %s: %s", self.name, message or "ok")
            self.state.state, self.state.message = state, message

        if self._client is not None:
            self._loop.call_soon_threadsafe(change)

    # --- on the loop -----------------------------------------------------------------------------------------------

    async def _work(self, hand: Hand) -> None:
        while True:
            connection, number, qos, topic, payload = await self._queue.get()
            await deliver(self._reader, payload, topic, hand, self.state)
            # After a new connection the broker sends it again, perhaps under another number; jobs are not doubled.
            if qos > 0 and connection == self._connection and self._client is not None:
                self._client.ack(number, qos)


def _session_properties() -> Any:
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = SESSION
    properties.ReceiveMaximum = AT_ONCE
    properties.MaximumPacketSize = 2 * LARGEST_MESSAGE
    return properties
