"""A decision to read in the terminal: offers with terms, score and reasons, then why not others."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text as Line

from oferta.clock import instant
from oferta.decisions.decision import Decision, OfferMade
from oferta.decisions.replay import Difference
from oferta.terms.quote import Terms
from oferta_serving.deciding.decider import Answered

_SHOWN = 400


def decision_page(made: Answered) -> Group:
    """The whole decision."""
    decision = made.decision
    parts: list[RenderableType] = [_head(made)]
    parts += [_offer(offer) for offer in decision.offers]
    if not decision.offers:
        parts.append(_nothing(decision))
    parts.append(_funnel(decision))
    return Group(*parts)


def difference_page(found: tuple[Difference, ...]) -> Table:
    """What came out differently when a decision was replayed."""
    table = Table(title="The replay differs", title_justify="left")
    for heading in ("field", "recorded", "replayed"):
        table.add_column(heading, overflow="fold")
    for one in found:
        table.add_row(one.field, _short(one.recorded), _short(one.replayed))
    return table


def _head(made: Answered) -> Line:
    decision = made.decision
    stored = made.id or "not stored (dry run)"
    personal = "personalised" if decision.personalised else "not personalised"
    said = (
        f"{stored}   {decision.channel}   {instant(decision.at)}   {personal}"
        f"{'   control group' if decision.control else ''}"
        f"{'   repeated' if made.repeated else ''}\n"
        f"release {decision.versions.release} ({decision.versions.model})   "
        f"policy {decision.versions.policy}   rate card {decision.versions.rate_card}"
    )
    return Line(said, style="dim")


def _offer(offer: OfferMade) -> Panel:
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim")
    facts.add_column()
    for reason in offer.reasons:
        facts.add_row("because", f"{reason.text.en}\n{reason.text.zh}")
    if offer.incentive is not None:
        sweet = offer.incentive
        facts.add_row("incentive", f"{sweet.text.en}\n{sweet.text.zh}")
        facts.add_row("", f"{sweet.amount:,.2f}, paid by {sweet.funder}")
    if offer.terms is not None:
        for name, text in _terms(offer.terms):
            facts.add_row(name, text)
    parts = offer.parts
    facts.add_row(
        "value",
        f"{parts.value:,.2f} = {parts.accept:.4g} accept x {parts.approved:.4g} approved x "
        f"({parts.margin:,.2f} margin - {parts.expected_loss:,.2f} loss) x {parts.context:.4g} "
        f"context x {parts.lever:.4g} lever",
    )
    facts.add_row("selected", f"{offer.selection}, with probability {offer.probability:.4g}")
    title = f"{offer.rank}. {offer.name.en}  {offer.name.zh}"
    return Panel(
        facts,
        title=title,
        subtitle=f"{offer.offer} in {offer.placement}",
        title_align="left",
        subtitle_align="right",
    )


def _terms(terms: Terms) -> Iterator[tuple[str, str]]:
    money = terms.currency
    if terms.annual_rate is not None:
        said = f"{_amount(terms.amount)} {money} over {terms.months} months at {terms.rate} %"
        yield "credit", f"{said}, annual rate {terms.annual_rate} %"
    if terms.instalment:
        yield "a month", f"{_amount(terms.instalment)} {money}"
    if terms.price:
        yield "price", f"{_amount(terms.price)} {money}"
    if terms.deposit:
        yield "deposit", f"{_amount(terms.deposit)} {money}"
    if terms.final_payment:
        yield "at the end", f"{_amount(terms.final_payment)} {money}"
    if terms.fees:
        said = ", ".join(f"{fee.name} {_amount(fee.amount)} ({fee.paid})" for fee in terms.fees)
        yield "fees", f"{said} {money}"
    if terms.excess is not None:
        yield "excess", f"{_amount(terms.excess)} {money}"
    if terms.changes:
        said = ", ".join(
            f"{change.what} {change.wished} -> {change.offered}" for change in terms.changes
        )
        yield "counter-offer", said
    yield "in all", f"{_amount(terms.total_payable)} {money}"


def _nothing(decision: Decision) -> Panel:
    lines = [f"{text.en}  {text.zh}  [{code}]" for code, text in decision.why]
    if decision.later_on is not None:
        lines.append(f"Ask again from {instant(decision.later_on)} on.")
    title = "No offer now" if decision.outcome == "later" else "No offer"
    return Panel(Line("\n".join(lines)), title=title, title_align="left")


def _funnel(decision: Decision) -> Table:
    table = Table(title="What became of the catalogue", title_justify="left")
    table.add_column("stage")
    table.add_column("left", justify="right")
    table.add_column("dropped, by reason", overflow="fold")
    for stage, left in decision.funnel:
        codes = Counter(one.code for one in decision.rejected if one.stage == stage)
        said = ", ".join(f"{code} {times}" for code, times in codes.most_common())
        table.add_row(stage, str(left), said)
    return table


def _amount(value: Decimal) -> str:
    return f"{value:,.2f}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
