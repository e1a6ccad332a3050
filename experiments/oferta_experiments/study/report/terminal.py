"""What a study found, as the terminal shows it when a run ends."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from oferta_experiments.study.report.tables import main_lines
from oferta_experiments.study.report.words import shortened
from oferta_experiments.study.result import StudyResult

_NAME = 20
_COLOURS = {"better": "green", "worse": "red"}


def summary_text(result: StudyResult, paths: Sequence[Path] = ()) -> RenderableType:
    """Question, answer and table, then where the report lies. Names are never read as markup.

    Fits 80 columns; what is not in this table is in the report's.
    """
    lines = main_lines(result)
    names = shortened((line.variant.name for line in lines), _NAME)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("variant", style="bold", no_wrap=True)
    for head in (result.metric, "from baseline"):
        table.add_column(Text(head), justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for line in lines:
        measured, against = line.cells[:2]
        table.add_row(
            Text(names[line.variant.name]),
            Text.assemble(measured.main, (f"\n{measured.beside}", "dim")),
            Text.assemble(against.main, (f"\n{against.beside}", "dim")),
            Text(
                f"{line.sign} {line.verdict or ''}".strip(),
                style=_COLOURS.get(line.verdict or "", "dim"),
            ),
        )
    parts: list[RenderableType] = [
        Text(result.question, style="dim"),
        Text(result.answer, style="bold"),
        Text(),
        table,
    ]
    parts += [
        Text(f"{one.variant} was not judged: it {one.why}", style="yellow") for one in result.left
    ]
    if paths:
        parts += [Text(), *(Text(str(path), no_wrap=True, overflow="ignore") for path in paths)]
    return Group(*parts)
