"""What the retail demo shows: the API's own answers, as a person likes to read them."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from oferta.events.dataset import Dataset

_SHOWN = 5
_NEWCOMER = "somebody-new"


def opening(home: Path) -> RenderableType:
    """What is about to happen."""
    return Panel(
        "From purchases to served recommendations, by the commands you would type yourself\n"
        f"(after: source .venv/bin/activate; export OFERTA_HOME={home}).\n"
        "Real data: The Complete Journey by 84.51°, a year of one grocer's tills.",
        title="[bold]oferta[/bold]",
        title_align="left",
        border_style="cyan",
    )


def answers(client: httpx.Client, dataset: Dataset) -> RenderableType:
    """Three customers as the API answers them: a regular, an occasional one and a newcomer."""
    regular, occasional = _two_customers(dataset)
    asked = (
        (regular, "a regular"),
        (occasional, "buys now and then"),
        (_NEWCOMER, "never seen before"),
    )
    return Group(*(_answer(client, customer, who) for customer, who in asked))


def _two_customers(dataset: Dataset) -> tuple[str, str]:
    """Somebody with more events than four in five customers, and than one in ten."""
    by_events = (
        dataset.events()
        .group_by("customer_id")
        .len()
        .sort("len", "customer_id")
        .collect()["customer_id"]
    )
    return str(by_events[int(len(by_events) * 0.8)]), str(by_events[int(len(by_events) * 0.1)])


def _answer(client: httpx.Client, customer: str, who: str) -> RenderableType:
    path = f"/v1/customers/{quote(customer, safe='')}/recommendations"
    answer: dict[str, Any] = client.get(path, params={"n": _SHOWN}).raise_for_status().json()
    table = Table(box=None, padding=(0, 2), header_style="dim")
    table.add_column("#", justify="right")
    table.add_column("product", style="bold", no_wrap=True)
    table.add_column("score", justify="right")
    table.add_column("why")
    for item in answer["items"]:
        table.add_row(
            str(item["rank"]),
            item["name"],
            f"{item['score']:.3f}",
            item["reasons"][0]["text"],
        )
    facts = (
        f"release {answer['release']} · model {answer['model']} · {answer['age_s']:.0f} s old · "
        f"{answer['served_from']}" + (" · cold" if answer["cold"] else "")
    )
    return Panel(
        Group(table, Text(facts, style="dim")),
        title=f"[bold]household {customer}[/bold], {who}",
        title_align="left",
        border_style="white",
    )
