"""How long work tells that it goes on: a bar in a terminal, nothing elsewhere."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Advance(Protocol):
    """Called with how many units were finished since the last call."""

    def __call__(self, done: int, /) -> None:
        """Move on by `done` units."""
        ...


class Progress(Protocol):
    """Where long work reports to. Safe to nest; one task is one bar."""

    def task(self, name: str, *, total: int | None) -> AbstractContextManager[Advance]:
        """A task of `total` units (None: unknown), open while the context is."""
        ...


class Silent:
    """Reports to nobody."""

    @contextmanager
    def task(self, name: str, *, total: int | None) -> Iterator[Advance]:
        """A task that nobody sees."""
        del name, total
        yield _ignore


def _ignore(done: int, /) -> None:
    del done


class Terminal:
    """Bars with time left on standard error; plain silence where that is no terminal."""

    @contextmanager
    def task(self, name: str, *, total: int | None) -> Iterator[Advance]:
        """One bar, removed when the task ends."""
        from rich.console import Console  # noqa: PLC0415 - 40 ms that --help must not pay
        from rich.progress import (  # noqa: PLC0415
            BarColumn,
            MofNCompleteColumn,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as Bars  # noqa: PLC0415

        console = Console(stderr=True)
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Bars(
            *columns, console=console, transient=True, disable=not console.is_terminal
        ) as bars:
            task = bars.add_task(name, total=total)

            def advance(done: int, /) -> None:
                bars.advance(task, done)

            yield advance
