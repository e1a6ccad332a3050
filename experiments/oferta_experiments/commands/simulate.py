"""`oferta simulate`: what a policy would truly earn, where the truth is known."""

from pathlib import Path
from typing import Annotated

import typer


def simulate(
    world: Annotated[
        Path, typer.Argument(help="A folder that `oferta world` made.", metavar="DIR")
    ],
    *,
    catalogue: Annotated[Path, typer.Option(help="The offers.")] = Path("serving/catalogue"),
    policy: Annotated[Path, typer.Option(help="The policy.")] = Path("serving/policy.toml"),
    rate_cards: Annotated[Path, typer.Option(help="The rate cards.")] = Path("serving/rate_cards"),
    job: Annotated[Path, typer.Option(help="How the model is trained.")] = Path(
        "training/jobs/auto.toml"
    ),
    months: Annotated[int, typer.Option(help="How many months to live.", min=1, max=24)] = 3,
    control: Annotated[
        float, typer.Option(help="Share of the control group that measures uplift.")
    ] = 0.2,
    seed: Annotated[int, typer.Option(help="Of intervals and the control group.", min=0)] = 7,
    page: Annotated[
        Path, typer.Option("--page", help="Where the page is written.", metavar="FILE")
    ] = Path("simulation.html"),
    json: Annotated[
        str | None, typer.Option(help="Write the figures to this file; - for standard output.")
    ] = None,
) -> None:
    """Let a policy, popularity, chance and nobody speak to the same simulated customers.

    The world goes on after its end, once with each of them, and answers as it truly would. At most
    its first 10,000 customers take part; nothing is kept but the page. See docs/world.md.

    Example: oferta simulate world/ --months 3 --page simulation.html
    """
    from dataclasses import asdict
    from tempfile import TemporaryDirectory

    from rich.console import Console

    from oferta.catalogue.offers import load_catalogue
    from oferta.policy.file import load_policy
    from oferta.progress import Terminal
    from oferta.terms.card import load_cards
    from oferta_experiments.world.simulate.page import write_page
    from oferta_experiments.world.simulate.run import Asked, Seller
    from oferta_experiments.world.simulate.run import simulate as run
    from oferta_experiments.world.simulate.show import summary
    from oferta_experiments.world.simulate.start import start_from
    from oferta_training.document import write_document
    from oferta_training.job import load_job

    asked = Asked(months, control, seed)
    seller = Seller(load_catalogue(catalogue), load_policy(policy), load_cards(rate_cards))
    trained = load_job(job)
    start = start_from(world, progress=Terminal())
    with TemporaryDirectory(prefix="oferta-simulate-") as home:
        result = run(
            start,
            seller,
            trained,
            asked=asked,
            world=world,
            home=Path(home),
            progress=Terminal(),
        )
    written = write_page(result, page)
    if json is not None:
        write_document(asdict(result), json)
    if json != "-":
        Console(highlight=False).print(summary(result, [written]))
