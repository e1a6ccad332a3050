"""Whether an earlier champion may come back: the log is read, and `protected` asked again."""

from pathlib import Path

from oferta.clock import Clock
from oferta.errors import PromotionRefused, RegistryError, SourceRefused
from oferta.events.dataset import Dataset, open_dataset
from oferta.privacy.credit import sells_credit
from oferta.privacy.protected import require_allowed
from oferta.progress import Silent
from oferta_training import checks, registry
from oferta_training.publications import PublicationLog
from oferta_training.registry import Version
from oferta_training.verdict import Outcome, unmeasured


def check_eligible(
    home: Path,
    version: Version,
    before: Version | None,
    *,
    publications: PublicationLog,
    clock: Clock,
) -> None:
    """Nothing where `version` may replace the champion `before`.

    Raises:
        RegistryError: it is champion now, never was, or no gate had let it through.
        PromotionRefused: it uses protected attributes, and what is sold now is credit.
        ProtectedAttribute: it uses one without a reason, as it is known by now.
    """
    if before is not None and before.label == version.label:
        raise RegistryError(f"{version.label} is the champion already")
    eligible = publications.let_through(version.name)
    if version.label not in eligible:
        were = ", ".join(dict.fromkeys(eligible)) or "none"
        how = "became so around the gate"
        if version.label not in publications.champions(version.name):
            how = "never was champion, so no gate has let it through"
        raise RegistryError(f"{version.label} {how}. Were champion: {were}.")
    outcome = _protected(home, version, before, clock)
    if not outcome.passed:
        raise PromotionRefused(version.label, (outcome.guard,), outcome.sentence)


def _protected(home: Path, version: Version, before: Version | None, clock: Clock) -> Outcome:
    """The guard, with what is sold by its own data and by the champion's."""
    job = registry.job_of(home, version)
    used = (*job.segments.by, *job.features.customers)
    if not used:
        return checks.protected((), credit=True)
    try:
        own = _data(home, version, clock)
        newest = own if before is None else _data(home, before, clock)
    except SourceRefused as error:
        return unmeasured("protected", str(error))
    findings = require_allowed(own.customers().collect(), used, job.policy.allow_protected)
    credit = any(
        sells_credit(dataset.products().collect(), stated=registry.job_of(home, one).policy.credit)
        for one, dataset in ((version, own), (before or version, newest))
    )
    return checks.protected(findings, credit=credit)


def _data(home: Path, version: Version, clock: Clock) -> Dataset:
    return open_dataset(Path(version.dataset), home=home, clock=clock, progress=Silent())
