"""What the demo shows of what stands behind an answer: its receipt, and what a no changes."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from oferta_experiments.demo.auto_page import both, framed
from oferta_experiments.demo.lately import Followed

_EXAMPLES: Final = 6
_TOP: Final = 3
_SAID: Final[Mapping[str, str]] = {
    "candidates": "offers of what the customer may have",
    "status": "approved, and today within their dates",
    "placement": "of this channel and a family that the placement takes",
    "eligibility": "may be made, make sense now, and suit the customer",
    "consent": "the customer agreed to be told",
    "contact": "under every cap, not refused lately",
    "terms": "terms can be fitted and afforded",
    "value": "worth more than nothing",
    "diversity": "not more of one kind than the policy allows",
    "room": "fit into the placement",
}
"""What an offer that is left after a stage has passed."""


def receipt(said: Mapping[str, Any]) -> RenderableType:
    """The funnel, examples of why not others, and the caps."""
    table = _table()
    for step in said["funnel"]:
        table.add_row(
            str(step["left"]), Text("▇" * -(-step["left"] // 4), "green"), _SAID[step["stage"]]
        )
    return framed(
        f"receipt of {said['decision_id']}",
        table,
        "",
        Text("Why not others:", style="bold"),
        _why_not(said["rejected"]),
        "",
        Text("Caps: " + _caps(said["caps"]), style="dim"),
    )


def refusal(said: Mapping[str, Any], offer_id: str) -> RenderableType:
    """What a receipt says of the offer that was declined."""
    (found,) = [row for row in said["rejected"] if row["offer_id"] == offer_id]
    return Text.assemble(
        (f"{offer_id}  ", "bold"), (f"{found['code']}  ", "yellow"), both(found["text"])
    )


def names(answer: Mapping[str, Any]) -> str:
    """The offers of an answer in order, by id."""
    return ", ".join(offer["offer_id"] for offer in answer["offers"]) or "none"


def followed(who: str, told: Followed) -> RenderableType:
    """The tops of both lists side by side, and what the first that is new stands for."""
    table = _table()
    table.columns[0].justify = "left"
    for label, answer in (("before", told.before), ("after", told.after)):
        names = ", ".join(item["name"] or item["product_id"] for item in answer["items"][:_TOP])
        table.add_row(label, f"{answer['served_from']}", names)
    known = {item["product_id"] for item in told.before["items"][:_TOP]}
    items = told.after["items"]
    first = next((item for item in items if item["product_id"] not in known), items[0])
    reason = first["reasons"][0]["text"] if first["reasons"] else ""
    return Group(
        Text.assemble((f"{who} {told.event['product_id']}", "bold")),
        table,
        Text(f"{first['name']}: {reason}"),
        Text(
            f"{told.seconds * 1000:.0f} ms after the event was accepted, by "
            f"{told.after['freshened_by']}, without any training",
            style="dim",
        ),
    )


def _why_not(rejected: Iterable[Mapping[str, Any]]) -> RenderableType:
    """The most frequent reasons that are not of status or placement, an offer as example each."""
    told = [row for row in rejected if row["stage"] not in ("status", "placement")]
    often = Counter(row["code"] for row in told)
    table = _table()
    for code, count in often.most_common(_EXAMPLES):
        example = next(row for row in told if row["code"] == code)
        detail = f": {example['detail']}" if example["detail"] else ""
        table.add_row(str(count), Text(code, "yellow"), Text(f"{example['offer_id']}{detail}"))
    return table


def _caps(caps: Iterable[Mapping[str, Any]]) -> str:
    return ", ".join(f"{cap['cap']} {cap['used']} of {cap['limit']}" for cap in caps) or "none"


def _table() -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column()
    return table
