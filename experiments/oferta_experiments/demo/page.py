"""What the demo shows: the API's own answers, as a person likes to read them."""

import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.rule import Rule
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


def closing(console: Console, address: str, home: Path, seconds: float) -> None:
    """Where to go on: lines to copy, so nothing is framed or broken."""
    console.print(
        Rule(f"[bold]Up and serving[/bold] after {seconds:.0f} s", align="left", style="green")
    )
    tools = Path(sys.executable).parent
    tools = Path(os.path.relpath(tools)) if tools.is_relative_to(Path.cwd()) else tools
    for label, value in (
        ("API docs", f"{address}/docs"),
        ("One customer", f"curl '{address}/v1/customers/1/recommendations?n=5'"),
        ("One category", f"curl '{address}/v1/customers/1/recommendations?category=Cheese'"),
        ("Similar", f"curl '{address}/v1/products/{quote('SHREDDED CHEESE')}/similar'"),
        ("Popular", f"curl '{address}/v1/popular?n=5'"),
        ("Experiments", f"{tools / 'mlflow'} ui --backend-store-uri sqlite:///{home}/mlflow.db"),
        ("Go back", f"OFERTA_HOME={home} {tools / 'oferta'} rollback --reason 'because'"),
    ):
        console.print(f"[bold]{label:13}[/bold]{value}", soft_wrap=True, highlight=False)


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
