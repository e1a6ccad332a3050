"""The page of a study's report, in a real browser that has no network."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import Tab, chromium
from study_results import NAMES, figure, study_result

from oferta_experiments.study.report.page import write_report
from oferta_experiments.study.report.words import MINUS
from oferta_experiments.study.result import StudyResult

pytestmark = pytest.mark.needs_tool("chromium")

PLOTS = ["metric", "cost", "segments", "chances", "reach", "learning", "search-1", "search-2"]

SHOWN = """[...document.querySelectorAll('figure[data-plot]')].map(figure => {
  const shown = [...figure.querySelectorAll('svg')].filter(one => one.getClientRects().length);
  const frame = shown[0].getBoundingClientRect();
  const box = one => {
    const r = one.getBoundingClientRect();
    return [r.left, r.top, r.right, r.bottom];
  };
  return {
    plot: figure.dataset.plot,
    drawings: shown.length,
    frame: box(shown[0]),
    title: figure.querySelector('h3').textContent,
    tables: figure.querySelectorAll('details table').length,
    marks: [...shown[0].querySelectorAll('[data-mark]')].map(box),
    texts: [...shown[0].querySelectorAll('text')].map(one => [one.textContent, ...box(one)]),
  };
})"""


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with chromium(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return page_of(study_result(), tmp_path_factory.mktemp("full"))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    result = study_result(variants=8, segments=12, trials=30)
    return page_of(result, tmp_path_factory.mktemp("large"))


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six variants that cost and reach nearly the same, whatever is learnt from."""
    result = study_result(variants=6, segments=0, trials=0)
    first = result.variants[0]
    close = tuple(
        one.model_copy(
            update={
                "fit_s": 3 + 0.1 * place,
                "recommend_s": 1.0,
                "metrics": {"ndcg@10": figure(0.09 - 0.0001 * (place // 2), 0.0004)},
                "learning": tuple(
                    point.model_copy(
                        update={"figure": figure(point.figure.mean - 0.0001 * place, 0.0004)}
                    )
                    for point in first.learning
                ),
                "calibration": None,
            }
        )
        for place, one in enumerate(result.variants)
    )
    result = result.model_copy(update={"variants": close})
    return page_of(result, tmp_path_factory.mktemp("crowded"))


def page_of(result: StudyResult, folder: Path) -> Path:
    return write_report(result, folder)[0]


def shown(tab: Tab) -> dict[str, dict[str, Any]]:
    return {one["plot"]: one for one in tab.value(SHOWN)}


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
@pytest.mark.parametrize("width", [1100, 400])
def test_every_plot_is_seen_and_nothing_is_asked_of_a_network(
    tab: Tab, full: Path, width: int, scripts: bool
) -> None:
    tab.open(full, width=width, scripts=scripts)
    plots = shown(tab)
    assert list(plots) == [*PLOTS, "search-3"]
    for name, plot in plots.items():
        left, top, right, bottom = plot["frame"]
        assert plot["drawings"] == 1, name
        assert right - left > 300, name
        assert bottom - top > 80, name
        assert plot["tables"] == 1, name
    assert tab.requests == [f"file://{full}"]
    assert tab.complaints == []
    assert tab.value("document.documentElement.scrollWidth") <= width


def test_a_large_page_is_small_enough_to_keep_and_names_no_address(large: Path) -> None:
    text = large.read_text()
    assert len(text.encode()) < 1_000_000
    assert "default-src 'none'" in text
    assert re.findall(r"https?://|url\((?!#)|@import|<script|<link|src=", text) == []


@pytest.mark.parametrize("width", [1100, 400])
def test_plots_have_a_mark_for_every_figure(tab: Tab, full: Path, width: int) -> None:
    tab.open(full, width=width)
    marks = {name: len(plot["marks"]) for name, plot in shown(tab).items()}
    assert marks == {
        "metric": 2 * 4 + 2 * 3,  # a dot and an interval each; the baseline has no difference
        "cost": 4,
        "segments": 4 * 5,
        "chances": 3 * 7,  # the last variant states no chances
        "reach": 2 * (2 * 4),
        "learning": 4 * 4,
        "search-1": 5 * 12,  # by number, and by each of four settings that vary
        "search-2": 5 * 12,
        "search-3": 5 * 12,
    }


@pytest.mark.parametrize("width", [1100, 700, 400])
@pytest.mark.parametrize("size", ["full", "large"])
def test_no_text_of_a_plot_is_cut_off_or_written_over_another(
    tab: Tab, size: str, width: int, request: pytest.FixtureRequest
) -> None:
    tab.open(request.getfixturevalue(size), width=width)
    _assert_readable(tab)


@pytest.mark.parametrize("width", [1100, 400])
def test_names_of_variants_that_are_nearly_alike_stay_apart(
    tab: Tab, crowded: Path, width: int
) -> None:
    tab.open(crowded, width=width)
    _assert_readable(tab)


def _assert_readable(tab: Tab) -> None:
    for name, plot in shown(tab).items():
        frame, texts = plot["frame"], plot["texts"]
        outside = [text[0] for text in texts if not _inside(text[1:], frame)]
        assert outside == [], name
        # Names above the columns are slanted: the boxes around them say nothing.
        level = [one for one in texts if name != "segments" or one[0][:1] in f"+{MINUS}."]
        over = [
            (one[0], other[0])
            for place, one in enumerate(level)
            for other in level[place + 1 :]
            if _overlap(one[1:], other[1:])
        ]
        assert over == [], name


def _inside(box: list[float], frame: list[float]) -> bool:
    slack = 2.0  # a font of this machine is not the one that was measured
    return (
        box[0] >= frame[0] - slack
        and box[1] >= frame[1] - slack
        and box[2] <= frame[2] + slack
        and box[3] <= frame[3] + slack
    )


def _overlap(one: list[float], other: list[float]) -> bool:
    across = min(one[2], other[2]) - max(one[0], other[0])
    up = min(one[3], other[3]) - max(one[1], other[1])
    return across > 2 and up > 5  # boxes hold the space of letters that are not there


def test_dark_and_light_show_the_same_in_other_colours(tab: Tab, full: Path) -> None:
    paper, ink = [], []
    for scheme in ("light", "dark"):
        tab.open(full, scheme=scheme)
        paper.append(tab.value("getComputedStyle(document.body).backgroundColor"))
        ink.append(tab.value("getComputedStyle(document.querySelector('svg text')).fill"))
    assert _light(paper[0]) > 240
    assert _light(paper[1]) < 60
    assert _light(ink[0]) < 140
    assert _light(ink[1]) > 160


def _light(colour: str) -> float:
    numbers = [float(part) for part in colour.strip("rgb()").split(",")]
    return sum(numbers) / 3


def test_plots_without_data_are_one_line_each_and_never_an_empty_frame(
    tab: Tab, tmp_path: Path
) -> None:
    bare = study_result(variants=1, segments=0, trials=0)
    only = bare.variants[0].model_copy(
        update={
            "calibration": None,
            "learning": (),
            "metrics": {"ndcg@10": bare.variants[0].metrics["ndcg@10"]},
        }
    )
    tab.open(page_of(bare.model_copy(update={"variants": (only,)}), tmp_path), width=400)
    assert list(shown(tab)) == ["metric", "cost"]
    absent = "[...document.querySelectorAll('[data-absent]')].map(one => one.textContent)"
    lines = tab.value(absent)
    assert len(lines) == 5
    assert all(20 < len(line) < 100 for line in lines)


def test_names_that_hold_markup_are_shown_as_they_are(tab: Tab, tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>\"'>"
    image = "<img src=http://elsewhere.example/x onerror=alert(2)>&amp;$x^2$"
    result = study_result(variants=3, segments=2, trials=4, names=(evil, image, "</style>`|"))
    result = result.model_copy(
        update={
            "question": f"Is {evil} better?",
            "dataset": image,
            "sentence": image,
            "not_tested": (evil,),
            "facts": {image: 3},
            "protocol": {evil: {image: image}},
            "made": {evil: [image], "commands": [f"oferta study run {evil}"]},
            "fingerprint": evil,
        }
    )
    hostile = result.variants[0].model_copy(
        update={
            "settings": {image: evil},
            "segments": tuple(
                one.model_copy(update={"by": image, "label": evil + one.label})
                for one in result.variants[0].segments
            ),
            "trials": tuple(
                one.model_copy(update={"settings": {image: f"{evil}{number % 2}"}, "why": image})
                for number, one in enumerate(result.variants[0].trials)
            ),
        }
    )
    result = result.model_copy(update={"variants": (hostile, *result.variants[1:])})
    tab.open(page_of(result, tmp_path))
    assert tab.complaints == []
    assert len(tab.requests) == 1
    for element in ("script", "img", "body style"):
        assert tab.value(f"document.querySelectorAll('{element}').length") == 0, element
    assert tab.value("document.querySelector('h1').textContent") == f"Is {evil} better?"
    assert evil in tab.value("document.querySelector('.main tbody th').textContent")
    assert tab.value("document.querySelector('[data-mark]').dataset.mark") == f"{evil} interval"
    assert list(shown(tab)) == [*PLOTS, "search-3"]


def test_the_page_shows_inside_a_frame_that_may_do_nothing(
    tab: Tab, full: Path, tmp_path: Path
) -> None:
    """As trackers show an artifact."""
    frame = tmp_path / "frame.html"
    content = full.read_text().replace("&", "&amp;").replace('"', "&quot;")
    frame.write_text(
        "<!doctype html><style>*{margin:0;border:0}iframe{width:800px;height:700px}</style>"
        f'<iframe sandbox="allow-same-origin" srcdoc="{content}"></iframe>'
    )
    tab.open(frame)
    inside = "document.querySelector('iframe').contentDocument"
    seen = f"[...{inside}.querySelectorAll('svg')].filter(one => one.getClientRects().length)"
    assert tab.value(f"{seen}.length") == len(PLOTS) + 1
    assert tab.complaints == []


def test_the_first_screen_says_question_and_answer(tab: Tab, full: Path) -> None:
    for width in (1100, 400):
        tab.open(full, width=width)
        bottom = "document.querySelector('.answer').getBoundingClientRect().bottom"
        assert tab.value(bottom) < 900
        size = "parseFloat(getComputedStyle(document.querySelector('{}')).fontSize)"
        assert tab.value(size.format(".answer")) > 1.15 * tab.value(size.format("h1"))
    assert NAMES[0] in tab.value("document.querySelector('.answer').textContent")
