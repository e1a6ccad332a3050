"""A small HTTP client for loads: connections that are kept, no more work than bytes need."""

import asyncio
import time
from dataclasses import dataclass

import orjson


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, and after how many seconds; status 0: nothing did."""

    status: int
    headers: bytes
    body: bytes
    seconds: float

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
    """To one address; as many connections as requests are under way. For one event loop."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def send(self, ask: Ask, *, retry_on_connect: bool = False) -> Reply:
        """The reply. `retry_on_connect`: again where a connection was closed before any byte."""
        started = time.perf_counter()
        for attempt in range(4 if retry_on_connect else 1):
            try:
                reused = bool(self._free)
                reader, writer = (
                    self._free.pop()
                    if reused
                    else await asyncio.open_connection("127.0.0.1", self.port)
                )
            except OSError:
                await asyncio.sleep(0.02 * attempt)
                continue
            try:
                writer.write(ask.bytes())
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                body = await reader.readexactly(length)
            except asyncio.IncompleteReadError as error:
                writer.close()
                if error.partial or not (retry_on_connect and reused):
                    break
                continue
            except (OSError, IndexError):
                writer.close()
                if not (retry_on_connect and reused):
                    break
                continue
            except BaseException:
                writer.transport.abort()
                raise
            if b"connection: close" in head.lower():
                writer.close()
            else:
                self._free.append((reader, writer))
            return Reply(int(head[9:12]), head, body, time.perf_counter() - started)
        return Reply(0, b"", b"", time.perf_counter() - started)

    async def close(self) -> None:
        for _, writer in self._free:
            writer.transport.abort()
        await asyncio.sleep(0)


def percentile(values: list[float], share: float) -> float:
    """The value that `share` of all do not exceed; 0 for none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
