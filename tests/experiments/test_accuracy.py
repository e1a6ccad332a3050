"""The accuracy table: bars asked of a study's result."""

from pathlib import Path

import pytest

from oferta.errors import SettingsInvalid, UnknownName
from oferta_experiments.accuracy.page import Answered, OffPolicy, page
from oferta_experiments.accuracy.table import Bar, Row, answers, read_table
from oferta_experiments.off_policy.synthetic import PUBLISHED, Error
from oferta_experiments.study.result import (
    Calibration,
    Difference,
    Figure,
    StudyResult,
    Variant,
)


def variant(name: str, ndcg: float, *, fit_s: float = 1.0, ece: float | None = None) -> Variant:
    return Variant(
        name=name,
        model="ease",
        settings={},
        metrics={"ndcg@10": Figure(mean=ndcg, low=ndcg - 0.01, high=ndcg + 0.01)},
        fit_s=fit_s,
        recommend_s=0.1,
        calibration=None if ece is None else Calibration(ece=ece, brier=0.1, bins=()),
    )


def result(verdict: str = "better") -> StudyResult:
    return StudyResult(
        name="shop",
        question="?",
        answer="!",
        metric="ndcg@10",
        baseline="popular",
        dataset="shop",
        fingerprint="0",
        facts={},
        protocol={},
        sentence="full ranking",
        variants=(variant("blend", 0.30, fit_s=9.0, ece=0.01), variant("popular", 0.20)),
        differences=(
            Difference(
                variant="blend",
                other="popular",
                figure=Figure(mean=0.1, low=0.05, high=0.15),
                p_value=0.001,
                p_adjusted=0.002,
                verdict=verdict,
            ),
        ),
    )


def row(*bars: Bar) -> Row:
    return Row(study="shop", data="a shop", published="none", bars=bars, remark="Few customers.")


@pytest.mark.parametrize(
    ("bar", "met"),
    [
        (Bar(of="blend", metric="ndcg@10", at_least=0.30), True),
        (Bar(of="blend", metric="ndcg@10", at_least=0.3001), False),
        (Bar(of="popular", metric="ndcg@10", at_least=0.20), True),
        (Bar(of="blend", metric="ndcg@10", at_least=1.45, times="popular"), True),
        (Bar(of="blend", metric="ndcg@10", at_least=1.51, times="popular"), False),
        (Bar(of="blend", metric="fit_s", at_most=9.0), True),
        (Bar(of="blend", metric="fit_s", at_most=8.9), False),
        (Bar(of="blend", metric="ece", at_most=0.02), True),
        (Bar(of="blend", metric="ece", at_most=0.009), False),
        (Bar(of="blend", above="popular"), True),
        (Bar(of="popular", above="blend"), False),
    ],
)
def test_a_bar_is_reached_or_not(bar: Bar, met: bool):
    (answer,) = answers(row(bar), result())
    assert answer.met is met


def test_a_difference_that_may_be_chance_reaches_nothing():
    (answer,) = answers(row(Bar(of="blend", above="popular")), result("no difference"))
    assert not answer.met
    assert "+0.1000 [+0.0500, +0.1500]" in answer.found


def test_a_stretch_is_told_and_never_failed():
    (near,) = answers(row(Bar(of="blend", metric="ndcg@10", at_least=0.29, stretch=0.31)), result())
    (far,) = answers(row(Bar(of="blend", metric="ndcg@10", at_least=0.29, stretch=0.295)), result())
    assert near.met
    assert far.met
    assert "reached" not in near.asked
    assert "stretch 0.2950 reached" in far.asked


@pytest.mark.parametrize(
    "bar",
    [
        Bar(of="blend", metric="ndcg@5", at_least=0.1),
        Bar(of="popular", metric="ece", at_most=0.1),
        Bar(of="blnd", metric="ndcg@10", at_least=0.1),
        Bar(of="blend", above="populr"),
    ],
)
def test_what_the_result_does_not_have_is_named_with_the_nearest(bar: Bar):
    with pytest.raises(UnknownName):
        answers(row(bar), result())


def test_a_bar_that_asks_nothing_or_two_things_is_refused(tmp_path: Path):
    for text in (
        "of='a'\nmetric='m'",
        "of='a'\nat_least=0.2",
        "of='a'\nmetric='m'\nat_least=1\nabove='b'",
    ):
        path = tmp_path / "table.toml"
        path.write_text(
            f"[[rows]]\nstudy='s'\ndata='d'\npublished='p'\n[[rows.bars]]\n{text}\n",
            encoding="utf-8",
        )
        with pytest.raises(SettingsInvalid, match="above alone"):
            read_table(path)


def test_the_page_says_where_a_bar_is_not_reached_and_why():
    short = row(Bar(of="blend", metric="ndcg@10", at_least=0.4))
    fine = row(Bar(of="blend", metric="ndcg@10", at_least=0.3))
    done = [Answered(one, result(), answers(one, result())) for one in (short, fine)]
    text = page(done, OffPolicy({**PUBLISHED, "dr": Error(0.02, 0.001)}))
    assert "**1 of 3 rows reach all of their bars.**" in text
    missed = text[text.index("## Where a bar is not reached") : text.index("## The protocols")]
    assert "ndcg@10 >= 0.4000: 0.3000 [0.2900, 0.3100] (blend). Few customers." in missed
    assert missed.count("- **shop**") == 1
    assert "full ranking. Fits: blend 9.0 s, popular 1.0 s." in text


def test_an_off_policy_estimate_must_be_near_and_nearer_than_the_direct_method():
    assert OffPolicy(PUBLISHED).met
    near = PUBLISHED["dr"].mean + 1.9 * PUBLISHED["dr"].sd
    assert OffPolicy({**PUBLISHED, "dr": Error(near, 0.001)}).met
    assert not OffPolicy({**PUBLISHED, "dr": Error(near, 0.001), "dm": Error(near / 2, 0.001)}).met
