"""Chances: what is known as of an instant, the rows that trees read, and whether they are right."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oferta.errors import ArtefactInvalid
from oferta.interactions.amounts import UNDATED
from oferta.interactions.events import EventLog
from oferta.interactions.histories import Histories
from oferta.interactions.idmap import IdMap
from oferta.interactions.lists import Lists
from oferta.models.data import TrainingData
from oferta.models.propensity import propensity
from oferta.models.propensity.columns import OF_A_PAIR, Described, log_odds, pair_columns
from oferta.models.propensity.facts import REBUILT, FactCoding
from oferta.models.propensity.knowledge import Knowledge, Pairs, knowledge_of
from oferta.models.propensity.propensity import Propensity, Window, learn, stated
from oferta.models.propensity.stored import load_propensity, save_propensity
from oferta.profile.facts import FACTS

DAY = 86_400_000_000
NOW = 20_000 * DAY
PLAIN = Described(np.array([0, 0, 1], np.int32), np.array([1, 2, np.nan], np.float32))


def pairs(rows: list[tuple[int, int, float]], products: int, keep: str = "least") -> Pairs:
    columns = zip(*rows, strict=True) if rows else ((), (), ())
    customer, product, value = (np.array(column) for column in columns)
    return Pairs.of(
        customer.astype(np.int64), product.astype(np.int64), value, products=products, keep=keep
    )


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3), st.integers(-9, 9)), max_size=30),
    st.lists(st.integers(0, 9), unique=True).map(sorted),
    st.sampled_from(["least", "most", "sum"]),
)
def test_pairs_spread_as_a_dense_table_would(
    rows: list[tuple[int, int, int]], asked: list[int], keep: str
):
    dense = np.full((10, 4), np.nan)
    for customer, product, value in rows:
        before = dense[customer, product]
        how = {"least": min, "most": max, "sum": lambda a, b: a + b}[keep]
        dense[customer, product] = value if np.isnan(before) else how(before, value)
    made = pairs([(a, b, float(c)) for a, b, c in rows], 4, keep)
    found = made.of_rows(np.array(asked, np.int64))
    assert np.array_equal(found, dense[asked], equal_nan=True)


def log_of(rows: list[tuple[int, int, float, float, bool]]) -> EventLog:
    """`customer, product, days ago, amount, conversion` rows, by customer."""
    customer, product, ago, amount, conversion = zip(*rows, strict=True)
    times = [UNDATED if days < 0 else NOW - round(days * DAY) for days in ago]
    return EventLog(
        np.array(customer, np.int32),
        np.array(product, np.int32),
        np.array(amount, np.float32),
        np.zeros(len(rows), np.int32),
        np.array(times, np.int64),
        np.array(conversion),
    )


def histories(lengths: list[int]) -> Histories:
    """Pasts of so many products, each from product 0 on."""
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    entries = int(indptr[-1])
    product = np.concatenate([np.zeros(0), *(np.arange(n) for n in lengths)]).astype(np.int32)
    return Histories(
        indptr,
        product,
        np.ones(entries, np.float32),
        np.zeros(entries, np.int32),
        np.arange(len(lengths), dtype=np.int32),
        np.full(len(lengths), -1, np.int32),
    )


def known_of(rows: list[tuple[int, int, float, float, bool]], lengths: list[int]) -> Knowledge:
    data = TrainingData(
        IdMap.of([f"c{at}" for at in range(len(lengths))]),
        IdMap.of(["a", "b", "c"]),
        log_of(rows),
        histories(lengths),
    )
    return knowledge_of(
        data,
        histories=data.histories,
        now_us=NOW,
        horizon_us=90 * DAY,
        ends=pairs([(0, 1, 30.0)], 3),
        facts=np.array([[1.0], [np.nan], [3.0]], np.float32),
    )


ROWS = [
    (0, 0, 10.0, 1.0, True),
    (0, 0, 40.0, 1.0, True),
    (0, 1, 5.0, 0.3, False),
    (0, 1, 25.0, 0.3, False),
    (0, 2, 200.0, 1.0, True),
    (1, 2, 89.0, 1.0, True),
    (1, 2, 12.0, 0.0, False),  # an exposure: no interest
    (1, 1, -1.0, 1.0, True),  # undated: nobody knows how long ago
    (1, 0, 3.0, -1.0, False),  # taken back
]


def test_events_tell_ages_counts_and_base_rates():
    known = known_of(ROWS, [3, 2, 0])
    everybody = np.arange(3)
    nan = np.nan
    expected = {
        "bought": [[10, nan, 200], [nan, nan, 89], [nan] * 3],
        "met": [[nan, 5, nan], [nan] * 3, [nan] * 3],
        "recent": [[nan, 2, nan], [nan] * 3, [nan] * 3],
        "ends": [[nan, 30, nan], [nan] * 3, [nan] * 3],
    }
    for name, values in expected.items():
        found = getattr(known, name).of_rows(everybody)
        assert np.allclose(found, values, atol=1e-3, equal_nan=True), name
    # Two customers have a past; of product 0 one bought in the horizon, of 2 the one within it.
    assert known.base.tolist() == pytest.approx([1.5 / 3, 0.5 / 3, 1.5 / 3])


def test_a_pair_is_a_row_of_what_is_known_of_it():
    known = known_of(ROWS, [3, 2, 0])
    scores = np.array([[0.5, 2.0, 1.0], [0.1, 0.2, 0.3]], np.float32)
    columns = pair_columns(known, scores, PLAIN, rows=np.array([0, 2]))
    assert columns.shape == (2, 3, len(OF_A_PAIR) + 1)
    told = dict(zip([*OF_A_PAIR, "fact"], columns[0, 1].tolist(), strict=True))
    assert told.pop("bought") != told.pop("category_ends"), "one is NaN"
    assert told == pytest.approx(
        {
            "product": 1,
            "category": 0,
            "price": 2,
            "base": float(log_odds(np.array(0.5 / 3))),
            "score": 2,
            "behind": 0,
            "met": 5,
            "recent": 2,
            "ends": 30,
            "category_bought": 10,  # of product 0, of the same category
            "category_met": 5,
            "fact": 1,
        },
        rel=1e-3,
    )
    ends = columns[:, :, OF_A_PAIR.index("category_ends")]
    assert ends[0].tolist()[:2] == [30, 30]
    assert np.isnan(columns[1, :, 6:8]).all(), "of a stranger nothing is known"
    assert columns[1, :, -1].tolist() == [3, 3, 3]


def test_a_contract_that_is_over_ends_no_category():
    known = replace(known_of(ROWS, [3, 2, 0]), ends=pairs([(0, 0, -10.0), (0, 1, 70.0)], 3))
    columns = pair_columns(known, np.zeros((1, 3), np.float32), PLAIN, rows=np.array([0]))
    assert columns[0, :, OF_A_PAIR.index("ends")].tolist()[:2] == [-10, 70]
    assert columns[0, :, OF_A_PAIR.index("category_ends")].tolist()[:2] == [70, 70]


def test_facts_become_numbers():
    frame = pl.DataFrame(
        {
            "customer_id": ["b", "a", "stranger"],
            "contract_end": [date(2026, 3, 1), None, date(2026, 1, 1)],
            "contract_kind": ["balloon", "never_seen", None],
            "has_finance": [True, False, None],
            "intent": [0.25, None, 1.0],
        }
    )
    names = ["contract_end", "contract_kind", "has_finance", "intent"]
    coding = FactCoding.of([frame.head(1), frame.tail(1)], names)
    assert coding.categorical == (1,)
    made = coding.encode(frame, IdMap.of(["a", "b", "c"]), today=date(2026, 2, 1))
    nan = np.nan
    expected = [[nan, nan, 0, nan], [28, 0, 1, 0.25], [nan] * 4]
    assert np.array_equal(made, expected, equal_nan=True)
    assert FactCoding.of_json(json.loads(json.dumps(coding.as_json()))) == coding


def test_only_facts_that_can_be_told_of_the_past_are_taken():
    """Vehicles, arrears and attributes are known as they are today: they would tell the future."""
    origins = {FACTS[name].origin for name in REBUILT}
    assert origins == {"contract", "behaviour"}
    assert not {"in_arrears", "days_in_arrears", "payoff", "warranty_end"} & set(REBUILT)
    with pytest.raises(ValueError, match="this version knows"):
        FactCoding.of_json({"names": ["risk_tier"], "texts": [[]]})


class Flat:
    """A model that scores everything alike."""

    def score(self, past: Histories) -> np.ndarray:
        return np.zeros((len(past), 3), np.float32)


CODING = FactCoding(("intent",), ((),))
TRUE_CHANCE = 0.4


def window(seed: int, customers: int = 4000) -> Window:
    """Product 0 is chosen by 40 % of those whose contract of it ends soon, by 1 % of others."""
    rng = np.random.default_rng(seed)
    lengths = np.where(np.arange(customers) % 10 == 0, 0, 1)
    ends = rng.uniform(0, 365, customers)
    chance = np.where(ends < 90, TRUE_CHANCE, 0.01)
    chosen = np.flatnonzero((rng.random(customers) < chance) & (lengths > 0))
    other = np.flatnonzero((rng.random(customers) < 0.02) & (lengths > 0))
    rows = pl.DataFrame(
        {
            "row": np.concatenate([chosen, other]),
            "product": np.concatenate([np.zeros(len(chosen)), np.full(len(other), 2)]).astype(int),
        }
    )
    at = np.arange(customers)
    nothing = pairs([], 3)
    known = Knowledge(
        histories=histories(lengths.tolist()),
        bought=nothing,
        met=nothing,
        recent=nothing,
        ends=Pairs.of(at, np.zeros(customers, np.int64), ends, products=3, keep="most"),
        facts=np.full((customers, 1), np.nan, np.float32),
        base=np.array([0.1, 0.001, 0.02], np.float32),
    )
    return Window(known, Flat(), Lists.of(rows, customers))


@pytest.fixture(scope="module")
def learnt() -> Propensity:
    made = learn(
        [window(seed) for seed in range(4)], PLAIN, CODING, horizon_days=90, seed=7,
        rng=np.random.default_rng(3),
    )  # fmt: skip
    assert made is not None
    return made


def test_chances_follow_the_clock_and_are_right(learnt: Propensity):
    fresh = window(9, 8000)
    said, chosen = (np.concatenate(each) for each in zip(*stated(learnt, fresh), strict=True))
    assert said.shape == chosen.shape == (8000, 3)
    warm = np.diff(fresh.known.histories.indptr) > 0
    assert np.isnan(said[~warm]).all(), "of somebody without a past there is none"
    ends = fresh.known.ends.of_rows(np.arange(8000))[:, 0]
    soon, late = said[warm & (ends < 85), 0], said[warm & (ends > 95), 0]
    assert soon.mean() == pytest.approx(TRUE_CHANCE, abs=0.05)
    assert late.mean() == pytest.approx(0.01, abs=0.006)
    assert said[warm, 1].max() < 0.005, "nobody ever chose it"
    assert said[warm].mean() == pytest.approx(chosen[warm].mean(), rel=0.1)


class Certain:
    """States that all is certain."""

    def chances(self, _: Knowledge, scores: np.ndarray, *, rows: np.ndarray) -> np.ndarray:
        return np.ones((len(rows), scores.shape[1]), np.float32)


def test_the_line_bears_with_chances_of_one():
    """As a float a chance of nearly 1 is 1, whose odds are infinite."""
    made = window(1)
    line = propensity._line_of(Certain(), [(made, np.ones(4000, np.bool_))])
    assert line[1] < -0.1, "far less was chosen"


def test_a_sample_of_what_was_not_chosen_weighs_as_much_as_all(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(propensity, "_OTHERS", 2)
    sampled = learn(
        [window(seed) for seed in range(4)], PLAIN, CODING, horizon_days=90, seed=7,
        rng=np.random.default_rng(3),
    )  # fmt: skip
    assert sampled is not None
    fresh = window(9, 8000)
    said, chosen = (np.concatenate(each) for each in zip(*stated(sampled, fresh), strict=True))
    warm = np.diff(fresh.known.histories.indptr) > 0
    assert said[warm].mean() == pytest.approx(chosen[warm].mean(), rel=0.1)
    assert sampled.line[1] == pytest.approx(0, abs=0.15), "little was left to correct"


def test_the_same_seed_learns_the_same(learnt: Propensity):
    again = learn(
        [window(seed) for seed in range(4)], PLAIN, CODING, horizon_days=90, seed=7,
        rng=np.random.default_rng(3),
    )  # fmt: skip
    assert again is not None
    assert np.array_equal(again.trees.text, learnt.trees.text)
    assert again.line == learnt.line


def test_any_block_of_customers_is_told_the_same(learnt: Propensity):
    known = window(5).known
    rows = np.array([3, 700, 701, 1999])
    scores = np.zeros((4, 3), np.float32)
    whole = learnt.chances(known, np.zeros((4000, 3), np.float32), rows=np.arange(4000))
    assert np.array_equal(learnt.chances(known, scores, rows=rows), whole[rows], equal_nan=True)


def test_windows_in_which_nothing_was_chosen_teach_nothing():
    empty = replace(window(1), chosen=Lists(np.zeros(4001, np.int64), np.zeros(0, np.int32)))
    rng = np.random.default_rng(0)
    assert learn([empty], PLAIN, CODING, horizon_days=90, seed=7, rng=rng) is None


def save(folder: Path, made: Propensity) -> None:
    save_propensity(
        folder, made, seed=7, data_fingerprint="data", code_version="1",
        trained_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip


def test_what_was_saved_states_the_same(learnt: Propensity, tmp_path: Path):
    save(tmp_path / "p", learnt)
    loaded = load_propensity(tmp_path / "p", products=3)
    assert (loaded.coding, loaded.horizon_days, loaded.line) == (CODING, 90, learnt.line)
    known, scores = window(5).known, np.zeros((4000, 3), np.float32)
    said = [each.chances(known, scores, rows=np.arange(4000)) for each in (loaded, learnt)]
    assert np.array_equal(*said, equal_nan=True)


def test_what_does_not_fit_its_model_is_refused(learnt: Propensity, tmp_path: Path):
    save(tmp_path / "p", learnt)
    with pytest.raises(ArtefactInvalid, match="other products"):
        load_propensity(tmp_path / "p", products=4)
    save(tmp_path / "wide", replace(learnt, coding=FactCoding(("intent", "purchases"), ((), ()))))
    with pytest.raises(ArtefactInvalid, match="columns"):
        load_propensity(tmp_path / "wide", products=3)
    manifest = tmp_path / "p" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"horizon_days"', '"other"'))
    with pytest.raises(ArtefactInvalid, match="cannot be read"):
        load_propensity(tmp_path / "p", products=3)
