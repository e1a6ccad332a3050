"""`oferta export` and `oferta recommend`: the scores as a file, or one customer's to read."""

from pathlib import Path
from typing import Annotated

import typer

_Home = Annotated[Path | None, typer.Option(help="The state folder (default: .oferta).")]
_Scores = Annotated[
    Path | None, typer.Option(help="A scores folder (default: the newest under the state folder).")
]


def export(
    out: Annotated[Path, typer.Option(help="The file: .parquet, .csv, .csv.gz or .ndjson.")],
    scores: _Scores = None,
    top: Annotated[int | None, typer.Option(help="Only ranks up to this.", min=1)] = None,
    home: _Home = None,
) -> None:
    """Write everybody's scores to one file that other programs read.

    Example: oferta export --out lists.csv --top 5
    """
    from oferta.home import home_folder
    from oferta_training.export import export_scores
    from oferta_training.score import newest_scores
    from oferta_training.scores import ScoresFolder

    folder = ScoresFolder.open(scores or newest_scores(home_folder(home)))
    rows = export_scores(folder, out, top=top)
    typer.echo(f"{rows:,} rows of {folder.customers:,} customers in {out}", err=True)


def recommend(
    customer: Annotated[str, typer.Argument(help="The customer's id.")],
    n: Annotated[int, typer.Option("-n", help="How many products.", min=1, max=500)] = 10,
    scores: _Scores = None,
    home: _Home = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show one customer's list from the newest scores, as the next release would hold it.

    Example: oferta recommend 1042 -n 5
    """
    import orjson
    from rich.console import Console

    from oferta.home import home_folder
    from oferta.ids import customer_id
    from oferta_training.export import customer_list
    from oferta_training.score import newest_scores
    from oferta_training.scores import ScoresFolder
    from oferta_training.tables import customer_table

    wanted = customer_id(customer)
    folder = ScoresFolder.open(scores or newest_scores(home_folder(home)))
    found = customer_list(folder, wanted, n=n)
    if as_json:
        typer.echo(orjson.dumps(found.as_json(), option=orjson.OPT_INDENT_2))
        return
    Console(highlight=False).print(customer_table(found))
