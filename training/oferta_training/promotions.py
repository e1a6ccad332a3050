"""Which version is champion: promoting, refusing and going back, each on record.

The order is that of releases: the publication log says what is about to happen, the registry's tags
and then its alias move, the log says that it happened. A process killed between leaves either its
intention alone, and the old champion, or a champion that the next call puts on record as found.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import orjson

from oferta.clock import Clock
from oferta.durable import locked
from oferta.errors import PromotionRefused, ProtectedAttribute
from oferta_training import registry
from oferta_training.eligible import check_eligible
from oferta_training.publications import Entry, PublicationLog, publication_log_path
from oferta_training.registry import CHALLENGER, CHAMPION, Version
from oferta_training.verdict import Outcome, Verdict, unjudged

_SENTENCES, _LONGEST_SENTENCE = 4000, 400  # characters: a tag holds 5,000
_FIELDS = 110  # characters of an outcome beside its sentence


def promote(
    home: Path, version: Version, verdict: Verdict, *, over: Version | None, clock: Clock, by: str
) -> Verdict:
    """Make `version` champion where the verdict lets it, else challenger; the verdict that held.

    `over` is the champion that it was judged against, None where there was none: where another has
    become champion meanwhile, the verdict is of the past, and the version becomes challenger. `by`
    names the act, as `oferta train`. The version's tags keep the verdict (`oferta.gate`) and the
    guards' outcomes (`oferta.guards`); since when it is champion, the log knows.

    Raises:
        RegistryError: the registry did not answer; nothing has moved.
    """
    publications = PublicationLog(publication_log_path(home), clock)
    with _alone(home):
        now = note_unrecorded(home, version.name, publications)
        if verdict.promoted and now is not None and (over is None or over.label != now.label):
            verdict = unjudged(
                f"{now.label} became champion while it was judged against "
                f"{'none' if over is None else over.label}: compare it with that one"
            )
        tags = {"oferta.gate": verdict.because, "oferta.guards": _brief(verdict.outcomes)}
        entry = Entry(
            "promoting",
            model=version.label,
            model_run=version.run_id,
            dataset=version.fingerprint,
            reason=verdict.because,
            replaced=None if now is None else now.label,
            by=by,
        )
        if not verdict.promoted:
            registry.set_alias(home, version, CHALLENGER, tags=tags)
            _note_refusal(publications, entry, verdict.failing)
            return verdict
        publications.append(entry)
        registry.set_alias(home, version, CHAMPION, tags=tags)
        publications.append(replace(entry, action="promoted"))
    return verdict


def roll_back(
    home: Path, name: str, number: int, *, reason: str, clock: Clock, by: str
) -> tuple[Version, Version | None]:
    """Make an earlier champion champion again; it, and the one it replaced.

    Only a version that was champion before, by the gate: any other would come in around it. What is
    sold may have changed since, so the guard of protected attributes is asked again.

    Raises:
        RegistryError: no such version, or not one that may come back.
        PromotionRefused, ProtectedAttribute: `protected` refuses it; on record.
    """
    publications = PublicationLog(publication_log_path(home), clock)
    with _alone(home):
        before = note_unrecorded(home, name, publications)
        version = registry.find(home, f"{name}/{number}")
        entry = Entry(
            "rolling champion back",
            model=version.label,
            model_run=version.run_id,
            dataset=version.fingerprint,
            reason=reason,
            replaced=None if before is None else before.label,
            by=by,
        )
        try:
            check_eligible(home, version, before, publications=publications, clock=clock)
        except (PromotionRefused, ProtectedAttribute) as error:
            _note_refusal(publications, replace(entry, reason=str(error)), ("protected",))
            raise
        publications.append(entry)
        registry.set_alias(home, version, CHAMPION, tags={"oferta.rolled_back": reason})
        publications.append(replace(entry, action="champion rolled back"))
    return version, before


def refuse(home: Path, name: str, verdict: Verdict, *, dataset: str, clock: Clock, by: str) -> None:
    """Put on record that the guards refused what was to become a version of the model `name`.

    For callers that register nothing before the guards have passed. `dataset` is the fingerprint.
    """
    entry = Entry("refused promotion", model=name, dataset=dataset, reason=verdict.because, by=by)
    _note_refusal(PublicationLog(publication_log_path(home), clock), entry, verdict.failing)


def note_unrecorded(home: Path, name: str, publications: PublicationLog) -> Version | None:
    """The champion now; on record as found where no act of the log made it champion.

    Its process was killed before the last line, or somebody moved the alias in MLflow.

    Raises:
        RegistryError: the registry did not answer.
    """
    now = registry.champion(home, name)
    if now is not None and [now.label] != publications.champions(name)[-1:]:
        publications.append(
            Entry("found champion", model=now.label, model_run=now.run_id, dataset=now.fingerprint)
        )
    return now


def _note_refusal(publications: PublicationLog, entry: Entry, failing: tuple[str, ...]) -> None:
    """`entry` as a refused promotion, with the guards that refused it."""
    guards = ", ".join(failing) or None
    publications.append(replace(entry, action="refused promotion", guards=guards, replaced=None))


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """One act at a time in a state folder, so that none decides by what another is changing."""
    home.mkdir(parents=True, exist_ok=True)
    with locked(home / "promotions.lock"):
        yield


def _brief(outcomes: tuple[Outcome, ...]) -> str:
    longest = _SENTENCES // max(1, len(outcomes)) - _FIELDS
    longest = max(0, min(longest, _LONGEST_SENTENCE))
    return orjson.dumps(
        [
            {
                "guard": one.guard,
                "passed": one.passed,
                "measured": one.measured,
                "limit": one.limit,
                "sentence": one.sentence[:longest],
            }
            for one in outcomes
        ]
    ).decode()
