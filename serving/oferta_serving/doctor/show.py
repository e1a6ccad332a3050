"""The findings for people: a table, and how many there are of each kind."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from rich.console import Console
from rich.table import Table

from oferta_serving.doctor.finding import Finding, State

_MARKS: Final[dict[State, str]] = {
    "ok": "[green]ok[/]",
    "advice": "[yellow]advice[/]",
    "wrong": "[red]wrong[/]",
    "unknown": "[dim]unknown[/]",
}


def show(findings: Iterable[Finding], console: Console) -> None:
    """Print them as they come, what is to be done under what was found."""
    counts: Counter[State] = Counter()
    table = Table(box=None, pad_edge=False)
    for column in ("", "area", "what", "found"):
        table.add_column(column, no_wrap=column != "found")
    for each in findings:
        counts[each.state] += 1
        said = each.said + (f"\n[bold]{each.remedy}[/]" if each.remedy else "")
        table.add_row(_MARKS[each.state], each.area, each.name, said)
    console.print(table)
    console.print(
        f"{counts['wrong']} wrong, {counts['advice']} to weigh, {counts['ok']} ok"
        + (f", {counts['unknown']} not known" if counts["unknown"] else "")
    )
