"""Who does not want to be learned from, or to get lists of their own: by the ledger, by the source.

What was said in the ledger wins over what the source's consent table says.
"""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from oferta.errors import RefusersLearnedFrom, SettingsInvalid
from oferta.events.dataset import Dataset
from oferta.privacy.consents import Purpose
from oferta.privacy.ledger import Ledger, ledger_path
from oferta.privacy.word import Refusals


@dataclass(frozen=True, slots=True)
class Refusers:
    """Customers who refused a purpose.

    Attributes:
        ledger: which state of which ledger said so, as `Snapshot.id`; None: there is no ledger.
    """

    customer_ids: frozenset[str]
    ledger: str | None

    def check(self, ids: pl.Series) -> None:
        """Raise where any of them is among the customers that a model is fitted or judged on.

        Raises:
            RefusersLearnedFrom: so many are.
        """
        refusing = pl.Series(sorted(self.customer_ids), dtype=pl.String).implode()
        found = int(ids.cast(pl.String).is_in(refusing).sum())
        if found:
            raise RefusersLearnedFrom(found)


def refusers(dataset: Dataset, home: Path, purpose: Purpose, *, needed: bool = False) -> Refusers:
    """Who refused the purpose, in the ledger of the state folder or in the dataset's consent.

    Raises:
        LedgerUnavailable: there is a ledger, and it cannot be read: nobody can say.
        SettingsInvalid: a ledger is `needed`, and there is none.
    """
    here = _ledger(home, purpose)
    if here is None and needed:
        problem = f"policy.consent: 'ledger', and there is none at {ledger_path(home)}"
        raise SettingsInvalid("job", [problem])
    by_source = _by_source(dataset, purpose)
    if here is None:
        return Refusers(by_source, None)
    return Refusers((by_source - here.agreeing) | here.customer_ids, here.snapshot.id)


def _ledger(home: Path, purpose: Purpose) -> Refusals | None:
    path = ledger_path(home)
    if not path.exists():
        return None
    ledger = Ledger(path)
    try:
        return ledger.refusals(purpose)
    finally:
        ledger.close()


def _by_source(dataset: Dataset, purpose: Purpose) -> frozenset[str]:
    """Whose newest word is out; at one instant the out. One of the future has a wrong clock."""
    rows = dataset.consent()
    if rows is None:
        return frozenset()
    said = rows.filter(pl.col("purpose") == purpose).select(
        "customer_id",
        pl.min_horizontal("at", pl.lit(dataset.manifest.created_at)).alias("at"),
        (pl.col("state") == "out").alias("out"),
    )
    last = said.group_by("customer_id").agg(pl.col("out").sort_by("at", "out").last())
    return frozenset(last.filter("out").select("customer_id").collect()["customer_id"])
