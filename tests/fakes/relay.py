"""A relay on loopback whose connections can go half open: alive to TCP, and nothing comes through.

Connections that are made afterwards are carried as before, as when a NAT table or a balancer forgot the old;
unless the relay is `down`, when these are taken and carry nothing either.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

Direction = Literal["to us", "from us"]

PING_FRAME = b"\x89\x00"
"""An empty ping of a server: https://www.rfc-editor.org/rfc/rfc6455#section-5.5.2"""

PING_SECONDS = 0.1


@dataclass(eq=False)
class _Carried:
    near: asyncio.StreamWriter
    far: asyncio.StreamWriter
    lost: set[Direction] = field(default_factory=set)


@dataclass
class Relay:
    port: int = 0
    down: bool = False
    behind: str = ""
    """An address that goes round the relay, for whoever wants one."""
    carried: list[_Carried] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def lose(self, *directions: Direction) -> None:
        """Swallow what the connections of now say in these directions, without closing them."""
        for carried in self.carried:
            carried.lost.update(directions)

    async def ping(self) -> None:
        """Ping like a server that still reaches us, whatever it hears; for ever."""
        while True:
            for carried in self.carried:
                if "to us" not in carried.lost and carried.lost:
                    carried.near.write(PING_FRAME)
            await asyncio.sleep(PING_SECONDS)


@asynccontextmanager
async def relay_to(port: int) -> AsyncIterator[Relay]:
    """A relay to a port of this machine."""
    relay = Relay()

    async def carry(reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        from_far, far = await asyncio.open_connection("127.0.0.1", port)
        carried = _Carried(near, far, {"to us", "from us"} if relay.down else set())
        relay.carried.append(carried)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pump(reader, far, carried, "from us"))
                both.create_task(_pump(from_far, near, carried, "to us"))
        finally:
            near.close()
            far.close()

    server = await asyncio.start_server(carry, "127.0.0.1", 0)
    relay.port = server.sockets[0].getsockname()[1]
    pinging = asyncio.create_task(relay.ping())
    try:
        yield relay
    finally:
        pinging.cancel()
        server.close()
        for carried in relay.carried:
            carried.near.close()
            carried.far.close()


async def _pump(
    source: asyncio.StreamReader, sink: asyncio.StreamWriter, carried: _Carried, direction: Direction
) -> None:
    try:
        while said := await source.read(65536):
            if direction not in carried.lost:
                sink.write(said)
                await sink.drain()
        if direction not in carried.lost:
            sink.close()  # an end is heard on the other side, unless nothing is
    except OSError:
        sink.close()
