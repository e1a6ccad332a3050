"""A small HTTP client for loads: connections that are kept, no more work than bytes need."""

import asyncio
import time
from dataclasses import dataclass

import orjson


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, and after how many seconds; status 0: nothing did, `failure` says how."""

    status: int
    headers: bytes
    body: bytes
    seconds: float
    failure: str = ""

    def json(self) -> dict:
        return orjson.loads(self.body)


@dataclass(frozen=True, slots=True)
class Ask:
    """One request; one with a body is a POST unless it says otherwise."""

    path: str
    body: bytes | None = None
    method: str = ""

    def bytes(self) -> bytes:
        body = self.body or b""
        method = self.method or ("GET" if self.body is None else "POST")
        head = f"{method} {self.path} HTTP/1.1\r\nHost: oferta\r\n"
        if self.body is not None:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        return head.encode() + b"\r\n" + body


class Client:
    """To one address; as many connections as requests are under way. For one event loop.

    Args:
        port: of this machine.
        idle_s: a connection that nobody used for so long is not used again: shorter than the
            server's patience, so that neither closes what the other is just using.
        patience_s: how long an answer is waited for.
    """

    def __init__(self, port: int, *, idle_s: float = 5.0, patience_s: float = 30.0) -> None:
        self.port = port
        self.reopened = 0
        """Kept connections that were found closed before anything was sent on them."""
        self.repeated = 0
        """Requests that were sent again."""
        self._idle_s = idle_s
        self._patience_s = patience_s
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter, float]] = []

    async def send(self, ask: Ask, *, retry_on_connect: bool = False) -> Reply:
        """The reply. `retry_on_connect`: again where a kept connection was closed before any byte,
        or none could be made."""
        started = time.perf_counter()
        failure = ""
        for attempt in range(4 if retry_on_connect else 1):
            self.repeated += attempt > 0
            kept = self._kept()
            try:
                reader, writer = kept or await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                failure = "no connection"
                await asyncio.sleep(0.02 * attempt)
                continue
            try:
                async with asyncio.timeout(self._patience_s):
                    head, body = await _exchange(reader, writer, ask)
            except (OSError, asyncio.IncompleteReadError, IndexError, ValueError) as error:
                writer.transport.abort()
                failure = _named(error, "new" if kept is None else "kept")
                if kept is None or "before any byte" not in failure:
                    break
                continue
            except BaseException:
                writer.transport.abort()
                raise
            if b"connection: close" in head.lower():
                writer.close()
            else:
                self._free.append((reader, writer, time.perf_counter()))
            return Reply(int(head[9:12]), head, body, time.perf_counter() - started)
        return Reply(0, b"", b"", time.perf_counter() - started, failure)

    def _kept(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """The connection that was used last, if it is as good as new."""
        since = time.perf_counter() - self._idle_s
        while self._free and self._free[0][2] < since:
            _, writer, _ = self._free.pop(0)
            writer.transport.abort()
        while self._free:
            reader, writer, _ = self._free.pop()
            if not reader.at_eof() and reader.exception() is None and not writer.is_closing():
                return reader, writer
            self.reopened += 1
            writer.transport.abort()
        return None

    async def close(self) -> None:
        for _, writer, _ in self._free:
            writer.transport.abort()
        await asyncio.sleep(0)


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ask: Ask
) -> tuple[bytes, bytes]:
    """The head and the body of the answer."""
    writer.write(ask.bytes())
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    try:
        return head, await reader.readexactly(length)
    except (OSError, asyncio.IncompleteReadError) as error:
        if isinstance(error, TimeoutError):
            raise
        raise asyncio.IncompleteReadError(head, None) from error


def _named(error: Exception, connection: str) -> str:
    """How a request went unanswered."""
    if isinstance(error, TimeoutError):
        return f"no answer in time on a {connection} connection"
    if isinstance(error, asyncio.IncompleteReadError) and error.partial:
        return f"cut within the answer on a {connection} connection"
    if isinstance(error, asyncio.IncompleteReadError):
        return f"closed before any byte on a {connection} connection"
    if isinstance(error, OSError):
        return f"reset before any byte on a {connection} connection"
    return "no HTTP"


def percentile(values: list[float], share: float) -> float:
    """The value that `share` of all do not exceed; 0 for none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
