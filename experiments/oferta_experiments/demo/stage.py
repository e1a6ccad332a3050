"""What every demo stands on: commands that are printed, then run as child processes."""

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from rich.console import Console
from rich.rule import Rule

from oferta.errors import OfertaError, SettingsInvalid

_START_S = 30.0
_STOP_S = 15.0


class DemoFailed(OfertaError):
    """A command of the demo failed; what it printed stands above."""

    code = "demo.failed"

    def __init__(self, command: Sequence[str], status: int) -> None:
        self.status = status
        super().__init__(f"`{shlex.join(command)}` ended with {status}; its own words stand above")


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a demo plays: its console and its own state folder.

    Attributes:
        home: a folder of the demo alone: its models and release must not meet the user's.
    """

    console: Console
    home: Path

    def step(self, title: str) -> None:
        """A heading above what follows."""
        self.console.print()
        self.console.print(Rule(f"[bold]{title}", align="left", style="cyan"))

    def say(self, *words: str) -> None:
        """The command as one would type it."""
        self.console.print(
            f"[dim]$[/dim] [bold]oferta {shlex.join(words)}[/bold]", highlight=False, soft_wrap=True
        )

    def command(self, *words: str, expect: int = 0, quiet: bool = False) -> str:
        """Run `oferta WORDS`, its words on our terminal; `quiet`: kept, and returned.

        Raises:
            DemoFailed: it ended with something else than `expect`.
        """
        self.say(*words)
        done = subprocess.run(  # noqa: S603 - our own command
            _argv(*words),
            env=_environment(self.home),
            check=False,
            stdout=subprocess.PIPE if quiet else None,
            text=True,
            encoding="utf-8",
        )
        if done.returncode != expect:
            self.console.print(done.stdout or "", markup=False, highlight=False)
            raise DemoFailed(["oferta", *words], done.returncode)
        return done.stdout or ""

    @contextmanager
    def served(self, port: int, *more: str) -> Iterator[str]:
        """The API as a child process, stopped in order at the end: its address.

        Raises:
            DemoFailed: it did not come up; what it wrote is shown.
        """
        address = f"http://127.0.0.1:{port}"
        with self._beside("serve", "--port", str(port), *more) as server:
            try:
                _until_ready(server, address)
                yield address
            except DemoFailed:
                self.console.print(self._said("serve"), markup=False)
                raise

    @contextmanager
    def consumed(self, *more: str) -> Iterator[None]:
        """`oferta consume` as a child process: events have their effect meanwhile.

        Raises:
            DemoFailed: it did not come up; what it wrote is shown.
        """
        with self._beside("consume", *more) as consumer:
            deadline = time.monotonic() + _START_S
            while "oferta consumes" not in self._said("consume"):
                if consumer.poll() is not None or time.monotonic() > deadline:
                    self.console.print(self._said("consume"), markup=False)
                    raise DemoFailed(["oferta", "consume"], consumer.returncode or 1)
                time.sleep(0.05)
            yield

    @contextmanager
    def _beside(self, *words: str) -> Iterator["subprocess.Popen[bytes]"]:
        """`oferta WORDS` beside us, its words in a log, stopped in order at the end."""
        self.say(*words)
        # Its own session: Ctrl-C reaches the demo alone, which then stops the others in order.
        with self._log(words[0]).open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - our own command
                _argv(*words),
                env=_environment(self.home),
                start_new_session=True,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _log(self, command: str) -> Path:
        return self.home / f"{command}.log"

    def _said(self, command: str) -> str:
        return self._log(command).read_text(encoding="utf-8", errors="replace")

    def wait(self) -> None:
        """Until Ctrl-C."""
        self.console.print("[dim]Ctrl-C ends it.[/dim]")
        try:
            signal.pause()
        except KeyboardInterrupt:
            return

    def done(self, seconds: float, *serve: str) -> None:
        """That nothing runs on, and the words of `oferta` that serve what is live here."""
        command = shlex.join((str(tools() / "oferta"), *serve))
        self.lines(
            f"[bold]Done[/bold] after {seconds:.0f} s: the server is stopped",
            (("Serve on", f"OFERTA_HOME={shlex.quote(str(self.home))} {command}"),),
        )

    def lines(self, heading: str, entries: Sequence[tuple[str, str]]) -> None:
        """Lines to copy under a heading, so nothing is framed or broken."""
        self.console.print()
        self.console.print(Rule(heading, align="left", style="green"))
        for label, value in entries:
            self.console.print(f"[bold]{label:13}[/bold]{value}", soft_wrap=True, highlight=False)


def tools() -> Path:
    """The folder of this environment's commands, from here where it lies below here."""
    folder = Path(sys.executable).parent
    return Path(os.path.relpath(folder)) if folder.is_relative_to(Path.cwd()) else folder


def short(path: Path) -> str:
    """The path from here, where it lies below here: what one would type."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def require_free(port: int) -> None:
    """Refuse a port that is taken, before the work: another server's answers are not ours.

    Raises:
        SettingsInvalid: something listens there.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise SettingsInvalid(
                "--port", [f"{port} is taken: stop what listens there, or name another --port"]
            ) from None


def _until_ready(server: "subprocess.Popen[bytes]", address: str) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        status = server.poll()
        if status is not None:
            raise DemoFailed(["oferta", "serve"], status)
        try:
            if httpx.get(f"{address}/health/ready", timeout=1.0).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise DemoFailed(["oferta", "serve"], 1)


def _argv(*words: str) -> list[str]:
    return [sys.executable, "-m", "oferta", *words]


def _environment(home: Path) -> dict[str, str]:
    """Ours without what points at the user's own Redis, tracking server or keys."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OFERTA_", "MLFLOW_"))
    }
    return {**kept, "OFERTA_HOME": str(home)}
