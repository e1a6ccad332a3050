"""What a whole base is asked with: files of rules, scores of everybody, an instant."""

from dataclasses import replace
from datetime import datetime, time
from pathlib import Path

from oferta.clock import Clock
from oferta.decisions.base_table import BaseTable, newest_base
from oferta.decisions.engine import Engine
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

    Raises:
        SourceRefused: there are none, or they are not fit for it.
    """
    given = scores or settings.base
    if given is None:
        return BaseTable.open(newest_base(home / "scores"))
    if (given / "manifest.json").is_file():
        return BaseTable.open(given)
    return BaseTable.open(newest_base(given))


def noon(engine: Engine, clock: Clock) -> float:
    """Noon of the day in the policy's zone: no channel's quiet hours, and the same all day."""
    today = clock.now().astimezone(engine.zone).date()
    return datetime.combine(today, time(12), engine.zone).timestamp()
