"""`oferta off-policy`: what would another policy have earned, by the log of this one?"""

from pathlib import Path
from typing import Annotated

import typer


def off_policy(
    log: Annotated[
        Path | None,
        typer.Argument(help="What was shown: product_id, probability, reward, and what was known."),
    ] = None,
    policy: Annotated[
        Path | None, typer.Argument(help="The new policy's probability of each product.")
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(help="NAME=COLUMN, as reward=click: what the log calls it. Repeatable."),
    ] = None,
    context: Annotated[
        str,
        typer.Option(
            help="Known when deciding: columns for the reward model, with commas between."
        ),
    ] = "none",
    seed: Annotated[int, typer.Option(help="Of everything that is drawn at random.", min=0)] = 7,
    json: Annotated[
        str | None, typer.Option(help="Write the figures to this file; - for standard output.")
    ] = None,
    track: Annotated[bool, typer.Option("--track", help="Log a run and a plot to MLflow.")] = False,
    home: Annotated[Path | None, typer.Option(help="The state folder (default: .oferta).")] = None,
    synthetic: Annotated[
        bool, typer.Option("--synthetic", help="Instead: the estimators where truth is known.")
    ] = False,
    runs: Annotated[int, typer.Option(help="How many runs of --synthetic.", min=1)] = 20,
) -> None:
    """Estimate what a new policy would have earned, from decisions that were logged.

    Four estimates with intervals, and how much of the log speaks for them. It refuses where the
    log cannot tell. Nothing is shown to anybody. See docs/off-policy.md.

    Examples:
    oferta off-policy decisions.parquet policy.csv

    oferta off-policy log.csv policy.csv --column reward=click --context position,age --json -

    oferta off-policy --synthetic --runs 20
    """
    from numpy.random import default_rng
    from rich.console import Console

    from oferta.errors import SettingsInvalid
    from oferta.evaluation.off_policy.decisions import logged_decisions
    from oferta.evaluation.off_policy.evaluate import policy_value
    from oferta.evaluation.off_policy.policy import policy_for
    from oferta.home import home_folder
    from oferta.progress import Terminal
    from oferta_experiments.off_policy.read import read_log, read_policy, renames
    from oferta_experiments.off_policy.show import show_value
    from oferta_training.document import write_document

    _check_writable(json)
    if synthetic:
        _synthetic(runs, seed, json, given=log or policy)
        return
    if log is None or policy is None:
        raise SettingsInvalid("off-policy", ["name a log and a policy, or --synthetic"])
    columns = renames(column or ())
    decisions = logged_decisions(read_log(log, columns), place=str(log), context=_context(context))
    new = policy_for(decisions, read_policy(policy, columns), place=str(policy))
    value = policy_value(decisions, new, rng=default_rng(seed), progress=Terminal())
    if json is not None:
        write_document(
            {"log": str(log), "policy": str(policy), "seed": seed, **value.as_json()}, json
        )
    if json != "-":
        show_value(value, f"{policy} on {log}", Console())
    if track:
        from oferta_experiments.off_policy.track import track as log_run

        settings = {"log": str(log), "policy": str(policy), "seed": str(seed)}
        run_id = log_run(
            value, name=f"{policy.stem} on {log.stem}", settings=settings, home=home_folder(home)
        )
        Console(stderr=True).print(f"MLflow run {run_id}")


def _synthetic(runs: int, seed: int, json: str | None, *, given: Path | None) -> None:
    from dataclasses import asdict

    from numpy.random import default_rng
    from rich.console import Console

    from oferta.errors import SettingsInvalid
    from oferta.progress import Terminal
    from oferta_experiments.off_policy.show import show_errors
    from oferta_experiments.off_policy.synthetic import PUBLISHED, relative_errors, summary
    from oferta_training.document import write_document

    if given is not None:
        raise SettingsInvalid("--synthetic", [f"makes its own log and policy: leave out {given}"])
    errors = summary(relative_errors(runs, rng=default_rng(seed), progress=Terminal()))
    if json is not None:
        figures = {
            name: {"relative_error": asdict(error), "published": asdict(PUBLISHED[name])}
            for name, error in errors.items()
        }
        write_document({"runs": runs, "seed": seed, "estimates": figures}, json)
    if json != "-":
        show_errors(errors, runs, Console())


def _context(text: str) -> list[str]:
    names = dict.fromkeys(name.strip() for name in text.split(","))
    return [name for name in names if name and name != "none"]


def _check_writable(place: str | None) -> None:
    from oferta.errors import SettingsInvalid

    if place in {None, "-"}:
        return
    if Path(str(place)).is_dir() or not Path(str(place)).parent.is_dir():
        raise SettingsInvalid("--json", [f"{place}: name a file in a folder that is there"])
