"""Publish, roll back, opt out and in, tell events, erase, in any order: every list is right.

Hypothesis chooses what happens, over a real Redis, `oferta serve` and `oferta consume`. After each
step everybody is asked for, until the answers are what the oracle says; until then each may be what
it was before, and nothing else, and what was shown once is never taken back. Consent and erasure
are waited for by nobody: the first answer must be right. `OFERTA_CHAOS_EXAMPLES=100` makes it the
long form.
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from typing import Any, ClassVar

import pytest
from chaos.table import record
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import FlakyFailure
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from journeys.live_oracle import ONCE_ONLY, PRODUCTS, Deed, Expected, Oracle, Person
from journeys.live_world import Live, running
from journeys.planted_live import PLANTS

from oferta.events.event import START
from oferta.store.keys import SHARDS

EXAMPLES = int(os.environ.get("OFERTA_CHAOS_EXAMPLES", "5"))
STEPS = int(os.environ.get("OFERTA_CHAOS_STEPS", "20"))
SEED = int(os.environ.get("OFERTA_CHAOS_SEED", "5"))
DEADLINE_S = 10.0
WRONG = "answers other than the oracle's"

CUSTOMERS = ("anna", "bela", "cleo", "new")

customers = st.sampled_from(CUSTOMERS)
sessions = st.sampled_from(["s1", "s2"])
products = st.integers(0, PRODUCTS - 1)
once_only = st.sampled_from(sorted(ONCE_ONLY))
_examples = count()


class ListsOverTime(RuleBasedStateMachine):
    """A small seller's day."""

    live: ClassVar[Live]
    counts: ClassVar[Counter[str]]

    def __init__(self) -> None:
        super().__init__()
        self.prefix = f"x{next(_examples)}"
        self.oracle = Oracle()
        for name, had in {"anna": (0, 3), "bela": (5,), "cleo": (), "new": ()}.items():
            deeds = [Deed("purchase", product, old=True) for product in had]
            self.oracle.people[self._name(name)] = Person(deeds)
        for name in ("s1", "s2"):
            self.oracle.sessions[self._name(name)] = Person()
        self.shown: dict[str, Expected] = {}
        self.last = ""
        self.counts["examples"] += 1

    @initialize(weights=st.integers(0, 10**6))
    def begin(self, weights: int) -> None:
        """Two releases of what is older than any event."""
        self._publish(weights, covers=False)
        self._publish(weights + 1, covers=False)
        self._settle(immediate=False, first=True)

    @rule(weights=st.integers(0, 10**6), covers=st.booleans())
    def publish(self, weights: int, covers: bool) -> None:
        """A next release, whose lists differ; its data hold the events so far, or none."""
        self._publish(weights, covers=covers)
        self._done("publish")

    @precondition(lambda self: self.last != "rollback")
    @rule()
    def roll_back(self) -> None:
        """The release before is live again."""
        assert self.oracle.previous is not None
        assert self.live.roll_back() == self.oracle.previous.number
        self.oracle.live, self.oracle.previous = self.oracle.previous, self.oracle.live
        self._done("rollback")

    @rule(who=customers, product=products)
    def view(self, who: str, product: int) -> None:
        """Somebody looks at something."""
        self._event(who, "view", product)

    @rule(who=customers, product=once_only)
    def buy_once(self, who: str, product: int) -> None:
        """What may be had once is bought, by who does not have it."""
        if not self._person(who).pieces(product):
            self._event(who, "purchase", product)

    @precondition(lambda self: self.returnable())
    @rule(which=st.integers(0, 99))
    def give_back(self, which: int) -> None:
        """Something that may be had once goes back."""
        there = self.returnable()
        self._event(*there[which % len(there)])

    def returnable(self) -> list[tuple[str, str, int]]:
        """Who has one of what."""
        return [
            (who, "return", product)
            for who in CUSTOMERS
            for product in sorted(ONCE_ONLY)
            if self._person(who).pieces(product) == 1 and not self._person(who).erased
        ]

    @rule(who=customers, product=products)
    def decline(self, who: str, product: int) -> None:
        """Somebody says no."""
        self._event(who, "decline", product)

    @rule(which=sessions, kind=st.sampled_from(["view", "view", "decline"]), product=products)
    def in_a_session(self, which: str, kind: str, product: int) -> None:
        """Somebody unknown does something, or somebody who was recognised by then."""
        session = self.oracle.sessions[self._name(which)]
        whose = session.customer
        if whose is not None and self.oracle.people[whose].erased:
            return
        answer = self.live.event(kind, product, session_id=self._name(which))
        assert answer.status_code == 202, answer.text
        (session if whose is None else self.oracle.people[whose]).deeds.append(Deed(kind, product))
        self._done("event of a session")

    @precondition(lambda self: self.unknown())
    @rule(who=customers, product=products)
    def recognise(self, who: str, product: int) -> None:
        """A session turns out to be somebody, while they look at something."""
        name, person = self.unknown()[0], self._person(who)
        session = self.oracle.sessions[name]
        if person.erased:
            return
        ids = {"session_id": name, "customer_id": self._name(who)}
        answer = self.live.event("view", product, **ids)
        assert answer.status_code == 202, answer.text
        session.customer = self._name(who)
        had, view = person.deeds, Deed("view", product)
        between = []
        for part in ([view], session.deeds):  # two steps, and anybody may ask in between
            person.deeds = [*had, *part]
            between.append(self.oracle.expected(self._name(who)))
        person.deeds = [*had, *session.deeds, view]
        self._done("merge", between=between)

    def unknown(self) -> list[str]:
        """The sessions that did something and are nobody's yet."""
        sessions = self.oracle.sessions.items()
        return [name for name, one in sessions if one.deeds and one.customer is None]

    @rule(who=customers)
    def opt_out(self, who: str) -> None:
        """No lists of their own any more."""
        self._say(who, "personalisation", "out")

    @rule(who=customers)
    def opt_in(self, who: str) -> None:
        """Lists of their own again."""
        self._say(who, "personalisation", "in")

    @rule(who=customers, state=st.sampled_from(["in", "out"]))
    def marketing(self, who: str, state: str) -> None:
        """What is said of marketing is no word on lists."""
        self._say(who, "marketing", state)

    @rule(who=st.sampled_from(["bela", "cleo", "new"]))
    def erase(self, who: str) -> None:
        """Somebody asks to be forgotten."""
        if not self._person(who).erased:
            self.live.erase(self._name(who))
            self._person(who).erased = True
            self._done("erase", immediate=True)

    def _name(self, who: str) -> str:
        return f"{self.prefix}-{who}"

    def _person(self, who: str) -> Person:
        return self.oracle.people[self._name(who)]

    def _publish(self, weights: int, *, covers: bool) -> None:
        number = self.live.reserve()
        release = self.oracle.next_release(number, covers=covers, seed=weights)
        positions = self.live.positions() if covers else (str(START),) * SHARDS
        self.live.publish(release, covered=positions)
        self.oracle.previous, self.oracle.live = self.oracle.live, release

    def _event(self, who: str, kind: str, product: int) -> None:
        person = self._person(who)
        answer = self.live.event(kind, product, customer_id=self._name(who))
        if person.erased:
            assert answer.status_code == 410, answer.text
        else:
            assert answer.status_code == 202, answer.text
            person.deeds.append(Deed(kind, product))
        self._done(kind)

    def _say(self, who: str, purpose: str, state: str) -> None:
        person = self._person(who)
        if person.erased:
            return
        self.live.consent(self._name(who), purpose, state)
        if purpose == "personalisation":
            person.personal = state == "in"
        self._done(f"{purpose} {state}", immediate=True)

    def _done(
        self, what: str, *, immediate: bool = False, between: Sequence[Expected] = ()
    ) -> None:
        self.last = what
        self.counts[what] += 1
        self.counts["steps"] += 1
        self._settle(immediate=immediate, between=between)

    def _settle(
        self, *, immediate: bool, first: bool = False, between: Sequence[Expected] = ()
    ) -> None:
        """Ask for everybody until all is as it must be; see the module."""
        asked: dict[str, Callable[[str], Expected]] = dict.fromkeys(
            self.oracle.people, self.oracle.expected
        ) | dict.fromkeys(self.oracle.sessions, self.oracle.expected_of_session)
        deadline = time.monotonic() + DEADLINE_S
        for name, expected in asked.items():
            wanted = expected(name)
            while (got := self._shown(name)) != wanted:
                told = f"{name}: got {got}, wanted {wanted}, was {self.shown.get(name)}"
                late = time.monotonic() > deadline
                known = first or got == self.shown[name] or got in between
                self._hold(known and not immediate and not late, told)
            self.shown[name] = wanted
        self.live.until_applied()
        for name in asked:  # and so it stays
            got = self._shown(name)
            self._hold(got == self.shown[name], f"{name}: got {got}, was {self.shown[name]}")

    def _hold(self, holds: object, told: str) -> None:
        self.counts[WRONG] += not holds
        assert holds, told

    def _shown(self, name: str) -> Expected:
        """What is answered, as what the oracle speaks of."""
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            answer, bare = self._answer(name)
            if answer["degraded"]:
                self._check_degraded(name, answer)
                continue
            compared = self._is_refused(name)
            if compared:
                everybodys, anybodys = self.live.ask("customers", "nobody", "&personalise=false")
                if everybodys["release"] != answer["release"]:
                    continue  # it was swapped in between
                self.counts["answers compared with everybody's"] += 1
            listed = [int(item["product_id"][1:]) for item in answer["items"]]
            return Expected(
                release=answer["release"],
                products=tuple(listed),
                own=_own(answer),
                events=answer["events"],
                by=answer["freshened_by"],
                nobody=compared and bare == anybodys,
            )
        raise AssertionError(f"{name}: no whole answer in {DEADLINE_S} s, wanted one")

    def _answer(self, name: str) -> tuple[dict[str, Any], bytes]:
        self.counts["answers"] += 1
        kind = "customers" if name in self.oracle.people else "sessions"
        answer, bare = self.live.ask(kind, name)
        own = _own(answer)
        assert {item["source"] for item in answer["items"][own:]} <= {"popular"}, answer
        assert answer["personalised"] == (own > 0), answer
        return answer, bare

    def _is_refused(self, name: str) -> bool:
        person = self.oracle.people.get(name)
        return person is not None and (person.erased or person.personal is False)

    def _check_degraded(self, name: str, answer: dict[str, Any]) -> None:
        """Redis had 60 ms, and others share this machine: then less is known, never too much."""
        self.counts[f"answers at {answer['level']}, asked again"] += 1
        told = f"{name}: got {answer}, wanted nothing of the kind"
        reasons = {"store_unavailable", "recent_unreadable"}
        reasons |= set() if self.shown else {"no_release"}  # it has just been started
        assert answer["degraded_reason"] in reasons, told
        if answer["level"] == "L3" or self._is_refused(name):
            self._hold(_own(answer) == 0, told)


