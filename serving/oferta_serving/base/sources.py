"""What a whole base is asked with: files of rules, scores of everybody, an instant."""

from dataclasses import replace
from datetime import datetime, time
from pathlib import Path

import polars as pl

from oferta.clock import Clock
from oferta.decisions.base_table import BaseTable, newest_base
from oferta.decisions.engine import Engine
from oferta.privacy.ledger import Ledger, ledger_kept
from oferta.profile.facts import FACTS
from oferta_serving.deciding.files import RuleFiles
from oferta_serving.settings import DecisionSettings


def changed_files(
    files: RuleFiles, *, policy: Path | None, catalogue: Path | None, cards: Path | None
) -> RuleFiles:
    """The files with those that are given in their place."""
    return replace(
        files,
        policy=policy or files.policy,
        catalogue=catalogue or files.catalogue,
        rate_cards=cards or files.rate_cards,
    )


def base_table(settings: DecisionSettings, *, scores: Path | None, home: Path) -> BaseTable:
    """The scores of everybody: those given, else the settings', else the newest under `home`.

    With what customers have said of consent since.

    Raises:
        LedgerUnavailable: nobody can say what they said.
        SourceRefused: there are none, or they are not fit for it.
    """
    given = scores or settings.base
    if given is None:
        given = newest_base(home / "scores")
    elif not (given / "manifest.json").is_file():
        given = newest_base(given)
    return replace(BaseTable.open(given), said=_said(home))


def _said(home: Path) -> pl.DataFrame | None:
    """What customers said by the ledger of this machine, as facts; None: nobody said anything."""
    path = ledger_kept(home)
    if path is None:
        return None
    ledger = Ledger(path)
    try:
        words = [
            (customer_id, f"consent_{subject}", agreed)
            for customer_id, subject, agreed in ledger.words()
            if f"consent_{subject}" in FACTS
        ]
    finally:
        ledger.close()
    if not words:
        return None
    rows = pl.DataFrame(words, schema=["customer_id", "fact", "agreed"], orient="row")
    return rows.pivot("fact", index="customer_id", values="agreed")


def noon(engine: Engine, clock: Clock) -> float:
    """Noon of the day in the policy's zone: no channel's quiet hours, and the same all day."""
    today = clock.now().astimezone(engine.zone).date()
    return datetime.combine(today, time(12), engine.zone).timestamp()
