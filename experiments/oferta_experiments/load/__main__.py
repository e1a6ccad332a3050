"""`python -m oferta_experiments.load [--out docs/load.md] [--seconds 5] [--rounds 3]`."""

import argparse
import os
import tempfile
from functools import partial
from pathlib import Path

from numpy.random import default_rng
from rich.console import Console

from oferta.catalogue.offers import load_catalogue
from oferta.progress import Terminal
from oferta.store.connecting import StoreSettings, connect
from oferta_experiments.bench.http import LOAD_CORE, pin_redis, serving
from oferta_experiments.bench.published import publish_scores
from oferta_experiments.bench.seller import write_seller
from oferta_experiments.load.kinds import CUSTOMERS, Kind, kinds
from oferta_experiments.load.measure import CLIENTS, Measured, Plan, bare, consuming, measure
from oferta_experiments.load.show import markdown, terminal

_RULES = Path(__file__).parents[3] / "serving"
_CORES = 2


def main() -> None:
    """Measure, print the table, and write the page where one is asked for."""
    asked = argparse.ArgumentParser(prog="python -m oferta_experiments.load", description=__doc__)
    asked.add_argument("--out", type=Path, help="the page to write")
    asked.add_argument("--seconds", type=int, default=5)
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--clients", type=int, nargs="*", default=list(CLIENTS))
    given = asked.parse_args()
    console = Console()
    if (os.cpu_count() or 1) < _CORES:
        console.print("SKIPPED: with one core the two sides cannot be told apart")
        return
    plan = Plan(given.seconds, given.rounds, given.clients)
    with tempfile.TemporaryDirectory() as folder:
        measured = _measured(Path(folder), plan)
    console.print(terminal(measured))
    if given.out is not None:
        machine = f"{os.cpu_count()} cores, shared with others"
        given.out.write_text(markdown(measured, plan, machine=machine), encoding="utf-8")
        console.print(f"written to {given.out}")


def _measured(work: Path, plan: Plan) -> list[Measured]:
    catalogue = load_catalogue(_RULES / "catalogue")
    products = list(dict.fromkeys(p for offer in catalogue.offers for p in offer.products))
    scores = write_seller(work / "scores", products, customers=CUSTOMERS, rng=default_rng(1))
    with connect(StoreSettings(work)) as store:
        publish_scores(scores, store, work)
        pin_redis(work, [LOAD_CORE])
        config = ("--config", str(_RULES / "serving.toml"))
        with serving(work, *config) as ours, consuming(work), bare(store.url, ours):
            asked = partial(_kinds, products)
            return measure(ours, asked, plan, work=work, progress=Terminal())


def _kinds(products: list[str], turn: int) -> list[Kind]:
    return kinds(products, round_=turn)


if __name__ == "__main__":
    main()