def _own(answer: dict[str, Any]) -> int:
    return sum(item["source"] == "personalised" for item in answer["items"])


def run(*, examples: int, steps: int, number: int, plant: str | None = None) -> Counter[str]:
    """So many days of so many steps; what happened."""
    with running(plant) as live:
        machine = type("Machine", (ListsOverTime,), {"live": live, "counts": Counter()})
        with suppress(*(() if plant is None else (AssertionError, FlakyFailure))):
            run_state_machine_as_test(
                seed(number)(machine),
                settings=settings(
                    max_examples=examples,
                    stateful_step_count=steps,
                    deadline=None,
                    database=None,
                    # Not shrunk: each try is a day of real processes, and says what it did.
                    phases=[Phase.generate],
                    report_multiple_bugs=False,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        return machine.counts


@pytest.mark.chaos
@pytest.mark.skipif("OFERTA_CHAOS_EXAMPLES" not in os.environ, reason="the long form")
@pytest.mark.parametrize("plant", PLANTS)
def test_a_fault_in_serving_is_noticed(plant: str):
    """Else the next test would mean nothing."""
    assert run(examples=10, steps=20, number=SEED, plant=plant)[WRONG] > 0


def test_a_release_between_a_session_and_its_name_forgets_nothing():
    """Its data hold what the session did, as nobody's; found by the machine."""
    with running() as live:
        machine = type("Machine", (ListsOverTime,), {"live": live, "counts": Counter()})()
        machine.begin(weights=1)
        machine.in_a_session(which="s1", kind="view", product=6)
        machine.publish(weights=2, covers=True)
        machine.recognise(who="anna", product=9)
        machine.publish(weights=3, covers=True)
        machine.roll_back()


@pytest.mark.chaos
@pytest.mark.timeout(120 + 20 * EXAMPLES)
def test_every_list_is_what_it_must_be_whatever_happens_in_whatever_order():
    counts = run(examples=EXAMPLES, steps=STEPS, number=SEED)
    record(
        "State machine: publish, roll back, consent, events, erasure",
        {WRONG: counts[WRONG], **dict(sorted(counts.items()))},
        f"OFERTA_CHAOS_EXAMPLES={EXAMPLES} OFERTA_CHAOS_STEPS={STEPS} OFERTA_CHAOS_SEED={SEED} "
        "pytest tests/journeys/test_state_machine.py",
    )
    assert counts["steps"] > EXAMPLES * STEPS // 3
