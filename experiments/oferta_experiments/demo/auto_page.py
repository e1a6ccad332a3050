"""What the auto-finance demo shows: decisions as the API answers them, for a person to read."""

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from oferta_experiments.demo.terms_text import money, schedule_rows, terms_text

_LINE: Final = 84
"""Cells that a sentence under an offer has, where the page has a hundred."""

Answer = Mapping[str, Any]
"""The JSON of a decision or a receipt."""


def opening(home: Path, customers: int) -> RenderableType:
    """What is about to happen."""
    return framed(
        "oferta",
        "From an auto financier's files to the next best offer: which one, with which terms, now\n"
        "or not at all, and why. By the commands you would type yourself\n"
        f"(after: source .venv/bin/activate; export OFERTA_HOME={home}).\n"
        f"The seller, its cars and its {customers:,} customers are simulated: nothing is real.",
        style="cyan",
    )


def framed(title: str, *parts: RenderableType, style: str = "white") -> RenderableType:
    """The parts in a frame under a bold title."""
    return Panel(
        Group(*parts), title=f"[bold]{title}[/bold]", title_align="left", border_style=style
    )


def decision(title: str, who: str, answer: Answer, *, detailed: int = 1) -> RenderableType:
    """An answer with its offers; the first `detailed` with schedule and parts of their value."""
    parts: list[RenderableType] = [Text(who, style="dim")]
    for offer in answer["offers"]:
        parts += ["", *_offer(offer, detailed=offer["rank"] <= detailed)]
    if not answer["offers"]:
        parts += ["", *nothing(answer)]
    parts += ["", Text(versions(answer), style="dim")]
    return framed(title, *parts)


def nothing(answer: Answer) -> Iterator[RenderableType]:
    """Why there is no offer, as the answer says."""
    for why in answer["why"]:
        yield both(why["text"])


def versions(answer: Answer) -> str:
    """What an answer was made with, in a line."""
    made_with = answer["versions"]
    return (
        f"decision {answer['decision_id'] or 'not stored'} · policy {made_with['policy'][:8]} · "
        f"rate card {made_with['rate_card'][:8]} · model {made_with['model']}"
    )


def both(text: Mapping[str, str], *, style: str = "") -> Text:
    """A sentence in both languages, on one line where they fit."""
    fits = cell_len(text["en"]) + cell_len(text["zh"]) <= _LINE
    return Text.assemble((text["en"], style), "  " if fits else "\n", (text["zh"], style or "dim"))


def portrait(facts: Mapping[str, Any]) -> str:
    """Who it is, in a line: car, contract, tier; from the profile."""
    said = []
    if facts.get("vehicle_make"):
        car = f"{facts['vehicle_make']} {facts['vehicle_body']}"
        registered: date | None = facts.get("vehicle_registered")
        year = f" of {registered:%Y}" if registered else ""
        worth = facts.get("market_value")
        said.append(car + year + (f" worth {worth:,.0f}" if worth else ""))
    if facts.get("has_finance"):
        ends: date = facts["contract_end"]
        kind = str(facts["contract_kind"]).replace("_", " ")
        owed = facts.get("payoff")
        said.append(f"{kind} until {ends:%Y-%m-%d}" + (f", {owed:,.0f} owed" if owed else ""))
    else:
        said.append("no finance with us")
    said.append(f"tier {facts['risk_tier']}")
    return " · ".join(said)


def _offer(offer: Mapping[str, Any], *, detailed: bool) -> Iterator[RenderableType]:
    name = offer["name"]
    title = Table.grid(expand=True)
    title.add_column(ratio=1)
    title.add_column(justify="right", no_wrap=True)
    title.add_row(
        Text.assemble(
            (f"{offer['rank']}  ", "bold"), (name["en"], "bold green"), "  ", (name["zh"], "green")
        ),
        Text(f"worth {offer['score']['value']:.2f}", style="dim"),
    )
    yield title
    terms, incentive = offer["terms"], offer["incentive"]
    if detailed:
        yield indented(both(offer["summary"], style="italic"))
    if incentive is not None:
        yield indented(both(incentive["text"], style="magenta"), bullet="+")
        paid = f"{money(incentive['amount'])}, paid by {incentive['funder']}"
        yield indented(Text(paid, style="dim"), bullet=" ")
    if terms is not None:
        yield indented(Text(terms_text(terms)))
        for change in terms["changes"]:
            yield indented(both(change["text"], style="yellow"), bullet="≠")
    for reason in offer["reasons"]:
        if not reason["code"].startswith("counter."):  # stands above, among the changes
            yield indented(both(reason["text"]), bullet="·")
    if detailed:
        if terms is not None and terms.get("schedule"):
            yield indented(schedule_table(terms))
        yield indented(Text(parts_text(offer["score"]), style="dim"))


def parts_text(score: Mapping[str, Any]) -> str:
    """The factors that multiply to the value."""
    return (
        f"{score['value']:.2f} = accept {score['accept']:.3g} x approved {score['approved']:.2f} x "
        f"(margin {score['margin']:.2f} - loss {score['expected_loss']:.2f}) x "
        f"moment {score['context']:g} x lever {score['lever']:g}"
    )


def schedule_table(terms: Mapping[str, Any]) -> RenderableType:
    """The first and last payments of a schedule."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", style="dim")
    headings, rows = schedule_rows(terms)
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True, min_width=2)
    for row in rows:
        table.add_row(*row)
    return table


def indented(part: RenderableType, *, bullet: str = "") -> RenderableType:
    """A part under an offer's name; with a bullet, wrapped lines stay beside it."""
    grid = Table.grid(padding=0)
    grid.add_column(width=3)
    if bullet:
        grid.add_column(width=2)
    grid.add_column()
    grid.add_row("", *((bullet,) if bullet else ()), part)
    return grid
