"""What came of an audience or of triggers, to read in the terminal."""

from collections.abc import Mapping

import polars as pl
from rich.console import Group as Lines
from rich.console import JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from oferta.decisions.whys import WHYS

_SHOWN = 10
_HEADINGS = {"customer_id": "customer", "offer_id": "offer", "expected_value": "value"}
_TEXTS = {
    "not_personalised": "their answer may not depend on them",
    "unreadable": "their contacts are stored damaged",
}


def rows_table(rows: pl.DataFrame, title: str) -> Table:
    """The first rows, amounts to the cent."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 1))
    for name, dtype in rows.schema.items():
        justify: JustifyMethod = "right" if dtype.is_numeric() else "left"
        table.add_column(_HEADINGS.get(name, name), justify=justify, no_wrap=True)
    for row in rows.head(_SHOWN).iter_rows(named=True):
        table.add_row(*(_cell(name, value) for name, value in row.items()))
    return table


def refused_lines(refused: Mapping[str, int]) -> Lines:
    """Why the others got no offer, the most frequent reason first."""
    lines: list[RenderableType] = []
    for code, count in sorted(refused.items(), key=lambda one: (-one[1], one[0])):
        text = WHYS[code].en if code in WHYS else _TEXTS.get(code, "")
        lines.append(Text(f"  {count:,} {code}: {text}", style="dim"))
    return Lines(*lines)


def _cell(name: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4f}" if name == "propensity" else f"{value:,.2f}"
    return str(value)
