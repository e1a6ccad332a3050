"""Several serving processes on one socket: started, replaced when they die, stopped together."""

import multiprocessing
import signal
import socket
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from types import FrameType

import structlog
from prometheus_client.multiprocess import mark_process_dead

RESTART_PAUSE_S = 1.0
"""Between the death of a worker and its replacement: one that cannot start must not spin."""

log = structlog.get_logger()

Work = Callable[[socket.socket], None]


class Workers:
    """The parent of the serving processes; it serves nothing itself."""

    def __init__(self, work: Work, listener: socket.socket, *, count: int) -> None:
        # Spawned, not forked: a fork would share Redis connections and event loops.
        self._context = multiprocessing.get_context("spawn")
        self._work = work
        self._listener = listener
        self._count = count
        self._stopping = False
        self._processes: list[SpawnProcess] = []

    def run(self) -> None:
        """Serve until SIGTERM or Ctrl-C; every worker drains before this returns."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        self._processes = [self._start() for _ in range(self._count)]
        while not self._stopping:
            wait([process.sentinel for process in self._processes], timeout=0.5)
            self._replace_the_dead()
        for process in self._processes:
            process.terminate()  # SIGTERM: it drains first
        for process in self._processes:
            process.join()

    def _start(self) -> SpawnProcess:
        process = self._context.Process(target=self._work, args=(self._listener,))
        process.start()
        return process

    def _replace_the_dead(self) -> None:
        for at, process in enumerate(self._processes):
            if process.exitcode is None or self._stopping:
                continue
            log.error("worker.died", pid=process.pid, exitcode=process.exitcode)
            if process.pid is not None:
                mark_process_dead(process.pid)  # type: ignore[no-untyped-call] # upstream
            time.sleep(RESTART_PAUSE_S)
            self._processes[at] = self._start()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._stopping = True  # acted on by `run` alone: a worker may just be being replaced
