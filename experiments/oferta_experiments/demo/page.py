"""What the demo shows: the API's own answers, as a person likes to read them."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import polars as pl
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

_SHOWN = 5
_NEWCOMER = "somebody-new"


def opening() -> RenderableType:
    """What is about to happen."""
    return Panel(
        "From purchases to served recommendations, by the commands you would type yourself.\n"
        "Real data: The Complete Journey by 84.51°, a year of one grocer's tills.",
        title="[bold]oferta[/bold]",
        title_align="left",
        border_style="cyan",
    )


def answers(client: httpx.Client, dataset: Path) -> RenderableType:
    """Three customers as the API answers them: a regular, an occasional one and a newcomer."""
    regular, occasional = _two_customers(dataset)
    asked = (
        (regular, "a regular"),
        (occasional, "buys now and then"),
        (_NEWCOMER, "never seen before"),
    )
    return Group(*(_answer(client, customer, who) for customer, who in asked))


def closing(address: str, home: Path, seconds: float) -> RenderableType:
    """Where to go on."""
    lines = Table.grid(padding=(0, 2))
    for label, value in (
        ("API docs", f"{address}/docs"),
        ("Experiments", f"mlflow ui --backend-store-uri sqlite:///{home / 'mlflow.db'}"),
        ("One customer", f"curl '{address}/v1/customers/1/recommendations?n=5'"),
        ("In one category", f"curl '{address}/v1/customers/1/recommendations?category=Cheese'"),
        ("Similar products", f"curl '{address}/v1/products/{quote('SHREDDED CHEESE')}/similar'"),
        ("Popular", f"curl '{address}/v1/popular?n=5'"),
    ):
        lines.add_row(f"[bold]{label}[/bold]", Text(value, overflow="fold"))
    title = f"[bold]Up and serving[/bold] after {seconds:.0f} s; Ctrl-C ends it"
    return Padding(Panel(lines, title=title, title_align="left", border_style="green"), (1, 0))


def _two_customers(dataset: Path) -> tuple[str, str]:
    counts = (
        pl.scan_parquet(dataset / "events*" / "*.parquet")
        if (dataset / "events").is_dir()
        else pl.scan_parquet(dataset / "events.parquet")
    )
    by_events = (
        counts.group_by("customer_id").len().sort("len", "customer_id").collect()["customer_id"]
    )
    return str(by_events[int(len(by_events) * 0.8)]), str(by_events[int(len(by_events) * 0.1)])


def _answer(client: httpx.Client, customer: str, who: str) -> RenderableType:
    path = f"/v1/customers/{quote(customer, safe='')}/recommendations"
    answer: dict[str, Any] = client.get(path, params={"n": _SHOWN}).raise_for_status().json()
    table = Table(box=None, padding=(0, 2), header_style="dim")
    table.add_column("#", justify="right")
    table.add_column("product", style="bold")
    table.add_column("category")
    table.add_column("score", justify="right")
    table.add_column("why")
    for item in answer["items"]:
        table.add_row(
            str(item["rank"]),
            item["name"],
            item["category"],
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
