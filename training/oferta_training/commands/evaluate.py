"""`oferta evaluate`: which model foresees best what customers do next?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from oferta.evaluation.scorecard import Skipped
    from oferta.models.protocol import Recommender


def evaluate(
    dataset: Annotated[Path, typer.Argument(help="A dataset, or a folder of source files.")],
    split: Annotated[
        str,
        typer.Option(
            help="time:28d, column:NAME[=TESTVALUE], leave-one-out[:last|random] or random:0.2."
        ),
    ] = "time:28d",
    where: Annotated[
        list[str] | None,
        typer.Option(help="COLUMN=VALUE: only such events take part at all. Repeatable."),
    ] = None,
    folds: Annotated[
        int, typer.Option(help="Repeats: other draws, or consecutive earlier windows.", min=1)
    ] = 1,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn at random.", min=0)] = 7,
    models: Annotated[str, typer.Option(help="Names with commas between, or all.")] = "all",
    k: Annotated[str, typer.Option("--k", help="Lengths of lists, with commas between.")] = "10",
    metric: Annotated[
        str, typer.Option(help="What to order and tune by, as ndcg@10. Default: ndcg, first k.")
    ] = "",
    target: Annotated[
        str, typer.Option(help="Event types to foresee, with commas between. Default: conversions.")
    ] = "",
    tune: Annotated[
        int, typer.Option(help="Try up to this many settings per model, on a cut of train.", min=0)
    ] = 0,
    budget: Annotated[
        float,
        typer.Option(help="Minutes over all models; a fit of over half of it is skipped.", min=0),
    ] = 25.0,
    candidates: Annotated[
        Path | None,
        typer.Option(help="A file of customer_id (or the group) and product_id: only these rank."),
    ] = None,
    group: Annotated[
        str | None, typer.Option(help="A test row per value of this column, as event_id.")
    ] = None,
    history: Annotated[
        Literal["train", "train+valid"], typer.Option(help="What is known when lists are made.")
    ] = "train",
    fit: Annotated[
        Literal["train", "train+valid"],
        typer.Option(help="What models learn from, once settings are chosen."),
    ] = "train",
    keep_seen: Annotated[
        bool, typer.Option("--keep-seen", help="Lists may hold what the customer had before.")
    ] = False,
    recall: Annotated[
        Literal["test", "min"], typer.Option(help="Recall by |test|, or by min(k, |test|).")
    ] = "test",
    idcg: Annotated[
        Literal["cut", "full"], typer.Option(help="Ideal list cut at k, or of all test products.")
    ] = "cut",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="MODEL.PARAMETER=VALUE, as ease.l2=458. Repeatable."),
    ] = None,
    segment: Annotated[
        list[str] | None,
        typer.Option(help="A customer attribute that models may use as segment. Repeatable."),
    ] = None,
    allow_protected: Annotated[
        list[str] | None,
        typer.Option(help="COLUMN=REASON: a protected attribute, and why it is used. Repeatable."),
    ] = None,
    customer_features: Annotated[
        str, typer.Option(help="Customer attributes to learn from, with commas between.")
    ] = "",
    product_features: Annotated[
        str, typer.Option(help="Product attributes to learn from, with commas between.")
    ] = "",
    half_life: Annotated[
        float | None, typer.Option(help="Days after which an event counts half.")
    ] = None,
    saturation: Annotated[
        Literal["none", "log", "binary"], typer.Option(help="What repeats of an event add.")
    ] = "log",
    calibrate: Annotated[
        Literal["none", "isotonic", "platt", "auto", "own"],
        typer.Option(help="Make chances of scores and tell what they are worth. A second fit."),
    ] = "none",
    json: Annotated[
        str | None, typer.Option(help="Write the figures to this file; - for standard output.")
    ] = None,
    home: Annotated[Path | None, typer.Option(help="The state folder (default: .oferta).")] = None,
) -> None:
    """Compare models on data they have not seen.

    Every choice that changes a figure is printed with the figures.

    Settings are tuned inside train: the test has no part in them. See docs/evaluation.md.

    Examples:
    oferta evaluate sales/ --split time:28d --k 3,10

    oferta evaluate sales/ --tune 20 --budget 10 --json report.json

    oferta evaluate policies/ --split column:split=valid --group event_id --keep-seen --k 3

    oferta evaluate ratings/ --split leave-one-out --models ease --set ease.l2=458
    """
    import sys
    from dataclasses import replace
    from time import perf_counter

    from rich.console import Console

    from oferta.clock import SystemClock
    from oferta.evaluation.candidates import read_candidates
    from oferta.evaluation.evaluate import evaluate as compare
    from oferta.evaluation.limits import Limits
    from oferta.evaluation.protocol import Protocol
    from oferta.events.dataset import open_dataset
    from oferta.home import home_folder
    from oferta.models.memory import available_bytes
    from oferta.progress import Terminal
    from oferta.settings import parse
    from oferta_training.document import write_document
    from oferta_training.refused import refusers
    from oferta_training.scoreboard import show

    options = {
        "split": split,
        "where": tuple(where or ()),
        "folds": folds,
        "seed": seed,
        "k": _lengths(k),
        "metric": metric,
        "target": _names(target),
        "group": group,
        "history": history,
        "fit": fit,
        "keep_seen": keep_seen,
        "recall": recall,
        "idcg": idcg,
        "segments": tuple(segment or ()),
        "allow_protected": _reasons(allow_protected or []),
        "customer_features": _names(customer_features),
        "product_features": _names(product_features),
        "calibrate": calibrate,
        "weighting": {"half_life_days": half_life, "saturation": saturation},
    }
    _check_budget(budget)
    if json is not None:
        _check_writable(json)
    protocol = parse(options, Protocol, place="options")
    protocol.ordering  # noqa: B018 - a wrong metric is told before the data is read
    recipes, without = _recipes(_names(models), set_ or [])
    limits = Limits(budget * 60, available_bytes(), perf_counter)
    given = None if candidates is None else read_candidates(candidates)
    folder = home_folder(home)
    source = open_dataset(dataset, home=folder, clock=SystemClock(), progress=Terminal())
    source = source.without(refusers(source, folder, "training").customer_ids)
    found = compare(
        source,
        recipes,
        protocol=protocol,
        limits=limits,
        progress=Terminal(),
        candidates=given,
        tune=tune,
    )
    found = replace(found, skipped=(*without, *found.skipped))
    if json is not None:
        write_document(found.as_json(str(dataset)), json)
    if json != "-":
        show(found, str(dataset), Console())
    if not found.results:
        sys.exit(1)


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _lengths(text: str) -> tuple[int, ...]:
    from oferta.errors import SettingsInvalid

    try:
        return tuple(int(part) for part in _names(text))
    except ValueError:
        raise SettingsInvalid("--k", [f"'{text}': whole numbers with commas between"]) from None


def _reasons(options: list[str]) -> dict[str, str]:
    from oferta.errors import SettingsInvalid

    reasons: dict[str, str] = {}
    for one in options:
        column, equals, reason = one.partition("=")
        if not (column.strip() and equals):
            raise SettingsInvalid("--allow-protected", [f"'{one}': write it as COLUMN=REASON"])
        reasons[column.strip()] = reason.strip()
    return reasons


def _check_writable(place: str) -> None:
    """Hours of fitting must not end in a folder that is not there."""
    from oferta.errors import SettingsInvalid

    if place == "-":
        return
    if Path(place).is_dir():
        raise SettingsInvalid("--json", [f"{place} is a folder: name a file"])
    if not Path(place).parent.is_dir():
        folder = Path(place).parent
        raise SettingsInvalid("--json", [f"{folder} is no folder: make it, or write elsewhere"])


def _check_budget(minutes: float) -> None:
    from math import isfinite

    from oferta.errors import SettingsInvalid

    if not (isfinite(minutes) and minutes > 0):
        raise SettingsInvalid("--budget", [f"{minutes}: must be a number of minutes above 0"])


def _recipes(
    names: tuple[str, ...], settings: list[str]
) -> "tuple[dict[str, Recommender], list[Skipped]]":
    """The recipes, and what `all` does without because its library is not installed."""
    from oferta.errors import ExtraMissing, SettingsInvalid, UnknownName
    from oferta.evaluation.scorecard import Skipped
    from oferta.models.catalog import MODELS, recipe

    everything = names == ("all",)
    chosen = tuple(MODELS) if everything else names
    if not chosen:
        raise SettingsInvalid("--models", ["name at least one model, or all"])
    stated: dict[str, dict[str, Any]] = {name: {} for name in chosen}
    for one in settings:
        path, equals, value = one.partition("=")
        model, dot, parameter = path.strip().partition(".")
        if not (equals and dot and parameter):
            raise SettingsInvalid("--set", [f"'{one}': write it as MODEL.PARAMETER=VALUE"])
        if model not in stated:
            raise UnknownName("model in --set", model, stated)
        stated[model][parameter] = _value(value.strip())
    recipes: dict[str, Recommender] = {}
    without: list[Skipped] = []
    for name, values in stated.items():
        try:
            recipes[name] = recipe(name, values)
        except ExtraMissing as missing:
            if not everything:
                raise
            without.append(Skipped(name, str(missing)))
    return recipes, without


def _value(text: str) -> Any:  # noqa: ANN401 - a setting of any type; the recipe checks it
    """A TOML value (458, 0.5, true, "text", [1, 2]), null for None, else the text as it is."""
    import tomllib

    if text == "null":
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
