"""The demo as a script of commands: each is printed, then run as a child process."""

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path

import httpx
from rich.console import Console
from rich.rule import Rule

from oferta.clock import SystemClock
from oferta.errors import OfertaError, SettingsInvalid
from oferta.events.dataset import Dataset, open_dataset
from oferta.progress import Silent
from oferta_experiments.demo import grocer, page

_START_S = 30.0
_STOP_S = 15.0


class DemoFailed(OfertaError):
    """A command of the demo failed; what it printed stands above."""

    code = "demo.failed"

    def __init__(self, command: Sequence[str], status: int) -> None:
        self.status = status
        super().__init__(f"`{shlex.join(command)}` ended with {status}; its own words stand above")


def run(*, home: Path, port: int, once: bool, console: Console) -> None:
    """Ingest, train, publish, serve, ask; then serve on until Ctrl-C, unless `once`.

    Raises:
        ExtraMissing: the demo's data is not installed.
        DemoFailed: one of the commands failed.
    """
    # A state folder of its own: the demo's models and release must not meet the user's.
    home = home / "demo"
    source, dataset = home / "source", home / "dataset"
    _require_free(port)
    began = time.monotonic()
    console.print(page.opening(home))
    _step(console, "1  The data: a grocer's year, 1.2 million purchases of 2,469 households")
    if not (source / "customers.parquet").is_file():
        grocer.write_source(source)
    _command(console, home, "ingest", str(source), "--out", str(dataset), "--replace")
    _step(console, "2  Learn: four models on all but the last 28 days, compared on those")
    with as_file(files("oferta_experiments.demo") / "grocer.toml") as job:
        _command(console, home, "train", str(dataset), "--job", _short(job))
    _step(console, "3  Score every household, publish a release to Redis, swap it live")
    _command(console, home, "publish", "--model", "grocer")
    _step(console, "4  Serve, and ask for three households")
    with _served(console, home, port) as address:
        with httpx.Client(base_url=address, timeout=5.0) as client:
            console.print(page.answers(client, _opened(dataset, home)))
        page.closing(console, address, home, time.monotonic() - began)
        if not once:
            console.print("[dim]Ctrl-C ends it.[/dim]")
            _wait()


def _step(console: Console, title: str) -> None:
    console.print()
    console.print(Rule(f"[bold]{title}", align="left", style="cyan"))


def _command(console: Console, home: Path, *words: str) -> None:
    console.print(f"[dim]$[/dim] [bold]oferta {shlex.join(words)}[/bold]", highlight=False)
    done = subprocess.run(_argv(*words), env=_environment(home), check=False)  # noqa: S603 - ours
    if done.returncode:
        raise DemoFailed(["oferta", *words], done.returncode)


def _short(path: Path) -> str:
    """The path from here, where it lies below here: what one would type."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


@contextmanager
def _served(console: Console, home: Path, port: int) -> Iterator[str]:
    words = ("serve", "--port", str(port))
    console.print(f"[dim]$[/dim] [bold]oferta {shlex.join(words)}[/bold]", highlight=False)
    log = home / "serve.log"
    # Its own session: Ctrl-C reaches the demo alone, which then stops the server in order.
    with log.open("wb") as words_of_the_server:
        server = subprocess.Popen(  # noqa: S603 - our own command
            _argv(*words),
            env=_environment(home),
            start_new_session=True,
            stdout=words_of_the_server,
            stderr=subprocess.STDOUT,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        _until_ready(server, address)
        yield address
    except DemoFailed:
        console.print(log.read_text(encoding="utf-8", errors="replace"), markup=False)
        raise
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


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


def _opened(dataset: Path, home: Path) -> Dataset:
    return open_dataset(dataset, home=home, clock=SystemClock(), progress=Silent())


def _wait() -> None:
    try:
        signal.pause()
    except KeyboardInterrupt:
        return


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


def _require_free(port: int) -> None:
    """Refuse a port that is taken, before the work: another server's answers are not ours."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise SettingsInvalid(
                "--port", [f"{port} is taken: stop what listens there, or name another --port"]
            ) from None
