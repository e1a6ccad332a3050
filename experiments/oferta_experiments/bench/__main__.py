"""`make bench`: the speed table. `python -m oferta_experiments.bench growth` for growth."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: ALS brings its own threads

from rich.console import Console
from rich.table import Table

from oferta_experiments.bench.decisions import decision_rows
from oferta_experiments.bench.growth import growth_table
from oferta_experiments.bench.http import http_rows
from oferta_experiments.bench.models import model_rows
from oferta_experiments.bench.releases import release_rows
from oferta_experiments.bench.rows import Row

_PARTS: dict[str, Callable[[Path], list[Row]]] = {
    "models": model_rows,
    "releases": release_rows,
    "http": http_rows,
    "decisions": decision_rows,
}


def main(asked: list[str]) -> None:
    """Measure the parts asked for (all by default) and print what came out, bar by bar."""
    console = Console()
    if asked == ["growth"]:
        with tempfile.TemporaryDirectory() as folder:
            console.print(growth_table(Path(folder), console))
        return
    rows: list[Row] = []
    for name in asked or list(_PARTS):
        with tempfile.TemporaryDirectory() as folder, console.status(f"measuring {name}"):
            rows += _PARTS[name](Path(folder))
    console.print(_table(rows))


def _table(rows: Iterable[Row]) -> Table:
    table = Table(title="Speed as ratios, both sides in one run", title_justify="left")
    for heading in ("what", "ours", "anchor", "ratio", "bar", ""):
        table.add_column(heading, overflow="fold")
    for row in rows:
        verdict = (
            "-" if row.met is None else "[green]met[/green]" if row.met else "[red]short[/red]"
        )
        ratio = "-" if row.ratio is None else f"{row.ratio:.2f}"
        table.add_row(row.what, row.ours, row.anchor, ratio, row.bar, verdict)
    return table


if __name__ == "__main__":
    main(sys.argv[1:])
