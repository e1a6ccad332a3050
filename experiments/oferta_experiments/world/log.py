"""What happened in a chunk: events, contracts and vehicles, in columns that grow."""

from typing import Final

import numpy as np

from oferta_experiments.world.arrays import Ints, Reals
from oferta_experiments.world.state import ALWAYS, NONE

EVENT_TYPES: Final = (
    "view",
    "search",
    "click",
    "calculator",
    "quote",
    "dealer_visit",
    "service_visit",
    "impression",
    "decline",
    "apply",
    "approved",
    "rejected",
    "funded",
    "purchase",
    "accept",
    "renewal",
    "arrears",
)
DECLARED_TYPES: Final = {
    "dealer_visit": 0.4,
    "service_visit": 0.05,
    "approved": 0.7,
    "rejected": 0.0,
    "arrears": 0.0,
}
"""Event types that are not built in, and their weights."""
WISHED: Final = ("wished_amount", "wished_months", "wished_deposit", "wished_instalment")
STATUSES: Final = ("active", "ended", "settled", "written_off")
ACTIVE, ENDED, SETTLED, WRITTEN_OFF = range(len(STATUSES))


class EventLog:
    """Events in the order in which they were drawn, not of time."""

    def __init__(self) -> None:
        self._blocks: list[dict[str, np.ndarray]] = []

    def add(
        self,
        event_type: str,
        who: Ints,
        product: Ints,
        *,
        at: Ints,
        channel: Ints | int = NONE,
        value: Reals | None = None,
        wished: dict[str, Reals] | None = None,
        model: Ints | None = None,
    ) -> None:
        """Events of one type: rows, products, epoch seconds, and what else is known of them."""
        if not len(who):
            return
        absent = np.full(len(who), np.nan)
        self._blocks.append(
            {
                "who": who,
                "product": product,
                "type": np.full(len(who), EVENT_TYPES.index(event_type)),
                "at": at,
                "channel": np.broadcast_to(np.asarray(channel, np.int64), len(who)),
                "value": absent if value is None else np.round(value, 2),
                "model": np.full(len(who), NONE) if model is None else model,
                **{name: (wished or {}).get(name, absent) for name in WISHED},
            }
        )

    def columns(self) -> dict[str, np.ndarray]:
        """All events by time, then customer, then product, then type."""
        names = ("who", "product", "type", "at", "channel", "value", "model", *WISHED)
        joined = {
            name: np.concatenate([block[name] for block in self._blocks] or [np.empty(0)])
            for name in names
        }
        order = np.lexsort((joined["type"], joined["product"], joined["who"], joined["at"]))
        return {name: column[order] for name, column in joined.items()}


class Ledger:
    """Rows that are opened and later changed, by number; room is doubled as it fills."""

    def __init__(self, columns: dict[str, type]) -> None:
        self._columns = {name: np.zeros(1024, dtype) for name, dtype in columns.items()}
        self.count = 0

    def open(self, *, who: Ints, **values: np.ndarray | float) -> Ints:
        """New rows of the customers `who` with these values; their numbers."""
        count = len(who)
        while self.count + count > len(next(iter(self._columns.values()))):
            for name, column in self._columns.items():
                self._columns[name] = np.concatenate([column, np.zeros_like(column)])
        numbers = np.arange(self.count, self.count + count)
        for name, value in {"who": who, **values}.items():
            self._columns[name][numbers] = value
        self.count += count
        return numbers

    def __getitem__(self, name: str) -> np.ndarray:
        """A column: change it in place by number."""
        return self._columns[name][: self.count]


def contract_ledger() -> Ledger:
    """Contracts: days as in `State`; `kept` is 1 where the product's own text has the kind."""
    return Ledger(
        {
            "who": np.int64,
            "product": np.int64,
            "vehicle": np.int64,
            "starts": np.int64,
            "ends": np.int64,
            "amount": np.float64,
            "rate": np.float64,
            "term": np.int64,
            "instalment": np.float64,
            "final": np.float64,
            "status": np.int64,
            "served": np.int64,
        }
    )


def vehicle_ledger() -> Ledger:
    """Vehicles; `gone` is the day on which a car left its customer, `ALWAYS` while it has not."""
    return Ledger(
        {
            "who": np.int64,
            "car": np.int64,
            "registered": np.int64,
            "price": np.float64,
            "bought": np.int64,
            "gone": np.int64,
        }
    )


def close(contracts: Ledger, numbers: Ints, *, day: Ints | int, status: int) -> None:
    """End contracts on a day, if they have not ended before; each lasts at least a day."""
    open_ones = contracts["status"][numbers] == ACTIVE
    mine = numbers[open_ones]
    last = day if isinstance(day, int) else day[open_ones]
    last = np.maximum(last, contracts["starts"][mine] + 1)
    contracts["ends"][mine] = np.minimum(contracts["ends"][mine], last)
    contracts["status"][mine] = status


__all__ = [
    "ACTIVE",
    "ALWAYS",
    "DECLARED_TYPES",
    "ENDED",
    "EVENT_TYPES",
    "SETTLED",
    "STATUSES",
    "WISHED",
    "WRITTEN_OFF",
    "EventLog",
    "Ledger",
    "close",
    "contract_ledger",
    "vehicle_ledger",
]
