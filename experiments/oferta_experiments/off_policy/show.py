"""Off-policy figures as a person reads them."""

from collections.abc import Iterator, Mapping
from math import floor, log10

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from oferta.evaluation.intervals import Interval
from oferta.evaluation.off_policy.evaluate import PolicyValue
from oferta_experiments.off_policy.synthetic import PUBLISHED, Error

_WORDS = {
    "ips": "inverse propensity score",
    "snips": "self-normalised",
    "dm": "direct method",
    "dr": "doubly robust",
}


def show_value(value: PolicyValue, name: str, console: Console) -> None:
    """Print every estimate beside what the log's policy earned, and whether to believe it."""
    console.print(Group(*_value(value, name)))


def show_errors(errors: Mapping[str, Error], runs: int, console: Console) -> None:
    """Print the relative errors beside the published ones."""
    table = Table(
        box=None, padding=(0, 2), header_style="dim", title_justify="left",
        title=f"Relative error over {runs} synthetic runs, mean ± standard deviation",
    )  # fmt: skip
    for heading in ("", "", "here", "published (20 runs)"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, error in errors.items():
        known = PUBLISHED[name]
        table.add_row(
            name.upper(),
            _WORDS[name],
            f"{error.mean:.4f} ± {error.sd:.4f}",
            f"{known.mean:.4f} ± {known.sd:.4f}",
        )
    console.print(table)


def _value(value: PolicyValue, name: str) -> Iterator[RenderableType]:
    yield Text(name, style="bold")
    table = Table(box=None, padding=(0, 1), header_style="dim")
    for heading in ("", "per row", "95 % interval", "over logged", "95 % interval"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    places = _places(value.estimates["dr"])
    table.add_row("logged", *_cells(value.logged, f".{places}f"))
    for estimator, estimate in value.estimates.items():
        gain = _cells(value.gains[estimator], f"+.{places}f")
        table.add_row(estimator.upper(), *_cells(estimate, f".{places}f"), *gain)
    yield table
    support = value.support
    yield Text(
        f"effective sample size {support.ess:,.0f} of {support.rows:,} ({support.ess_share:.1%}) · "
        f"mean weight {support.mean_weight:.3f} · largest {support.max_weight:.1f}"
    )
    yield Text(f"DM and DR: {value.reward_model}", style="dim")
    yield Text("DM's interval leaves out what its reward model gets wrong.", style="dim")
    yield Text(value.verdict, style="bold")


def _places(interval: Interval) -> int:
    """Decimals to print: two digits of the interval's width are known, no more."""
    width = interval.high - interval.low
    return max(0, 1 - floor(log10(width))) if width else 4


def _cells(interval: Interval, form: str) -> tuple[str, str]:
    return f"{interval.mean:{form}}", f"{interval.low:{form}} to {interval.high:{form}}"
