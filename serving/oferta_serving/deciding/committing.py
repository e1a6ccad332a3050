"""Writing decisions: places in total caps first, then the commit, then back what was for nothing.

In this order a crash leaves places taken that nobody uses, until their reservation ends, and never
a decision without its places.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from oferta.decisions.decision import Decision
from oferta.decisions.record import pack_record
from oferta.decisions.request import Known, Request
from oferta.policy.state import encode_state
from oferta.store.decision_records import StoredDecision, seal_decision, seal_state
from oferta.store.decisions import (
    Change,
    DecisionStore,
    Done,
    NewDecision,
    Outcome,
    Place,
)
from oferta.store.keys import KeySpace
from oferta_serving.deciding.files import Rulebook
from oferta_serving.deciding.known import Found
from oferta_serving.deciding.memory import remember_s
from oferta_serving.deciding.totals import places

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Full:
    """A total cap had no place left: nothing was written."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A decision that is ready to be written.

    Attributes:
        index: of its request.
    """

    index: int
    id: str
    decision: Decision
    change: Change
    places: list[Place]


def draft(
    index: int,
    decision: Decision,
    *,
    id_: str,
    request: Request,
    known: Known,
    found: Found,
    book: Rulebook,
    space: KeySpace,
    keep_d: float,
) -> Draft:
    """The decision on the request at `index`, as it is to be written under `id_`."""
    state, at = decision.state, known.at
    stored = StoredDecision(
        at=at,
        bundle=book.version,
        notes={} if found.degraded is None else {"degraded_reason": found.degraded},
        record=pack_record(request, known, decision, engine=book.engine),
    )
    new = NewDecision(
        id_,
        seal_decision(stored, release=known.release),
        round(keep_d * DAY_S),
        None if request.request_id is None else space.request(found.digest, request.request_id),
    )
    changed = state.version != found.state.version
    change = Change(
        customer=found.digest,
        mark=found.mark,
        state=seal_state(encode_state(state), version=state.version, at=at) if changed else None,
        state_ttl_s=remember_s(book.engine.policy, state, at=at),
        decision=new,
        log=[orjson.dumps({"kind": "decision", "decision_id": id_, "at": round(at, 3)})],
    )
    return Draft(index, id_, decision, change, places(book.engine, decision.contacts, id_))


async def commit(
    store: DecisionStore, drafts: Sequence[Draft], *, at: float
) -> list[Outcome | Full]:
    """What became of each draft, in order.

    Raises:
        StoreUnavailable: no answer in time: any of them may have been written or not. Their places
            are left as they are, to be free again when their time ends.
    """
    with_places = [not one.places or not await store.take(one.places, at=at) for one in drafts]
    ready = [one for one, taken in zip(drafts, with_places, strict=True) if taken]
    outcomes = await store.apply([one.change for one in ready])
    await store.give_back(
        [
            place
            for one, outcome in zip(ready, outcomes, strict=True)
            if not isinstance(outcome, Done)
            for place in one.places
        ]
    )
    written = iter(outcomes)
    return [next(written) if taken else Full() for taken in with_places]
