"""The table of loads: a wrong ratio would be believed."""

import orjson
import pytest

from oferta_experiments.bench.load import Load
from oferta_experiments.load.kinds import LISTS_ASKED, kinds
from oferta_experiments.load.measure import Measured, Plan, summed
from oferta_experiments.load.show import markdown


def rounds(ours: Load, bare: Load) -> Measured:
    return summed("list", 8, [(ours, bare)] * 2, 0.6, seconds=10)


def test_refusals_are_told_beside_what_was_answered():
    found = rounds(Load(80.0, 1.0, 4.0, 200), Load(100.0, 1.0, 2.0, 0))
    assert found.rate == pytest.approx(0.8)
    assert found.p99 == 2.0
    assert found.refused == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("rps", "p99", "verdict"), [(60.0, 4.0, "met"), (59.0, 4.0, "short"), (60.0, 4.1, "short")]
)
def test_the_bar_holds_for_rate_and_p99(rps: float, p99: float, verdict: str):
    found = rounds(Load(rps, 1.0, p99, 0), Load(100.0, 1.0, 2.0, 0))
    assert f"| {verdict} |" in markdown([found], Plan(), machine="2 cores")


def test_event_ids_differ_between_rounds_and_within_one():
    of_events = [
        asked.body
        for turn in range(2)
        for kind in kinds(["p1", "p2"], round_=turn)
        if kind.name in {"events", "mix"}
        for asked in kind.ours
        if asked.path == "/v1/events"
    ]
    assert len(set(of_events)) == len(of_events)


def test_plain_lists_are_asked_of_customers_of_whom_no_event_is_told():
    by_name = {kind.name: kind.ours for turn in range(2) for kind in kinds(["p1"], round_=turn)}
    asked = {one.path.split("/")[3] for one in by_name["lists"]}
    fresh = {one.path.split("/")[3] for one in by_name["fresh lists"]}
    told = {orjson.loads(one.body)["customer_id"] for one in by_name["events"] if one.body}
    assert len(asked) == len(fresh) == LISTS_ASKED
    assert not asked & told
    assert fresh <= told


def test_a_mix_is_seven_lists_two_events_one_decision():
    (mix,) = (kind for kind in kinds(["p1"], round_=0) if kind.name == "mix")
    share = {
        path: sum(path in asked.path for asked in mix.ours) / len(mix.ours)
        for path in ("recommendations", "events", "decisions")
    }
    assert share == {"recommendations": 0.7, "events": 0.2, "decisions": 0.1}
    assert [one.path.count("bare") for one in mix.anchor] == [1] * len(mix.anchor)
