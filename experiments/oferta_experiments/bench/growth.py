"""Time and memory of the whole loop as the number of customers grows, each step a child process."""

import os
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from numpy.random import default_rng
from rich.console import Console
from rich.table import Table

from oferta_experiments.bench.generate import write_source

_SIZES = (100_000, 1_000_000)
_PRODUCTS, _EVENTS_EACH = 2_000, 20
_JOB = """\
name = "growth"
[evaluation]
split = "time:28d"
k = [10]
[models.als]
[models.ease]
[models.popularity]
"""


@dataclass(frozen=True, slots=True)
class Step:
    """One command of the loop: wall seconds and the most memory it held."""

    name: str
    seconds: float
    peak_bytes: int


def growth_table(work: Path, console: Console) -> Table:
    """Run ingest, train, publish at each size; a row per step, a column per size, and the ratio."""
    measured = {size: _loop(work / str(size), size, console) for size in _SIZES}
    small, large = (measured[size] for size in _SIZES)
    table = Table(title=f"The loop, {_EVENTS_EACH} events a customer, {_PRODUCTS:,} products")
    for heading in ("step", *(f"{size:,} customers" for size in _SIZES), "time x", "memory x"):
        table.add_column(heading, justify="right")
    for one, other in zip(small, large, strict=True):
        table.add_row(
            one.name,
            *(f"{step.seconds:.1f} s, {step.peak_bytes / 2**30:.2f} GiB" for step in (one, other)),
            f"{other.seconds / one.seconds:.1f}",
            f"{other.peak_bytes / one.peak_bytes:.1f}",
        )
    return table


def _loop(work: Path, customers: int, console: Console) -> list[Step]:
    source, dataset, job = work / "source", work / "dataset", work / "job.toml"
    with console.status(f"generating {customers:,} customers"):
        write_source(
            source,
            customers=customers,
            products=_PRODUCTS,
            events_each=_EVENTS_EACH,
            rng=default_rng(1),
        )
    job.write_text(_JOB, encoding="utf-8")
    home = work / "home"
    return [
        _step(console, "ingest", [str(source), "--out", str(dataset)], home),
        _step(console, "train", [str(dataset), "--job", str(job)], home),
        _step(console, "publish", ["--model", "growth"], home),
    ]


def _step(console: Console, command: str, words: list[str], home: Path) -> Step:
    """Run one command to its end. Its peak memory is what the operating system kept of it."""
    with console.status(f"oferta {command}"):
        began = time.monotonic()
        child = os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", "oferta", command, *words],
            {**os.environ, "OFERTA_HOME": str(home)},
            file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0o600)],
        )
        _, status, usage = os.wait4(child, 0)
        took = time.monotonic() - began
    if status:
        raise RuntimeError(f"oferta {command} ended with {os.waitstatus_to_exitcode(status)}")
    return Step(command, took, _peak(usage))


def _peak(usage: resource.struct_rusage) -> int:
    return int(usage.ru_maxrss) * 1024
