"""What happened in a chunk: events, contracts and vehicles, in columns that grow."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from oferta_experiments.world.arrays import Ints, Reals
from oferta_experiments.world.state import NONE

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

    def since(self, at: int | None) -> dict[str, np.ndarray]:
        """Events from epoch second `at` on (None: all), in the order in which they were drawn."""
        names = ("who", "product", "type", "at", "channel", "value", "model", *WISHED)
        blocks = self._blocks
        if at is not None:
            blocks = [block for block in blocks if block["at"].max() >= at]
        joined = {
            name: np.concatenate([block[name] for block in blocks] or [np.empty(0)])
            for name in names
        }
        if at is None:
            return joined
        late = joined["at"] >= at
        return {name: column[late] for name, column in joined.items()}

    def columns(self) -> dict[str, np.ndarray]:
        """All events by time, then customer, then product, then type."""
        joined = self.since(None)
        order = np.lexsort((joined["type"], joined["product"], joined["who"], joined["at"]))
        return {name: column[order] for name, column in joined.items()}


class Ledger:
    """Rows that are opened and later changed, by number; room is doubled as it fills."""

    def __init__(self, *, whole: Sequence[str], real: Sequence[str]) -> None:
        self._whole = {name: np.zeros(1024, np.int64) for name in whole}
        self._real = {name: np.zeros(1024) for name in real}
        self.count = 0

    def open(self, *, who: Ints, **values: np.ndarray | float) -> Ints:
        """New rows of the customers `who` with these values, zeros elsewhere; their numbers."""
        count = len(who)
        while self.count + count > len(self._whole["who"]):
            for name, column in self._whole.items():
                self._whole[name] = np.concatenate([column, np.zeros_like(column)])
            for name, reals in self._real.items():
                self._real[name] = np.concatenate([reals, np.zeros_like(reals)])
        numbers = np.arange(self.count, self.count + count)
        for name, value in {"who": who, **values}.items():
            if name in self._real:
                self._real[name][numbers] = value
            else:
                self._whole[name][numbers] = value
        self.count += count
        return numbers

    def whole(self, name: str) -> Ints:
        """A column of whole numbers: change it in place, by number."""
        return self._whole[name][: self.count]

    def real(self, name: str) -> Reals:
        """A column of real numbers: change it in place, by number."""
        return self._real[name][: self.count]


def contract_ledger() -> Ledger:
    """Contracts: days as in `State`; `served` is 1 where servicing changed the terms."""
    return Ledger(
        whole=("who", "product", "vehicle", "starts", "ends", "term", "status", "served"),
        real=("amount", "rate", "instalment", "final"),
    )


def vehicle_ledger() -> Ledger:
    """Vehicles; `gone` is the day on which a car left its customer, `ALWAYS` while it has not."""
    return Ledger(whole=("who", "car", "registered", "bought", "gone"), real=("price",))


def close(contracts: Ledger, numbers: Ints, *, day: Ints | int, status: int) -> None:
    """End contracts on a day, if they have not ended before; each lasts at least a day."""
    open_ones = contracts.whole("status")[numbers] == ACTIVE
    mine = numbers[open_ones]
    last = day if isinstance(day, int) else day[open_ones]
    last = np.maximum(last, contracts.whole("starts")[mine] + 1)
    contracts.whole("ends")[mine] = np.minimum(contracts.whole("ends")[mine], last)
    contracts.whole("status")[mine] = status
