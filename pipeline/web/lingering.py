"""Let a client that is still sending see why its body is refused.

Many clients look at the answer only when they have sent everything. If the connection is closed before, the system
answers what they still send with a reset, which also takes the answer away from them. So the answer is sent at once,
and the rest of the body is thrown away as it comes, within limits; only then the connection is closed.

References
----------
RFC 9112, section 9.6 (tear-down of connections).
"""

import asyncio

from starlette.types import Message, Receive, Send

MOST = 1_000_000_000
"""So much of a refused body is read, and thrown away [byte]."""

LONGEST = 20.0
"""And for so long [s]."""

IDLE = 5.0
"""A client that sends nothing for so long has the answer [s]."""


class Lingering:
    """One request whose body may be refused.

    Parameters
    ----------
    receive, send : callables
        Those of the server.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._has_more = True
        self._lingers = False

    def begin(self) -> None:
        """The request is refused: what still comes of its body is thrown away before the answer ends."""
        self._lingers = True

    async def receive(self) -> Message:
        """The next part of the request."""
        message = await self._receive()
        self._has_more = message["type"] == "http.request" and message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the answer. The server closes the connection after the last one, which waits."""
        is_last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if not (self._lingers and self._has_more and is_last):
            await self._send(message)
            return
        await self._send({**message, "more_body": True})
        await self._throw_away()
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _throw_away(self) -> None:
        left = MOST
        try:
            async with asyncio.timeout(LONGEST):
                while self._has_more and left > 0:
                    async with asyncio.timeout(IDLE):
                        message = await self.receive()
                    left -= len(message.get("body", b""))
        except TimeoutError:
            return  # it has had time enough to see the answer
