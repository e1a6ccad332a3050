"""A proxy before Redis that does what networks do: waits, swallows, drips, cuts, lies.

It runs in a thread of its own; `fault` may be changed at any time and holds for what is under way.
"""

import asyncio
import random
import socket
import struct
import threading
from contextlib import suppress
from typing import Final, Literal, Self, get_args

Fault = Literal[
    "none",
    "jitter",
    "latency",
    "black hole",
    "trickle",
    "reset",
    "cut",
    "half reply",
    "refuse",
    "flapping",
]
FAULTS: Final[tuple[Fault, ...]] = get_args(Fault)[2:]

LATENCY_S = 0.2
JITTER_S = 0.006  # at most, of each reply
DRIP = 4  # bytes each 10 ms: 400 a second
CUT_AFTER = 50
_AT_ONCE = struct.pack("ii", 1, 0)  # lingering off: closing resets


class FaultProxy:
    """Listens on loopback and speaks to the Redis at a unix socket."""

    def __init__(self, upstream: str) -> None:
        self.fault: Fault = "none"
        self._upstream = upstream
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server
        self._changed = asyncio.Event()
        self._turn = 0
        self._random = random.Random(1)  # noqa: S311 - no secret
        self.port = 0

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def set(self, fault: Fault) -> None:
        """From now on; connections that stand are dropped where the fault is about connecting."""
        asyncio.run_coroutine_threadsafe(self._set(fault), self._loop).result(5)

    async def _set(self, fault: Fault) -> None:
        before, self.fault = self.fault, fault
        self._changed.set()
        self._changed = asyncio.Event()
        if fault == "refuse":
            self._server.close()
        elif before == "refuse":
            await self._listen()
        if fault in ("refuse", "reset") or before == "black hole":
            for writer in list(self._writers):
                _reset(writer)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            to_read, to_write = await asyncio.open_unix_connection(self._upstream)
        except OSError:
            _reset(writer)
            return
        ways = [
            asyncio.create_task(self._asked(reader, to_write)),
            asyncio.create_task(self._replied(to_read, writer)),
        ]
        with suppress(asyncio.CancelledError):  # the end of the proxy
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        self._writers.discard(writer)
        for end in (writer, to_write):
            end.close()

    async def _asked(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            if self.fault == "black hole":
                continue
            if self.fault == "latency":
                await asyncio.sleep(LATENCY_S)
            writer.write(data)

    async def _replied(  # noqa: C901 - a case for each fault
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(65_536):
            self._turn += 1
            fault = self.fault
            if fault == "flapping":
                fault = "none" if self._turn % 2 else "cut"
            match fault:
                case "jitter":
                    await asyncio.sleep(self._random.uniform(0, JITTER_S))
                    writer.write(data)
                case "black hole":
                    continue
                case "trickle":
                    for start in range(0, len(data), DRIP):
                        writer.write(data[start : start + DRIP])
                        await asyncio.sleep(0.01)
                        if self.fault != "trickle":
                            writer.write(data[start + DRIP :])
                            break
                case "half reply":
                    writer.write(data[: len(data) // 2])  # and never the rest
                    await self._changed.wait()
                    return
                case "cut":
                    writer.write(data[:CUT_AFTER])
                    return
                case "reset" | "refuse":
                    _reset(writer)
                    return
                case _:
                    writer.write(data)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(5)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        for writer in list(self._writers):
            _reset(writer)


def _reset(writer: asyncio.StreamWriter) -> None:
    line = writer.get_extra_info("socket")
    with suppress(OSError):
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    writer.transport.abort()
