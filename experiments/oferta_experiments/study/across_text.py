"""Several studies' results in a terminal, or as a file."""

from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from oferta.errors import SettingsInvalid
from oferta_experiments.study.across import Across

_KINDS = (".csv", ".parquet", ".ndjson")
_COLOURS = {"better": "green", "worse": "red"}


def across_text(found: Across) -> RenderableType:
    """A line per variant, a line per pair, then what must not be compared."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for head in ("variant", "model", "metric"):
        table.add_column(head, style="bold" if head == "variant" else "")
    for head in ("mean", "95 % interval", "fit s"):
        table.add_column(head, justify="right", no_wrap=True)
    for one in found.entries:
        figure = one.variant.metrics[one.metric]
        table.add_row(
            Text(one.label),
            Text(one.variant.model),
            one.metric,
            f"{figure.mean:.4f}",
            f"{figure.low:.4f} to {figure.high:.4f}",
            f"{one.variant.fit_s:.1f}",
        )
    parts: list[RenderableType] = [table]
    if found.differences:
        pairs = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        pairs.add_column("pair")
        for head in ("difference", "95 % interval", "p, corrected", "verdict"):
            pairs.add_column(head, justify="right", no_wrap=True)
        for gap in found.differences:
            pairs.add_row(
                Text(f"{gap.variant} from {gap.other}"),
                f"{gap.figure.mean:+.4f}",
                f"{gap.figure.low:+.4f} to {gap.figure.high:+.4f}",
                f"{gap.p_adjusted:.4f}",
                Text(gap.verdict, style=_COLOURS.get(gap.verdict, "dim")),
            )
        parts += [Text(), pairs]
    parts += [Text(f"\n{warning}", style="yellow") for warning in found.warnings]
    return Group(*parts)


def write_table(found: Across, path: Path) -> None:
    """All figures of all variants as a file.

    Raises:
        SettingsInvalid: a kind of file that is not written.
    """
    table = found.table()
    if path.suffix == ".parquet":
        table.write_parquet(path)
    elif path.suffix == ".csv":
        table.write_csv(path)
    elif path.suffix == ".ndjson":
        table.write_ndjson(path)
    else:
        raise SettingsInvalid("--export", [f"{path}: name a file ending in {', '.join(_KINDS)}"])
