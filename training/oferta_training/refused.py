"""Who does not want to be learned from, or to get lists of their own: by the ledger, by the source.

What was said in the ledger wins over what the source's consent table says.
"""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from oferta.errors import RefusersLearnedFrom, SettingsInvalid
from oferta.events.dataset import Dataset
from oferta.privacy.consents import Purpose
from oferta.privacy.ledger import Ledger, ledger_kept, ledger_path
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
    here = refusals_of(home, purpose)
    if here is None and needed:
        problem = f"policy.consent: 'ledger', and there is none at {ledger_path(home)}"
        raise SettingsInvalid("job", [problem])
    said = said_by_source(dataset, purpose)
    by_source = frozenset(customer_id for customer_id, agreed in said.items() if not agreed)
    if here is None:
        return Refusers(by_source, None)
    return Refusers((by_source - here.agreeing) | here.customer_ids, here.snapshot.id)


def refusals_of(home: Path, purpose: Purpose) -> Refusals | None:
    """What the ledger of a state folder says; None: there is none.

    Raises:
        LedgerUnavailable: there is one, and it cannot be read: nobody can say.
    """
    path = ledger_kept(home)
    if path is None:
        return None
    ledger = Ledger(path)
    try:
        return ledger.refusals(purpose)
    finally:
        ledger.close()


def said_by_source(dataset: Dataset, purpose: Purpose) -> dict[str, bool]:
    """By customer, whether they agree by the dataset's consent table.

    The newest word, at one instant the out. One of the future has a wrong clock: it is of when the
    dataset was made.
    """
    rows = dataset.consent()
    if rows is None:
        return {}
    said = rows.filter(pl.col("purpose") == purpose).select(
        "customer_id",
        pl.min_horizontal("at", pl.lit(dataset.manifest.created_at)).alias("at"),
        (pl.col("state") == "out").alias("out"),
    )
    last = said.group_by("customer_id").agg(pl.col("out").sort_by("at", "out").last())
    return {customer_id: not out for customer_id, out in last.collect().iter_rows()}
