"""The retail demo: a grocer's real year, from purchases to lists in milliseconds."""

import time
from importlib.resources import as_file, files
from pathlib import Path
from urllib.parse import quote

import httpx

from oferta.clock import SystemClock
from oferta.events.dataset import Dataset, open_dataset
from oferta.progress import Silent
from oferta_experiments.demo import grocer, retail_page
from oferta_experiments.demo.stage import Stage, require_free, short, tools


def run_retail(stage: Stage, *, port: int, once: bool) -> None:
    """Ingest, train, publish, serve, ask; then serve on until Ctrl-C, unless `once`.

    Raises:
        ExtraMissing: the demo's data is not installed.
        DemoFailed: one of the commands failed.
    """
    source, dataset = stage.home / "source", stage.home / "dataset"
    require_free(port)
    began = time.monotonic()
    stage.console.print(retail_page.opening(stage.home))
    stage.step("1  The data: a grocer's year, 1.2 million purchases of 2,469 households")
    if not (source / "customers.parquet").is_file():
        grocer.write_source(source)
    stage.command("ingest", str(source), "--out", str(dataset), "--replace")
    stage.step("2  Learn: four models on all but the last 28 days, compared on those")
    with as_file(files("oferta_experiments.demo") / "grocer.toml") as job:
        stage.command("train", str(dataset), "--job", short(job))
    stage.step("3  Score every household, publish a release to Redis, swap it live")
    stage.command("publish", "--model", "grocer")
    stage.step("4  Serve, and ask for three households")
    with stage.served(port) as address:
        with httpx.Client(base_url=address, timeout=5.0) as client:
            stage.console.print(retail_page.answers(client, _opened(dataset, stage.home)))
        if not once:
            _closing(stage, address, time.monotonic() - began)
            stage.wait()
    if once:
        stage.done(time.monotonic() - began, "serve", "--port", str(port))


def _closing(stage: Stage, address: str, seconds: float) -> None:
    home = stage.home
    stage.lines(
        f"[bold]Up and serving[/bold] after {seconds:.0f} s",
        (
            ("API docs", f"{address}/docs"),
            ("One customer", f"curl '{address}/v1/customers/1/recommendations?n=5'"),
            ("One category", f"curl '{address}/v1/customers/1/recommendations?category=Cheese'"),
            ("Similar", f"curl '{address}/v1/products/{quote('SHREDDED CHEESE')}/similar'"),
            ("Popular", f"curl '{address}/v1/popular?n=5'"),
            (
                "Experiments",
                f"{tools() / 'mlflow'} ui --backend-store-uri sqlite:///{home}/mlflow.db",
            ),
            ("Go back", f"OFERTA_HOME={home} {tools() / 'oferta'} rollback --reason 'because'"),
        ),
    )


def _opened(dataset: Path, home: Path) -> Dataset:
    return open_dataset(dataset, home=home, clock=SystemClock(), progress=Silent())
