"""The files of a study's report: what they say, that they are the same each time, their size."""

import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from core.evaluation.worlds import limits, shop
from markdown_it import MarkdownIt
from numpy.random import default_rng
from rich.console import Console
from study_results import NAMES, study_result

from oferta.evaluation.evaluate import evaluate
from oferta.evaluation.intervals import Interval, bootstrap
from oferta.evaluation.protocol import Protocol
from oferta.models.catalog import recipe
from oferta.progress import Silent
from oferta_experiments.study.report.cost import frontier
from oferta_experiments.study.report.markdown import markdown
from oferta_experiments.study.report.page import write_report
from oferta_experiments.study.report.search import best_trial
from oferta_experiments.study.report.tables import untested
from oferta_experiments.study.report.terminal import summary_text
from oferta_experiments.study.report.words import shortened
from oferta_experiments.study.result import (
    Difference,
    Figure,
    Left,
    StudyResult,
    Trial,
    Variant,
    read_result,
)

EVIL = '<script>alert(1)</script>|`x`*_[a](http://elsewhere.example)"'


def _cells(text: str) -> list[list[str]]:
    """Every row of every table, as GitHub would read it."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    rows: list[list[str]] = []
    for token, inline in pairwise(tokens):
        if token.type == "tr_open":
            rows.append([])
        if token.type in {"th_open", "td_open"}:
            rows[-1].append("".join(one.content for one in inline.children or []))
    return rows


def test_the_same_result_gives_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    """Whatever order this process hashes in, whatever plots are set to look like on a machine."""
    result = study_result(variants=2, segments=2, trials=4)
    result.write(tmp_path / "result.json")
    (tmp_path / "matplotlibrc").write_text("axes.labelpad: 31\nsvg.fonttype: path\n")
    program = (
        "import sys; from pathlib import Path\n"
        "from oferta_experiments.study.report.page import write_report\n"
        "from oferta_experiments.study.result import read_result\n"
        "write_report(read_result(Path('result.json')), Path(sys.argv[1]))\n"
    )
    subprocess.run(
        [sys.executable, "-c", program, "other"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo"},
        check=True,
    )
    here = write_report(result, tmp_path / "here")
    assert [path.name for path in here] == ["report.html", "REPORT.md"]
    for path in here:
        assert path.read_bytes() == (tmp_path / "other" / path.name).read_bytes()


def test_the_markdown_reads_on_its_own() -> None:
    result = study_result()
    text = markdown(result)
    heads = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    assert heads == [
        result.question,
        "Results",
        "Every pair that was compared",
        "By segment",
        "What was not tested",
        "Protocol",
        "Variants",
        "How to reproduce",
    ]
    assert text.index(f"**{result.answer}**") < 250
    rows = _cells(text)
    first = next(row for row in rows if row[0] == NAMES[0])
    assert first[1] == "0.0912 (0.0871 to 0.0953)"
    assert first[2] == "+0.0064 (+0.0019 to +0.0109)"
    assert first[3] == "▲ better"
    assert ["seed", "7"] in rows
    for sentence in (*result.not_tested, "oferta study run 2025-03-decay", result.fingerprint):
        assert sentence in text


def test_the_bars_of_the_markdown_share_one_scale() -> None:
    text = markdown(study_result())
    bars = [line for line in text.splitlines() if "●" in line]
    middles = [bar.index("●") for bar in bars]
    assert len(bars) == 4
    assert middles == sorted(middles, reverse=True)
    assert bars[-1].index("─") < bars[0].index("─")
    assert {len(bar.rstrip("0123456789.")) for bar in bars} == {len(bars[0]) - len("0.0912")}


def test_markup_in_a_name_is_text_in_the_markdown() -> None:
    result = study_result(variants=2, segments=2, trials=0, names=(EVIL, "als")).model_copy(
        update={"question": f"1. {EVIL}", "not_tested": (f"# {EVIL}", "- a list?")}
    )
    text = markdown(result)
    rows = _cells(text)
    assert any(row[0] == EVIL for row in rows)
    html = MarkdownIt("commonmark").enable("table").render(text)
    assert "<script" not in html
    assert "elsewhere.example" not in "".join(re.findall(r'href="([^"]*)"', html))
    assert html.count("<h1>") == 1
    assert html.count("<ul>") == 1


def test_every_row_of_a_table_has_as_many_cells_as_its_head() -> None:
    text = markdown(study_result(variants=3))
    for table in re.findall(r"(?:^\|.*\|\n)+", text, flags=re.MULTILINE):
        counts = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(counts) == 1


def test_the_terminal_shows_it_within_80_columns() -> None:
    result = study_result(names=("[red]als[/red]", *NAMES[1:]))
    console = Console(width=80, record=True, force_terminal=False)
    with console.capture() as captured:
        console.print(summary_text(result, [Path("study") / "report.html"]))
    said = captured.get()
    assert result.question in said
    assert "[red]als[/red]" in said
    assert "+0.0064" in said
    assert "▲ better" in said
    assert "0.0871 to 0.0953" in said
    assert "report.html" in said


def test_a_study_without_any_figure_still_has_a_report(tmp_path: Path) -> None:
    none = study_result().model_copy(update={"variants": (), "differences": ()})
    page, text = write_report(none, tmp_path)
    for path in (page, text):
        assert "No variant could be judged" in path.read_text()
        assert "needs 41 GB" in path.read_text()
    Console(quiet=True).print(summary_text(none))


def test_a_report_of_a_real_comparison(tmp_path: Path) -> None:
    """Figures of `evaluate`, kept as JSON and read again, are those that the page states."""
    result = _real()
    result.write(tmp_path / "result.json")
    page, text = write_report(read_result(tmp_path / "result.json"), tmp_path)
    for one in result.variants:
        stated = f"{one.metrics[result.metric].mean:.4f}"
        assert stated in text.read_text()
        assert stated in page.read_text()


def _real() -> StudyResult:
    protocol = Protocol(split="leave-one-out:random", k=(5,))
    names = ("popularity", "ease")
    found = evaluate(
        shop(),
        {name: recipe(name) for name in names},
        protocol=protocol,
        limits=limits(),
        progress=Silent(),
    )
    values = {card.model: card.values["ndcg@5"] for card in found.results}
    paired = bootstrap(
        np.asarray(values["ease"] - values["popularity"])[:, None],
        rng=default_rng(7),
        customer=found.customer,
    )[0]
    return StudyResult(
        name="real",
        question="Does a model of products beat popularity?",
        answer="As the table says.",
        metric="ndcg@5",
        baseline="popularity",
        dataset="shop",
        fingerprint="none",
        facts=dict(found.counts),
        protocol=protocol.as_json(),
        sentence=protocol.sentence(),
        variants=tuple(
            Variant(
                name=card.model,
                model=card.model,
                settings=dict(card.settings),
                metrics={name: _figure(one) for name, one in card.metrics.items()},
                fit_s=card.fit_s,
                recommend_s=card.recommend_s,
            )
            for card in found.results
        ),
        differences=(
            Difference(
                variant="ease",
                other="popularity",
                figure=_figure(paired),
                p_value=0.001,
                p_adjusted=0.001,
                verdict="better",
            ),
        ),
    )


def _figure(interval: Interval) -> Figure:
    return Figure(mean=interval.mean, low=interval.low, high=interval.high)


def test_the_frontier_leaves_out_what_another_beats_on_both() -> None:
    def at(name: str, seconds: float, value: float) -> Variant:
        figure = Figure(mean=value, low=value, high=value)
        return Variant(
            name=name,
            model="m",
            settings={},
            metrics={"hr@5": figure},
            fit_s=seconds,
            recommend_s=0,
        )

    variants = [at("slow", 9, 0.3), at("dear", 8, 0.1), at("quick", 1, 0.2), at("same", 1, 0.15)]
    assert frontier(variants, "hr@5") == ["quick", "slow"]


@pytest.mark.parametrize(
    ("trials", "best"),
    [
        ([(0.1, 1.0, "complete"), (0.3, 1.0, "complete"), (0.3, 1.0, "complete")], 1),
        ([(0.9, 0.1, "complete"), (0.3, 1.0, "complete")], 1),
        ([(0.9, 1.0, "stopped"), (0.3, 1.0, "complete")], 1),
        ([(None, 1.0, "failed"), (0.2, 1 / 3, "stopped")], 1),
        ([(None, 1.0, "failed")], None),
    ],
    ids=["first of equals", "most customers", "not stopped", "better than none", "none"],
)
def test_the_best_trial(trials: list[tuple[float | None, float, str]], best: int | None) -> None:
    tried = [
        Trial(settings={}, value=value, seconds=1, share_of_customers=share, state=state)
        for value, share, state in trials
    ]
    found = best_trial(tried)
    assert (None if found is None else [one is found for one in tried].index(True)) == best


def test_a_variant_left_out_is_named_once() -> None:
    left = (Left(variant="ease", why="needs 41 GB"), Left(variant="als", why="took too long"))
    told = "ease was not judged: it needs 41 GB."
    result = study_result().model_copy(update={"left": left, "not_tested": (told,)})
    assert untested(result) == [told, "als was not judged: it took too long."]


def test_shortened_names_stay_apart() -> None:
    names = ["als-decay-30d-saturated-log", "als-decay-90d-saturated-log", "als", "x" * 40]
    short = shortened(names, 14)
    assert len(set(short.values())) == 4
    assert all(len(name) <= 14 for name in short.values())
    assert short["als"] == "als"
    assert "30d" in short[names[0]]
