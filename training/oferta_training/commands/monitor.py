"""`oferta monitor`: whether data and lists still look as they did, and what becomes of them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from oferta_training.monitoring.look import Look


def monitor(
    dataset: Annotated[
        Path | None, typer.Argument(help="The dataset to look at (default: the last night's).")
    ] = None,
    *,
    archive: Annotated[
        Path | None,
        typer.Option(help="Live events (default: the state folder's).", metavar="FOLDER"),
    ] = None,
    home: Annotated[
        Path | None, typer.Option(help="The state folder. Default: OFERTA_HOME, else .oferta.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare the newest data and scores with those before, and say what became of what was shown.

    Writes monitoring/report.html and monitoring/metrics.prom into the state folder, as `oferta
    nightly` does every night. An alarm is no failure: it ends with 0.

    Example: oferta monitor
    """
    import json

    from oferta.clock import SystemClock
    from oferta.errors import SourceRefused
    from oferta.events.dataset import open_dataset
    from oferta.home import home_folder
    from oferta.progress import Terminal
    from oferta_training.monitoring.look import look
    from oferta_training.monitoring.metrics import metrics_text
    from oferta_training.monitoring.page import page, places
    from oferta_training.nightly.state import Places
    from oferta_training.page import write_whole
    from oferta_training.publications import PublicationLog, publication_log_path

    folder, clock = home_folder(home), SystemClock()
    nights = Places(folder).datasets()
    if dataset is None and not nights:
        raise SourceRefused(
            "monitor.no_dataset",
            folder,
            "holds no dataset of a night",
            remedy="Name one: oferta monitor DATASET.",
        )
    opened = open_dataset(dataset or nights[0], home=folder, clock=clock, progress=Terminal())
    own = folder / "archive"
    seen = look(
        folder,
        opened,
        archive=archive or (own if own.is_dir() else None),
        publications=PublicationLog(publication_log_path(folder), clock),
        now=clock.now(),
    )
    report, metrics = places(folder)
    write_whole(report, page(seen))
    write_whole(metrics, metrics_text(seen))
    typer.echo(json.dumps(seen.as_json()) if as_json else _summary(seen, report))


def _summary(seen: "Look", report: Path) -> str:
    lines = [f"{len(seen.alarms)} to look at:" if seen.alarms else "Nothing unusual."]
    lines += [f"  {alarm.said}" for alarm in seen.alarms]
    if seen.lists is not None:
        lists = seen.lists
        lines.append(
            f"{lists.customers:,} customers, {lists.personalised:.0%} personalised, "
            f"{lists.coverage:.0%} of the products in a list, "
            f"{lists.top_share:.0%} of the lists begin with {lists.top_product}."
        )
    for row in () if seen.funnels is None else seen.funnels.lists[:3]:
        shown, clicked, *_ = row.stages
        lines.append(f"{row.placement}, {row.name}: {shown:,} shown, {clicked:,} clicked.")
    return "\n".join([*lines, f"The page: {report}"])
