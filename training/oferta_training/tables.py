"""What the training commands print for people."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from oferta_training.export import CustomerList


def customer_table(found: CustomerList) -> RenderableType:
    """One customer's list with names and reasons."""
    table = Table(box=None, padding=(0, 2), header_style="dim")
    table.add_column("#", justify="right")
    table.add_column("product", style="bold")
    table.add_column("category")
    table.add_column("score", justify="right")
    table.add_column("why")
    for item in found.items:
        table.add_row(
            str(item["rank"]),
            item["name"] or item["product_id"],
            item["category"] or "",
            f"{item['score']:.3f}",
            item["text"],
        )
    facts = [f"model {found.model}", f"scored {found.scored_at[:16]}"]
    if found.segment:
        facts.append(f"segment {found.segment}")
    if not found.known:
        facts.append("not a customer that was scored: the popular list")
    return Group(
        Text(f"customer {found.customer}", style="bold"),
        table,
        Text(" · ".join(facts), style="dim"),
    )
