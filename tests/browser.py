"""A real browser that tests drive: chromium, through its own protocol, without a network."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from websockets.sync.client import ClientConnection, connect

_STARTED_S = 30.0
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--hide-scrollbars"),
    *("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--remote-debugging-port=0"),
)


class Tab:
    """One page. What it asked the network for and what it complained of is kept.

    Attributes:
        requests: addresses, since the last `open`.
        complaints: errors, refusals and console messages, since the last `open`.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._calls = 0
        self.requests: list[str] = []
        self.complaints: list[str] = []
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def open(
        self, page: Path, *, width: int = 1100, scheme: str = "light", scripts: bool = True
    ) -> None:
        """Load a file as someone with this screen would, and wait until it is shown."""
        self.call("Page.navigate", url="about:blank")
        self._metrics(width, scheme, scripts=scripts)
        self.requests.clear()
        self.complaints.clear()
        self.call("Page.navigate", url=f"file://{quote(str(page))}")
        self._until_event("Page.loadEventFired")
        # The layout of a frame after load: everything has its size.
        self.call("Page.getLayoutMetrics")

    def _metrics(self, width: int, scheme: str, *, scripts: bool) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.call("Emulation.setEmulatedMedia", features=[feature])
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)

    def value(self, expression: str) -> Any:  # noqa: ANN401 (whatever JavaScript gives)
        """What an expression gives in the page; works where the page itself may run no script."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        self._calls += 1
        number = self._calls
        message = {"id": number, "method": method, "params": parameters}
        self._connection.send(json.dumps(message))
        while (answer := self._next()).get("id") != number:
            pass
        assert "error" not in answer, answer
        return dict(answer["result"])

    def _until_event(self, name: str) -> None:
        while self._next().get("method") != name:
            pass

    def _next(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._connection.recv(timeout=_STARTED_S))
        told = answer.get("params", {})
        match answer.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(told["request"]["url"])
            case "Log.entryAdded":
                self.complaints.append(told["entry"]["text"])
            case "Runtime.consoleAPICalled" | "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(told))
        return answer


@contextmanager
def chromium(profile: Path) -> Iterator[Tab]:
    """A running browser's first page."""
    command = ["chromium", *_FLAGS, f"--user-data-dir={profile}", "about:blank"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            with connect(_address(profile), max_size=None) as connection:
                yield Tab(connection)
        finally:
            process.terminate()


def _address(profile: Path) -> str:
    told = profile / "DevToolsActivePort"
    end = time.monotonic() + _STARTED_S
    while not (told.exists() and len(told.read_text().split()) == 2):
        assert time.monotonic() < end, "chromium did not start"
        time.sleep(0.05)
    port = told.read_text().split()[0]
    pages = httpx.get(f"http://127.0.0.1:{port}/json").json()
    return str(next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page"))
