"""An evaluation as a person reads it: the protocol, the table, what to know about the figures."""

from collections.abc import Iterator, Mapping
from typing import Any

from numpy.random import default_rng
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from oferta.evaluation.intervals import Interval, paired_difference
from oferta.evaluation.scorecard import Evaluation, Scorecard

_ACCURACY = ("hr", "precision", "recall", "mrr", "map", "ndcg")
_BEYOND = ("coverage", "novelty", "popularity_share", "diversity")
_PRODUCTS_TOLD = 8
_HEADINGS = {
    "hr": "HR",
    "precision": "P",
    "recall": "R",
    "mrr": "MRR",
    "map": "MAP",
    "ndcg": "NDCG",
    "coverage": "cover",
    "novelty": "bits",
    "popularity_share": "pop10",
    "diversity": "unlike",
}


def show(evaluation: Evaluation, dataset: str, console: Console) -> None:
    """Print the evaluation: one table per length of list, then the notes."""
    console.print(Group(*_parts(evaluation, dataset)))


def show_briefly(evaluation: Evaluation, dataset: str, console: Console) -> None:
    """Print a line for each model, best first: the metric that orders them, and its interval."""
    ordering = evaluation.protocol.ordering
    lines = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for card in evaluation.results:
        found = card.metrics[ordering]
        lines.add_row(
            card.model,
            f"{ordering} {_short(found.mean)}",
            Text(f"{_short(found.low)}-{_short(found.high)}", style="dim"),
        )
    console.print(Text(dataset, style="bold"))
    console.print(lines)
    console.print(Text("95 % intervals over customers; all metrics: without --brief", style="dim"))


def _parts(evaluation: Evaluation, dataset: str) -> Iterator[RenderableType]:
    yield Text(dataset, style="bold")
    yield Text(evaluation.protocol.sentence(), style="dim")
    metric, _, at = evaluation.protocol.ordering.partition("@")
    if evaluation.results:
        for k in evaluation.protocol.k:
            yield ""
            yield _table(evaluation.results, k, bold=metric if str(k) == at else None)
        yield ""
        yield _beyond(evaluation, int(at))
    yield ""
    for note in _notes(evaluation):
        yield Text(f"· {note}", style="dim")


def _table(cards: tuple[Scorecard, ...], k: int, *, bold: str | None) -> Table:
    table = Table(box=None, padding=(0, 1), title=f"@{k}", title_justify="left")
    table.add_column("model", no_wrap=True)
    for name in _ACCURACY:
        style = "bold" if name == bold else None
        table.add_column(_HEADINGS[name], justify="right", no_wrap=True, style=style)
    best = {name: max(card.metrics[f"{name}@{k}"].mean for card in cards) for name in _ACCURACY}
    for card in cards:
        cells = [_cell(card.metrics[f"{name}@{k}"], best[name]) for name in _ACCURACY]
        table.add_row(card.model, *cells)
    return table


def _beyond(evaluation: Evaluation, k: int) -> Table:
    ordering = evaluation.protocol.ordering
    table = Table(
        box=None, padding=(0, 1, 0, 0), title=f"beside accuracy, @{k}", title_justify="left"
    )
    table.add_column("model", no_wrap=True)
    table.add_column(f"{ordering} behind best", justify="right", no_wrap=True)
    for name in _BEYOND:
        table.add_column(_HEADINGS[name], justify="right", no_wrap=True)
    calibrated = evaluation.protocol.calibrate != "none"
    if calibrated:
        table.add_column("ECE", justify="right", no_wrap=True)
    table.add_column("fit", justify="right", no_wrap=True)
    table.add_column("lists", justify="right", no_wrap=True)
    for card in evaluation.results:
        table.add_row(
            card.model,
            _behind(evaluation, card),
            f"{card.metrics[f'coverage@{k}'].mean:.1%}",
            f"{card.metrics[f'novelty@{k}'].mean:.2f}",
            f"{card.metrics[f'popularity_share@{k}'].mean:.1%}",
            f"{card.metrics[f'diversity@{k}'].mean:.2f}",
            *([_ece(card)] if calibrated else []),
            f"{card.fit_s:.1f} s",
            f"{card.recommend_s:.1f} s",
        )
    return table


