"""Audiences and triggers for the API: found in the whole base, each asked again by the live rules.

What batch scoring left tells who may be worth asking; each of them is then decided for, as by any
dry run, on the live release and on what was said to them. One such question at a time.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Final

from oferta.catalogue.texts import Text
from oferta.clock import Clock
from oferta.decisions.audience import Audience
from oferta.decisions.base_table import BaseTable
from oferta.decisions.decision import OfferMade
from oferta.decisions.occasion import occasion
from oferta.decisions.request import Request
from oferta.decisions.triggers import Due, Triggers
from oferta.errors import RequestInvalid, SourceRefused, UnknownName
from oferta_serving.base.fired import seen_triggers
from oferta_serving.base.sources import base_table
from oferta_serving.deciding.decider import Answered
from oferta_serving.deciding.files import Rulebook
from oferta_serving.deciding.invalid import as_refusal
from oferta_serving.deciding.parts import Deciding
from oferta_serving.problems import RequestRefused, nearest
from oferta_serving.settings import DecisionSettings

_AT_ONCE: Final = 200


@dataclass(slots=True)
class Asked:
    """What came of asking customers again.

    Attributes:
        found: how many could be made the offer by the base; of triggers, how many are due.
        refused: of those asked again, how many got no offer, by the code of the reason.
        more: whether the limit left some unasked.
    """

    table: BaseTable
    found: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    more: bool = False


@dataclass(frozen=True, slots=True)
class Member:
    """One customer of an audience; `rank` from 1, by the base's expected value."""

    rank: int
    customer_id: str
    made: OfferMade


@dataclass(frozen=True, slots=True)
class Fired:
    """A trigger that is due, with the offer to make."""

    due: Due
    made: OfferMade
    text: Text


class LiveBase:
    """Asks the whole base. For one event loop; what takes long is done in a thread."""

    def __init__(
        self, deciding: Deciding, settings: DecisionSettings, *, home: Path, clock: Clock
    ) -> None:
        self._deciding = deciding
        self._settings = settings
        self._home = home
        self._clock = clock
        self._turn = asyncio.Lock()

    async def audience(self, offer: str, *, channel: str, limit: int) -> tuple[Asked, list[Member]]:
        """The customers to whom the offer is worth making most, `limit` at most.

        Raises:
            RequestRefused: no such offer or channel, no base, or what a decision needs is missing.
        """
        async with self._turn:
            book, table = await self._book(), await self._table()
            engine, at = book.engine, self._clock.now().timestamp()
            try:
                request = occasion(engine, channel=channel, offers=(offer,))
                found = Audience(engine, table, offer, at=at, channel=channel)
            except UnknownName as error:
                near = nearest(error.name, engine.by_id)
                raise RequestRefused("offer.unknown", near=near) from None
            except RequestInvalid as error:
                raise as_refusal(error, Request("", channel, ()), engine) from None
            ids = await asyncio.to_thread(found.ranked, limit=limit)
            asked = Asked(table, found.found)
            members: list[Member] = []
            requests = [replace(request, customer_id=one) for one in ids]
            places = _Places()
            async for _, answer in self._again(requests, asked):
                asked.more = len(members) == limit
                if asked.more:
                    break
                if places.take(answer, asked):
                    made = answer.decision.offers[0]
                    members.append(Member(len(members) + 1, answer.request.customer_id, made))
            return asked, members

    async def triggers(
        self, *, before: date | None, channel: str, limit: int
    ) -> tuple[Asked, list[Fired]]:
        """What is due before a day and has not fired, with the offer to make; `limit` at most.

        Raises:
            RequestRefused: no such channel, no base, or what a decision needs is missing.
        """
        async with self._turn:
            book, table = await self._book(), await self._table()
            engine, at = book.engine, self._clock.now().timestamp()
            try:
                triggers = Triggers(engine, table, at=at, channel=channel)
            except RequestInvalid as error:
                raise as_refusal(error, Request("", channel, ()), engine) from None
            seen = await asyncio.to_thread(seen_triggers, self._home)
            blocks = await asyncio.to_thread(lambda: list(triggers.due(before=before, seen=seen)))
            due = sorted((one for block in blocks for one in block.due), key=_day)
            asked = Asked(table, len(due))
            fired: list[Fired] = []
            requests = [triggers.request(one) for one in due]
            texts = {one.rule.name: one.rule.text for one in engine.triggers}
            places = _Places()
            async for at_due, answer in self._again(requests, asked):
                asked.more = len(fired) == limit
                if asked.more:
                    break
                if places.take(answer, asked):
                    one = due[at_due]
                    fired.append(Fired(one, answer.decision.offers[0], texts[one.trigger]))
            return asked, fired

    async def _again(
        self, requests: Sequence[Request], asked: Asked
    ) -> AsyncIterator[tuple[int, Answered]]:
        """The decision on each request with its number; who cannot be decided for is left out."""
        for start in range(0, len(requests), _AT_ONCE):
            results = await self._deciding.decider.decide_many(requests[start : start + _AT_ONCE])
            for number, result in enumerate(results, start):
                if isinstance(result, Answered):
                    yield number, result
                else:
                    asked.refused[result.code] += 1

    async def _book(self) -> Rulebook:
        book = await self._deciding.rules.fresh()
        if book is None:
            raise RequestRefused("decisions.rules_unavailable")
        return book

    async def _table(self) -> BaseTable:
        try:
            return await asyncio.to_thread(base_table, self._settings, scores=None, home=self._home)
        except SourceRefused:
            raise RequestRefused("base.unavailable") from None


class _Places:
    """Places under caps over everybody, as if every offer were made."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()

    def take(self, answer: Answered, asked: Asked) -> bool:
        """Whether there is an offer, to a customer on whom it may depend, and places for it."""
        decision = answer.decision
        if not decision.offers:
            asked.refused[decision.why[0][0]] += 1
            return False
        if decision.owed or not decision.personalised:
            asked.refused["not_personalised"] += 1
            return False
        for name in decision.taken:
            used, limit = decision.caps[name]
            if used + self._taken[name] > limit:
                asked.refused["cap.total"] += 1
                return False
        self._taken.update(decision.taken)
        return True


def _day(due: Due) -> tuple[date, str]:
    return due.due, due.id
