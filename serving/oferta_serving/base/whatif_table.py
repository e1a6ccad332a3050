"""A what-if to read in the terminal."""

from collections.abc import Sequence

from rich.console import Group as Lines
from rich.console import JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from oferta.clock import instant
from oferta.decisions.whatif import CHANGES, Change, Group, Share, WhatIf
from oferta_serving.base.numbers import change, percent

SAID: dict[Change, str] = {
    "lost": "lose every offer",
    "less": "best offer worth less",
    "same": "as before",
    "more": "best offer worth more",
    "first": "get a first offer",
}
"""The changes in words."""

_STYLE: dict[Change, str] = {"lost": "red", "less": "yellow", "more": "green", "first": "green"}
_OFFERS = 15


def whatif_lines(found: WhatIf) -> Lines:
    """The whole comparison."""
    parts: list[RenderableType] = [_head(found), _changes(found)]
    for title, groups in (
        ("By segment", found.segments),
        ("By risk tier", found.tiers),
        ("By stage", found.stages),
    ):
        if len(groups) > 1:
            parts += [Text(), _groups(title, groups)]
    parts += [Text(), _families(found.families)]
    if found.offers:
        parts += [Text(), _offers(found.offers)]
    return Lines(*parts)


def _head(found: WhatIf) -> Text:
    before, after = found.total.value
    said = Text()
    said.append(f"{found.total.customers:,} customers", style="bold")
    said.append(f" on {instant(found.at)[:10]} through {', '.join(found.channels)}\n", style="dim")
    said.append(
        f"Expected value of the best offers: {before:,.0f} -> {after:,.0f} {found.currency}"
    )
    said.append(f"  ({change(before, after) or 'nothing before'})\n", style="bold")
    had, has = found.total.reached
    said.append(f"Customers with an offer: {had:,} -> {has:,}\n")
    one, other = found.personalised
    said.append(f"Answers that depend on the customer: {one:,} -> {other:,}\n")
    versions = [
        f"{name} {getattr(found.before, key)} -> {getattr(found.after, key)}"
        for name, key in (("policy", "policy"), ("catalogue", "catalogue"), ("rates", "rate_card"))
        if getattr(found.before, key) != getattr(found.after, key)
    ]
    said.append("; ".join(versions) or "The files say the same.", style="dim")
    said.append("\n")
    return said


def _changes(found: WhatIf) -> Table:
    table = _table("What changes for customers", "", "customers", "share")
    for one in CHANGES:
        count = found.total.changes[one]
        share = percent(count / max(found.total.customers, 1))
        table.add_row(SAID[one], f"{count:,}", share, style=_STYLE.get(one) if count else "dim")
    return table


def _groups(title: str, groups: Sequence[Group]) -> Table:
    table = _table(title, "", "people", "lose all", "less", "more", "first", "value", "after", "")
    for group in groups:
        table.add_row(
            group.name,
            f"{group.customers:,}",
            *(f"{group.changes[one]:,}" for one in CHANGES if one != "same"),
            f"{group.value[0]:,.0f}",
            f"{group.value[1]:,.0f}",
            change(*group.value),
        )
    return table


def _families(shares: Sequence[Share]) -> Table:
    table = _table("Best offer by family", "", "best for", "after", "value", "after", "")
    for share in shares:
        table.add_row(
            share.name,
            f"{share.best[0]:,}",
            f"{share.best[1]:,}",
            f"{share.value[0]:,.0f}",
            f"{share.value[1]:,.0f}",
            change(*share.value),
        )
    return table


def _offers(shares: Sequence[Share]) -> Table:
    shown = shares[:_OFFERS]
    more = f", {len(shares) - len(shown)} more change" if len(shares) > len(shown) else ""
    headings = ("could get", "after", "best for", "after", "value", "after")
    table = _table(f"Offers that change most{more}", "", *headings)
    for share in shown:
        pairs = (*share.could, *share.best)
        values = (f"{value:,.0f}" for value in share.value)
        table.add_row(share.name, *(f"{customers:,}" for customers in pairs), *values)
    return table


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 1))
    for number, heading in enumerate(headings):
        justify: JustifyMethod = "right" if number else "left"
        table.add_column(heading, justify=justify, header_style="dim", no_wrap=True)
    return table