def _ece(card: Scorecard) -> str:
    return "-" if card.calibration is None else _short(card.calibration.ece)


def _by_product(card: Scorecard, k: int) -> str:
    most = sorted(card.products.items(), key=lambda one: (-one[1].pairs, one[0]))
    told = ", ".join(
        f"{name} {_short(one.recall[f'recall@{k}'], 3)}" for name, one in most[:_PRODUCTS_TOLD]
    )
    rest = len(most) - _PRODUCTS_TOLD
    more = f" and {rest} more in --json" if rest > 0 else ""
    return f"recall@{k} of {card.model} by product, the most asked for first: {told}{more}"


def _behind(evaluation: Evaluation, card: Scorecard) -> Text:
    best = evaluation.results[0]
    if card is best:
        return Text("best", style="bold green")
    ordering = evaluation.protocol.ordering
    gap = paired_difference(
        card.values[ordering],
        best.values[ordering],
        rng=default_rng(evaluation.protocol.seed),
        customer=evaluation.customer,
    )
    same = " ≈" if gap.low <= 0 <= gap.high else ""
    text = Text(f"{gap.mean:+.4f}{same}")
    return text.append(f"\n{gap.low:+.4f} to {gap.high:+.4f}", style="dim")


def _cell(found: Interval, best: float) -> Text:
    text = Text(_short(found.mean), style="bold green" if found.mean == best else "")
    ends = f"\n{_short(found.low, 3)}-{_short(found.high, 3)}"
    return text.append(ends, style="not bold dim")


def _short(value: float, digits: int = 4) -> str:
    text = f"{value:.{digits}f}"
    return text.removeprefix("0") if text != f"{0:.{digits}f}" else "0"


def _notes(evaluation: Evaluation) -> Iterator[str]:
    counts, protocol = evaluation.counts, evaluation.protocol
    customers = evaluation.customer_id.n_unique()
    folds = f", over {protocol.folds} folds" if protocol.folds > 1 else ""
    yield (
        f"{counts['test_rows']:,} test rows of {customers:,} customers with "
        f"{counts['test_pairs']:,} products to foresee ({', '.join(evaluation.target)}); "
        f"{counts['train']:,} events in train"
        + (f", {counts['valid']:,} in valid" if counts["valid"] else "")
        + (f", {counts['left_out']:,} in no part" if counts["left_out"] else "")
        + folds
    )
    if counts["dropped_seen"]:
        yield (
            f"{counts['dropped_seen']:,} test products were in the past already and are no longer "
            "asked for, because lists do not repeat the past (--keep-seen keeps them)"
        )
    if counts["cold"]:
        yield f"{counts['cold']:,} customers are cold: nothing was known of them"
    if counts["without_candidates"]:
        yield f"{counts['without_candidates']:,} test rows without candidates were left out"
    if evaluation.results and evaluation.results[0].products:
        yield _by_product(evaluation.results[0], evaluation.protocol.k[-1])
    if evaluation.tuning is not None:
        yield _tuned(evaluation.tuning)
    for skipped in evaluation.skipped:
        yield f"{skipped.model} was skipped: {skipped.why}"
    if evaluation.results:
        yield (
            f"best first by {protocol.ordering}, green the best of a column, 95 % intervals over "
            "customers; ≈: no difference from the best, the paired interval holds 0; cover: share "
            "of products in any list; bits: novelty; pop10: slots of the most popular tenth; "
            "unlike: how few customers two products of a list share"
        )


def _tuned(log: Mapping[str, Any]) -> str:
    """What was chosen for each model, where it is not the model's own, and of how many."""
    found = []
    for one in log["models"]:
        tried = one.get("tried", ())
        if not tried:
            continue
        whole = max(trial["share_of_customers"] for trial in tried)
        best = max(
            (trial for trial in tried if trial["share_of_customers"] == whole),
            key=lambda trial: trial["value"],
        )
        settings = ", ".join(f"{name}={value}" for name, value in best["settings"].items())
        found.append(f"{one['model']} {settings or 'as it is'} (of {len(tried)} tried)")
    return f"settings were chosen on {log['validation']}: {'; '.join(found) or 'none was tried'}"
