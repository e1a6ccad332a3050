"""`oferta ingest`: source files to a dataset."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from oferta.events.report import IngestReport


def ingest(
    source: Annotated[
        Path,
        typer.Argument(help="A folder, one file of events, or a source.toml.", metavar="SOURCE"),
    ],
    *,
    out: Annotated[Path, typer.Option("--out", help="The dataset to write.", metavar="DATASET")],
    archive: Annotated[
        Path | None,
        typer.Option(help="Read the live events archived there, too.", metavar="FOLDER"),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse any rejected row.")] = False,
    max_rejected: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="Largest share of rejected rows in a table."),
    ] = 0.05,
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="Allow tables without rows.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace a dataset that holds other content.")
    ] = False,
    accept_shrink: Annotated[
        bool,
        typer.Option("--accept-shrink", help="Allow far fewer products or customers than before."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Check source files and make them a dataset: accepted rows, and rejected ones with reasons.

    SOURCE holds events.csv (or .parquet, .ndjson, also .gz), and products, customers and consent
    where there are such files. A source.toml in it maps foreign names: see docs/data.md. Events
    that arrived live are read from --archive, which `oferta consume` writes (.oferta/archive).

    Example: oferta ingest shop/ --out datasets/shop
    """
    import json

    from oferta.clock import SystemClock
    from oferta.events.guards import IngestOptions
    from oferta.events.ingest import ingest as run
    from oferta.home import home_folder
    from oferta.privacy.folders import note_folder
    from oferta.progress import Terminal
    from oferta.store.forgotten import forgotten_of

    home = home_folder()
    options = IngestOptions(
        strict=strict,
        max_rejected=max_rejected,
        allow_empty=allow_empty,
        replace=replace,
        accept_shrink=accept_shrink,
        forgotten=forgotten_of(home),
    )
    report = run(
        source, out, options=options, clock=SystemClock(), progress=Terminal(), archive=archive
    )
    note_folder(home, "dataset", out)
    if as_json:
        typer.echo(json.dumps(report.as_json(), ensure_ascii=False, indent=2))
    else:
        _show(report)


def _show(report: "IngestReport") -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False, soft_wrap=True)
    dataset = escape(str(report.dataset))
    if report.unchanged:
        console.print(f"[bold]{dataset}[/] holds this very content already: nothing to do.")
    console.print(_counts(report))
    _show_rejected(report, console)
    _show_content(report, console)
    for warning in report.warnings:
        console.print(f"[yellow]warning[/]      {escape(warning)}")
    for note in report.notes:
        console.print(f"[dim]note         {escape(note)}[/]")
    if not report.unchanged:
        read = sum(counts.read for counts in report.tables.values())
        # Of a small file the rate says nothing.
        rate = f", {read / report.seconds:,.0f} rows/s" if read >= 100_000 else ""  # noqa: PLR2004
        console.print(f"\n[green]done[/] in {report.seconds:.1f} s{rate}: {dataset}")


def _counts(report: "IngestReport") -> "Table":
    from rich.table import Table

    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("table")
    for heading in ("read", "accepted", "rejected", "repeated"):
        table.add_column(heading, justify="right")
    for name, counts in report.tables.items():
        if counts.derived:
            table.add_row(name, "from events", f"{counts.accepted:,}", "", "")
            continue
        rejected = f"[red]{counts.rejected_rows:,}[/]" if counts.rejected_rows else "0"
        accepted, repeated = f"{counts.accepted:,}", f"{counts.deduplicated:,}"
        table.add_row(name, f"{counts.read:,}", accepted, rejected, repeated)
    return table


def _show_rejected(report: "IngestReport", console: "Console") -> None:
    from rich.markup import escape

    from oferta.events.codes import REASONS

    for name, counts in report.tables.items():
        for reason, count in counts.rejected.items():
            console.print(f"\n[red]{count:,} {name} rejected[/], {reason}: {REASONS[reason]}")
            if reason in counts.examples:
                console.print(f"  {escape(counts.examples[reason])}", style="dim")
        if counts.rejected_file:
            console.print(f"  all of them in {escape(str(counts.rejected_file))}", style="dim")


def _show_content(report: "IngestReport", console: "Console") -> None:
    from rich.markup import escape

    manifest = report.manifest
    seen = [entry for entry in manifest.event_types if entry.events]
    kinds = ", ".join(
        f"{escape(entry.name)} {entry.events:,} ({entry.meaning})" for entry in seen[:8]
    )
    more = f" and {len(seen) - 8} more" if len(seen) > 8 else ""  # noqa: PLR2004 - one line of them
    console.print(f"\nevent types  {kinds}{more}")
    if manifest.first_time and manifest.last_time:
        first, last = manifest.first_time, manifest.last_time
        console.print(f"times        {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC")
    elif manifest.order == "seq":
        console.print("order        by seq, each customer's own")
