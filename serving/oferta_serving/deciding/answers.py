"""Answers of decisions as bytes: what the engine says, and what this service adds."""

import orjson

from oferta.decisions.answer import answer, receipt
from oferta_serving.deciding.decider import Answered
from oferta_serving.deciding.past import PastDecision
from oferta_serving.ladder import rung
from oferta_serving.settings import FreshnessSettings

_HOUR = 3600


def decision_answer(
    made: Answered, freshness: FreshnessSettings, *, scored: bool = True
) -> dict[str, object]:
    """The answer to a request; `decision_id` is null where nothing was stored."""
    decision = made.decision
    said = answer(decision, explain=made.request.explain, scored=scored)
    said["decision_id"] = made.id
    said["dry_run"] = made.request.dry_run
    said["repeated"] = made.repeated
    said["level"] = rung(made.degraded)
    said["degraded"] = made.degraded is not None
    said["degraded_reason"] = made.degraded
    said["stale"] = decision.at - decision.release_at > freshness.stale_after_h * _HOUR
    return said


def receipt_answer(past: PastDecision) -> bytes:
    """The receipt as the API answers it."""
    return orjson.dumps(receipt_of(past))


def receipt_of(past: PastDecision) -> dict[str, object]:
    """Everything that stands behind a decision; `files` is the version of what it was made with."""
    said = receipt(past.decision)
    said["decision_id"] = past.id
    said["request_id"] = past.request.request_id
    degraded = past.notes.get("degraded_reason")
    said["level"] = rung(degraded)
    said["degraded_reason"] = degraded
    said["files"] = past.bundle
    said["events"] = past.known.events
    return said
