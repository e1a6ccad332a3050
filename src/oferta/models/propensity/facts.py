"""Facts of profiles as numbers for trees: those that can be known of the past as of the past."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from oferta.interactions.idmap import IdMap
from oferta.profile.facts import FACTS

REBUILT: Final = (
    "has_finance",
    "contract_kind",
    "contract_start",
    "contract_end",
    "contract_months",
    "contract_rate",
    "balloon_due",
    "insurance_renewal",
    "service_plan_end",
    "contracts_active",
    "contracts_ended",
    "intent",
    "intent_family",
    "wished_amount",
    "wished_months",
    "wished_deposit",
    "wished_instalment",
    "wished_at",
    "last_active",
    "quotes_30d",
    "calculator_30d",
    "calculator_last",
    "purchases",
)
"""Facts that dated events and the planned dates of contracts tell as of any instant.

Not among them: what is only known as it is now. Vehicles are the ones that customers still have,
arrears and payoffs are today's: of the past they would tell what happened after it. Consent,
attributes and the declared risk tier are for rules alone.
"""


@dataclass(frozen=True, slots=True)
class FactCoding:
    """Which facts are taken, and what the codes of texts mean.

    Attributes:
        names: of the facts, in the order of their columns.
        texts: of each its known texts in order; empty where it is no text.
    """

    names: tuple[str, ...]
    texts: tuple[tuple[str, ...], ...]

    @staticmethod
    def of(frames: Sequence[pl.DataFrame], names: Sequence[str]) -> "FactCoding":
        """The coding of the texts that `frames` hold."""
        texts = []
        for name in names:
            known: set[str] = set()
            if FACTS[name].kind == "text":
                for frame in frames:
                    known.update(frame[name].drop_nulls().unique().to_list())
            texts.append(tuple(sorted(known)))
        return FactCoding(tuple(names), tuple(texts))

    def encode(self, frame: pl.DataFrame, customers: IdMap, *, today: date) -> NDArray[np.float32]:
        """`(customers, facts) float32`: days from `today` for dates, NaN where nothing is known."""
        rows = customers.rows(frame["customer_id"])
        there = rows >= 0
        made = np.full((len(customers), len(self.names)), np.nan, np.float32)
        for place, (name, texts) in enumerate(zip(self.names, self.texts, strict=True)):
            made[rows[there], place] = _numbers(frame[name], name, texts, today)[there]
        return made

    @property
    def categorical(self) -> tuple[int, ...]:
        """Which columns have no order."""
        return tuple(at for at, name in enumerate(self.names) if FACTS[name].kind == "text")

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"names": list(self.names), "texts": [list(each) for each in self.texts]}

    @staticmethod
    def of_json(fields: Any) -> "FactCoding":  # noqa: ANN401 - checked here
        """What `as_json` gave; KeyError, TypeError or ValueError of anything else."""
        names = tuple(str(name) for name in fields["names"])
        texts = tuple(tuple(str(text) for text in each) for each in fields["texts"])
        if len(names) != len(texts) or not set(names) <= set(REBUILT):
            raise ValueError("the facts are not ones that this version knows")
        return FactCoding(names, texts)


def _numbers(
    values: pl.Series, name: str, texts: tuple[str, ...], today: date
) -> NDArray[np.float64]:
    kind = FACTS[name].kind
    if kind == "text":
        codes = {text: float(code) for code, text in enumerate(texts)}
        found = values.replace_strict(codes, default=None, return_dtype=pl.Float64)
    elif kind == "date":
        found = (values - pl.Series([today])).dt.total_days().cast(pl.Float64)
    else:
        found = values.cast(pl.Float64)
    return found.fill_null(np.nan).to_numpy()
