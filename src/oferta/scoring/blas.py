"""One thread for each BLAS call: many small products, or many threads of our own.

OpenBLAS splits even a 64 x 64 system over its threads and waits for them: solving the customers of
ml-1m was 18 times slower with two threads than with one.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """NumPy's BLAS runs on the calling thread only, process-wide, until the last user leaves.

    May be nested and entered by several threads at once: the setting is the library's and knows
    nothing of threads, so it is kept while anybody is inside.
    """
    _LIMIT.enter()
    try:
        yield
    finally:
        _LIMIT.leave()


class _Limit:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._limiter: Any = None

    def enter(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._limiter = _controller().limit(limits=1, user_api="blas")
                self._limiter.__enter__()
            self._inside += 1

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._limiter.__exit__(None, None, None)


_LIMIT = _Limit()


@cache
def _controller() -> Any:  # noqa: ANN401 - threadpoolctl publishes no types
    # Looking for the loaded libraries takes milliseconds, which a single request must not pay. Only
    # NumPy's is loaded for certain, and only NumPy's is called here.
    return ThreadpoolController()
