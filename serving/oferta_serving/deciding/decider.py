"""Decisions, made and kept: read, decide, commit; anew where somebody else was faster.

A decision is stored before it is answered. It is computed on what was read, and written only if
that is still so: of many who decide for one customer at once, one commits, the others decide again
on what it left.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Final

from oferta.clock import Clock
from oferta.decisions.decide import decide
from oferta.decisions.decision import Decision
from oferta.decisions.request import Request
from oferta.errors import RecordCorrupt, RequestInvalid
from oferta.policy.contact import NEVER_SPOKEN_TO
from oferta.policy.state import decode_state
from oferta.store.decision_records import mark_of, open_state, seal_bundle
from oferta.store.decisions import Conflict, DecisionStore, Done, Outcome, Repeated
from oferta.store.keys import KeySpace
from oferta_serving.consent.decided import withdrawn
from oferta_serving.deciding.committing import DAY_S, Draft, Full, commit, draft
from oferta_serving.deciding.files import Rulebook
from oferta_serving.deciding.invalid import as_refusal
from oferta_serving.deciding.known import Found, Knowledge
from oferta_serving.deciding.past import Past, PastDecision
from oferta_serving.deciding.rules import LiveRules
from oferta_serving.deciding.store_health import RETRY, StoreHealth
from oferta_serving.deciding.totals import TotalCounts
from oferta_serving.live import Releases, Serving
from oferta_serving.metrics import Metrics
from oferta_serving.problems import RequestRefused
from oferta_serving.settings import ServingSettings
from oferta_serving.view import ReleaseView

YIELD_EVERY: Final = 4
"""Decisions of a batch until other requests get their turn: about 5 ms."""

BUNDLE_AGAIN_S: Final = 6 * 3600
"""How often the stored files' life is renewed: far more often than a day, by which it is longer."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A decision that was made, or found by its request id.

    Attributes:
        id: what it is stored under; None: it is not stored: a dry run, a batch not
            reserved, or a customer who was forgotten.
        degraded: why it was not made with what should have been there; None: it was.
        repeated: whether it had been made before, for the same request id.
    """

    id: str | None
    request: Request
    decision: Decision
    degraded: str | None
    repeated: bool = False


Result = Answered | RequestRefused


@dataclass(slots=True)
class _Work:
    """Requests on their way to a result; positions are those of `requests`."""

    requests: Sequence[Request]
    found: list[Found]
    book: Rulebook
    at: float
    results: dict[int, Result] = field(default_factory=dict)
    repeated: dict[int, str] = field(default_factory=dict)
    pending: list[int] = field(default_factory=list)

    def sort(self, index: int) -> None:
        """Where a request goes after its customer was read."""
        found = self.found[index]
        if found.forgotten and found.repeated is not None:
            self.results[index] = RequestRefused("request_id.withdrawn", "request_id")
        elif found.repeated is not None:
            self.repeated[index] = found.repeated
        elif found.unreadable is not None:
            self.results[index] = RequestRefused(found.unreadable, headers=RETRY)
        else:
            self.pending.append(index)


class Decider:
    """Makes decisions. For one event loop; any number of calls may run at once."""

    def __init__(
        self,
        store: DecisionStore,
        knowledge: Knowledge,
        past: Past,
        *,
        rules: LiveRules,
        releases: Releases,
        health: StoreHealth,
        space: KeySpace,
        settings: ServingSettings,
        clock: Clock,
        metrics: Metrics,
        nonce: Callable[[], bytes],
    ) -> None:
        self._store = store
        self._knowledge = knowledge
        self._past = past
        self._rules = rules
        self._releases = releases
        self._health = health
        self._space = space
        self._personal = settings.privacy.personalise
        self._keep_d = settings.decisions.keep_d
        self._deadline_s = settings.decisions.deadline_ms / 1000
        self._stop_after_s = settings.freshness.stop_after_h * 3600
        self._clock = clock
        self._metrics = metrics
        self._nonce = nonce
        self._totals = TotalCounts(store)
        # Batches at once would starve each other's, and everybody's, answers from Redis.
        self._batches = asyncio.Lock()
        self._bundle: tuple[str, float] = ("", float("-inf"))
        self._committing: set[asyncio.Task[list[Outcome | Full]]] = set()

    async def decide(self, request: Request, *, at: float | None = None) -> Answered:
        """The decision on one request, stored unless it is a dry run.

        `at` is the instant to decide for, now unless it is given: epoch seconds.

        Raises:
            RequestRefused: a wrong request, or what a decision needs cannot be had.
        """
        (result,) = await self.decide_many([request], at=at)
        if isinstance(result, RequestRefused):
            raise result
        return result

    async def decide_many(
        self, requests: Sequence[Request], *, at: float | None = None
    ) -> list[Result]:
        """The decision on each request, or why there is none; customers differ from each other.

        Raises:
            RequestRefused: what holds for all of them.
        """
        if not self._personal:
            requests = [replace(request, personalise=False) for request in requests]
        turn = self._batches if len(requests) > 1 else nullcontext()
        async with turn:
            book, serving, view, now = await self._ready()
            try:
                async with self._health.watched():
                    found = await self._knowledge.of(requests, view, serving)
                    instant = now if at is None else at
                    return await self._decided(_Work(requests, found, book, instant))
            except RequestInvalid as error:
                raise as_refusal(error, requests[0], book.engine) from None

    async def found(self, request: Request) -> tuple[Rulebook, Found]:
        """What a decision on the request would be made with.

        Raises:
            RequestRefused: what a decision needs cannot be had.
        """
        book, serving, view, _ = await self._ready()
        async with self._health.watched():
            (found,) = await self._knowledge.of([request], view, serving)
        return book, found

    async def _ready(self) -> tuple[Rulebook, Serving, ReleaseView, float]:
        """The rules and the release to decide by, and the present instant."""
        book = await self._rules.fresh()
        if book is None:
            raise RequestRefused("decisions.rules_unavailable", headers=RETRY)
        serving, now = self._releases.current, self._clock.now().timestamp()
        self._health.check()
        return book, serving, self._usable(serving, now), now

    async def _decided(self, work: _Work) -> list[Result]:
        deadline = time.monotonic() + self._deadline_s
        for index in range(len(work.requests)):
            work.sort(index)
        full = False
        while work.pending:
            drafts = await self._drafts(work, anew=full)
            work.pending = []
            if drafts:
                await self._keep_files(work.book, work.at)
            outcomes = await self._commit(drafts, at=work.at) if drafts else []
            for one, outcome in zip(drafts, outcomes, strict=True):
                self._settle(work, one, outcome)
            full = any(isinstance(outcome, Full) for outcome in outcomes)
            if work.pending and time.monotonic() > deadline:
                for index in work.pending:
                    work.results[index] = RequestRefused("decisions.contended", headers=RETRY)
                break
        await self._recall(work)
        for result in work.results.values():
            if isinstance(result, Answered):
                self._metrics.decisions.labels(result.decision.outcome).inc()
        return [work.results[index] for index in range(len(work.requests))]

    async def _commit(self, drafts: Sequence[Draft], *, at: float) -> list[Outcome | Full]:
        """Commit beside the request: one whose client goes is finished, or places would be lost."""
        committing = asyncio.create_task(commit(self._store, drafts, at=at))
        self._committing.add(committing)
        committing.add_done_callback(self._committing.discard)
        return await asyncio.shield(committing)

    async def _drafts(self, work: _Work, *, anew: bool) -> list[Draft]:
        """Decide what is pending; what is not to be stored has its result."""
        totals = await self._totals.of(work.book.engine, at=work.at, anew=anew)
        drafts: list[Draft] = []
        for done, index in enumerate(work.pending, 1):
            request, found = work.requests[index], work.found[index]
            popular = self._knowledge.popular(found.view)
            known = found.known(popular=popular, totals=totals, at=work.at)
            decision = decide(work.book.engine, request, known)
            if request.dry_run or found.forgotten:
                work.results[index] = Answered(None, request, decision, found.degraded)
            else:
                drafts.append(
                    draft(
                        index,
                        decision,
                        id_=self._space.decision_id(found.digest, self._nonce()),
                        request=request,
                        known=known,
                        found=found,
                        book=work.book,
                        space=self._space,
                        keep_d=self._keep_d,
                    )
                )
            if done % YIELD_EVERY == 0:
                await asyncio.sleep(0)
        return drafts

    def _settle(self, work: _Work, one: Draft, outcome: Outcome | Full) -> None:
        """What follows from what became of a draft."""
        index = one.index
        found = work.found[index]
        match outcome:
            case Done():
                request = work.requests[index]
                work.results[index] = Answered(one.id, request, one.decision, found.degraded)
            case Repeated(decision_id):
                work.repeated[index] = decision_id
            case Full():
                self._metrics.conflicts.labels("total").inc()
                work.pending.append(index)
            case Conflict(stored):
                self._metrics.conflicts.labels("state").inc()
                work.found[index] = self._on(found, stored)
                work.sort(index)

    def _on(self, found: Found, stored: bytes | None) -> Found:
        """The same customer, on the state that another decision left."""
        try:
            state = NEVER_SPOKEN_TO if stored is None else decode_state(open_state(stored))
        except RecordCorrupt:
            self._metrics.damaged.labels("state").inc()
            return replace(found, unreadable="decisions.state_unreadable")
        return replace(found, state=state, mark=mark_of(stored))

    def _usable(self, serving: Serving, now: float) -> ReleaseView:
        """The live release, if decisions may be made on it.

        Raises:
            RequestRefused: there is none, or its rows cannot be read, or it is too old.
        """
        view = serving.live
        if view is None or serving.trouble is not None:
            raise RequestRefused("decisions.release_unavailable", headers=RETRY)
        if now - view.head.manifest.created_at > self._stop_after_s:
            raise RequestRefused("decisions.release_unavailable", headers=RETRY)
        return view

    async def _keep_files(self, book: Rulebook, now: float) -> None:
        """Store the files before any decision that was made with them: else none is replayed."""
        version, kept_at = self._bundle
        instant = time.monotonic()
        if version == book.version and instant - kept_at < BUNDLE_AGAIN_S:
            return
        ttl_s = round(self._keep_d * DAY_S) + DAY_S
        await self._store.keep_bundle(book.version, seal_bundle(book.files, at=now), ttl_s=ttl_s)
        self._bundle = (book.version, instant)

    async def _recall(self, work: _Work) -> None:
        """The stored decisions of request ids that came again."""
        if not work.repeated:
            return
        past = await self._past.of(list(work.repeated.values()))
        for index, decision in zip(work.repeated, past, strict=True):
            result = _again(decision, work.requests[index])
            if isinstance(result, Answered) and withdrawn(
                result.decision, work.found[index].customer(), work.book.engine.policy
            ):
                result = RequestRefused("request_id.withdrawn", "request_id")
            work.results[index] = result


def _again(past: PastDecision | None, request: Request) -> Result:
    if past is None:  # it went while it was asked for: asked once more, it is decided anew
        return RequestRefused("decisions.contended", headers=RETRY)
    if replace(past.request, dry_run=request.dry_run) != request:
        return RequestRefused("request_id.reused", "request_id")
    degraded = past.notes.get("degraded_reason")
    return Answered(past.id, past.request, past.decision, degraded, repeated=True)
