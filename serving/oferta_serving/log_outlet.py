"""Where log lines leave the process: never a reason to wait, and never one to fail.

A collector that is slow, or gone, or a disk that is full, must not stop the answers: lines wait in
a bounded queue for a thread that writes them. Where it is full, lines are dropped and counted, and
the count is told with the next line that can be written.
"""

import atexit
import queue
import threading
import time
from multiprocessing import util
from typing import Final, TextIO

WAITING: Final = 10_000
"""Lines, about 2 MB."""

PARTING_S: Final = 1.0
"""How long the end of the process waits for lines on their way."""


class LogOutlet:
    """Takes what a stream takes, and returns at once. For any number of threads."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lines: queue.Queue[str] = queue.Queue(WAITING)
        self._dropped = 0
        threading.Thread(target=self._write_on, daemon=True, name="log").start()
        atexit.register(self.part)
        util.Finalize(None, self.part, exitpriority=0)  # workers end without atexit

    def write(self, text: str) -> int:
        """Pass on some text, or drop it."""
        try:
            self._lines.put_nowait(text)
        except queue.Full:
            self._dropped += 1
        return len(text)

    def flush(self) -> None:
        """Nothing: lines go as fast as they can."""

    def isatty(self) -> bool:
        """Whether a person reads them."""
        return self._stream.isatty()

    def part(self) -> None:
        """Wait a little for what is on its way."""
        until = time.monotonic() + PARTING_S
        while self._lines.unfinished_tasks and time.monotonic() < until:
            time.sleep(0.005)

    def _write_on(self) -> None:
        while True:
            text = self._lines.get()
            try:
                if self._dropped:
                    self._stream.write(f"{self._dropped} log lines were dropped\n")
                    self._dropped = 0
                self._stream.write(text)
                self._stream.flush()
            except (OSError, ValueError):  # nobody reads, no room, or closed
                self._dropped += 1
            finally:
                self._lines.task_done()
