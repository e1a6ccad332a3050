"""The map from past to future against a dense oracle."""

import numpy as np
import pytest
from worlds import events, random_world, read

from oferta.errors import ModelTooLarge
from oferta.models import memory, past_to_future
from oferta.models.data import TrainingData
from oferta.models.ease import Ease
from oferta.models.item_to_item import FittedItemToItem
from oferta.models.past_to_future import PastToFuture
from oferta.progress import Silent

DATA = random_world(seed=11)


def fit(made: PastToFuture | Ease, data: TrainingData = DATA) -> FittedItemToItem:
    return made.fit(data, rng=np.random.default_rng(0), progress=Silent())


def pasts_and_futures(
    data: TrainingData, *, past: float, future: float, power: float
) -> tuple[np.ndarray, np.ndarray]:
    """Step by step: what each step's customer had before, and chose then and later, decayed."""
    rows_past, rows_future, size = [], [], []
    log, width = data.events, len(data.products)
    for customer in range(len(data.customers)):
        mine = np.flatnonzero((log.customer == customer) & (log.amount > 0))
        steps = [set(log.product[mine][log.step[mine] == s]) for s in np.unique(log.step[mine])]
        for at in range(1, len(steps)):
            had, chosen = np.zeros(width), np.zeros(width)
            for back in range(at):
                for product in steps[at - 1 - back]:
                    had[product] = max(had[product], past**back)
            for ahead in range(len(steps) - at):
                for product in steps[at + ahead]:
                    chosen[product] += future**ahead
            rows_past.append(had)
            rows_future.append(chosen)
            size.append(len(steps))
    weight = np.array(size, float) ** -power
    root = np.sqrt(weight * len(weight) / weight.sum())[:, None]
    return np.array(rows_past) * root, np.array(rows_future) * root


@pytest.mark.parametrize("backward", [0.0, 0.4])
@pytest.mark.parametrize("sparse", [True, False], ids=["sparse", "dense"])
def test_it_is_the_ridge_regression_of_the_future_on_the_past(
    backward: float, sparse: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(past_to_future, "_FAINT", 1e-9)
    monkeypatch.setattr(past_to_future, "_DENSE_FROM", 2.0 if sparse else 0.0)
    monkeypatch.setattr(past_to_future, "_ROWS", 7)
    made = PastToFuture(
        strength=0.5, dropout=0.2, backward=backward, past_decay=0.6, future_decay=0.3
    )
    past, future = pasts_and_futures(DATA, past=0.6, future=0.3, power=0.5)
    gram, cross = past.T @ past, past.T @ future
    diagonal = gram.diagonal()
    penalty = 0.5 * diagonal[diagonal > 0].mean() + 0.25 * diagonal
    wanted = np.linalg.solve(gram + np.diag(penalty), cross + backward * cross.T)
    model = fit(made)
    np.testing.assert_allclose(model.weights, wanted, rtol=1e-3, atol=1e-6)
    assert np.abs(wanted - wanted.T).max() > 0.01  # a transposed matrix is another one


def test_what_a_companion_explains_is_not_credited():
    """After bread always comes butter; salt was only there with bread, so it foretells less."""
    rows = []
    for customer in range(40):
        first = ["bread", "salt"] if customer % 2 else ["bread"]
        rows += [(f"c{customer:02}", product, "purchase", 1) for product in first]
        rows.append((f"c{customer:02}", "butter", "purchase", 2))
    for customer in range(40, 80):
        rows += [
            (f"c{customer:02}", "salt", "purchase", 1),
            (f"c{customer:02}", "pepper", "purchase", 2),
        ]
    data = read(events(rows))
    place = {name: row for row, name in enumerate(data.products.ids)}
    weights = fit(PastToFuture(dropout=0.0, strength=0.1), data).weights
    assert weights[place["bread"], place["butter"]] > 0.8
    assert abs(weights[place["salt"], place["butter"]]) < 0.15


def test_without_an_order_it_is_ease():
    data = read(random_events().drop("seq"))
    assert not data.ordered
    made = PastToFuture(strength=3.0, dropout=0.2, backward=0.0, activity_power=0.0)
    ease = fit(Ease(strength=3.0, dropout=0.2, activity_power=0.0), data)
    np.testing.assert_allclose(fit(made, data).weights, ease.weights, rtol=1e-3, atol=1e-6)


def random_events():
    rng = np.random.default_rng(4)
    rows = [
        (f"c{customer:02}", f"p{product:02}", "purchase", step)
        for customer in range(50)
        for step, product in enumerate(rng.integers(0, 30, 6))
    ]
    return events(rows)


def test_it_refuses_a_catalogue_that_would_not_fit(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 10_000)
    with pytest.raises(ModelTooLarge, match="transitions"):
        fit(PastToFuture())
