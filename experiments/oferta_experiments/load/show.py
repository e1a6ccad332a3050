"""The table of loads, for the terminal and for docs/load.md."""

from collections.abc import Sequence

from rich.table import Table

from oferta_experiments.bench.load import generator
from oferta_experiments.load.measure import Measured, Plan

_HEADINGS = (
    "load",
    "clients",
    "ours/s",
    "p50 ms",
    "p99 ms",
    "refused",
    "bare/s",
    "p50 ms",
    "p99 ms",
    "rate",
    "p99",
    "bar",
)
P99_BAR = 2.0


def terminal(measured: Sequence[Measured]) -> Table:
    """For people at a terminal."""
    table = Table(
        title="Load: ours, a bare handler, and their ratios",
        title_justify="left",
        box=None,
        padding=(0, 1),
    )
    for heading in _HEADINGS:
        table.add_column(heading, justify="left" if heading == "load" else "right")
    for one in measured:
        table.add_row(*_cells(one))
    return table


def markdown(measured: Sequence[Measured], plan: Plan, *, machine: str) -> str:
    """The page docs/load.md."""
    rows = "\n".join(f"| {' | '.join(_cells(one))} |" for one in measured)
    return f"""# Load

What one worker answers, against a bare FastAPI handler that does with Redis what nobody can leave
out: for a list one GET of the same bytes, for a decision a SET of a record's size and a GET, for an
event an XADD of the same body. Written by `make load`; both sides ran in turn, {plan.rounds} rounds
of {plan.seconds} s, and medians are shown. The worker had one core, the generator ({generator()}),
Redis and the consumer the other ({machine}).

`rate` and `p99` at the right are ratios, ours to the bare handler's. `lists` are of customers who
did nothing since the release, `fresh lists` of customers who did something: these are worked out
anew for every answer. The mix is an app's: of ten requests seven fresh lists, two events, and one
decision. The bars are on the ratios: lists at least 0.6 of its rate, and a p99 of at most
{P99_BAR:.0f} times its own; the others have none. `refused` is what was answered with 503 because
it would have waited too long; rates count the rest.

| {" | ".join(_HEADINGS)} |
| --- |{" ---: |" * (len(_HEADINGS) - 1)}
{rows}
"""


def _cells(one: Measured) -> list[str]:
    return [
        one.kind,
        str(one.clients),
        f"{one.ours.rps:,.0f}",
        f"{one.ours.p50_ms:.2f}",
        f"{one.ours.p99_ms:.2f}",
        f"{one.refused:.1%}",
        f"{one.anchor.rps:,.0f}",
        f"{one.anchor.p50_ms:.2f}",
        f"{one.anchor.p99_ms:.2f}",
        f"{one.rate:.2f}",
        f"{one.p99:.2f}",
        _verdict(one),
    ]


def _verdict(one: Measured) -> str:
    if one.bar is None:
        return "-"
    return "met" if one.rate >= one.bar and one.p99 <= P99_BAR else "short"
