"""The price firewall: what a customer did or may want can decide what is offered, never its price.

The import contract `price-firewall` keeps behaviour out of the room; these tests keep it out of
the door, and out of what is carried through it.
"""

import inspect
import pkgutil
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from decimal import Decimal
from importlib import import_module

import numpy as np
import pytest
from core.terms.cards import DAY, asked, credit, means
from numpy.random import default_rng

import oferta.terms
from oferta.catalogue.ranges import CreditTerms
from oferta.terms.card import RateCards
from oferta.terms.quote import CardInputs, Quote, Unfit
from oferta.terms.wanted import Means, Wanted

FORBIDDEN_MODULES = (
    "oferta.profile",
    "oferta.policy",
    "oferta.events",
    "oferta.interactions",
    "oferta.features",
    "oferta.scoring",
    "oferta.models",
    "oferta.evaluation",
    "oferta.decisions",
    "oferta.store",
)
FORBIDDEN_WORDS = {
    "accept",
    "affinity",
    "behaviour",
    "channel",
    "churn",
    "click",
    "clicks",
    "customer",
    "engagement",
    "event",
    "events",
    "facts",
    "history",
    "intent",
    "loyalty",
    "probability",
    "profile",
    "propensities",
    "propensity",
    "score",
    "scores",
    "segment",
    "sensitivity",
    "uplift",
    "weight",
}
"""Names that a value of behaviour would have."""

ANSWERS = {"oferta.terms.quote.Unfit.__init__"}
"""Only ever given back: the facts of a refusal are figures of the room itself."""


def modules() -> Iterator[types.ModuleType]:
    for found in pkgutil.iter_modules(oferta.terms.__path__, "oferta.terms."):
        yield import_module(found.name)


def public_callables(module: types.ModuleType) -> Iterator[tuple[str, Callable[..., object]]]:
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isclass(value):
            for method, found in inspect.getmembers(value, inspect.isfunction):
                if found.__module__ == module.__name__ and (
                    not method.startswith("_") or method == "__init__"
                ):
                    yield f"{module.__name__}.{name}.{method}", found
        elif callable(value):
            yield f"{module.__name__}.{name}", inspect.unwrap(value)


def leaks(place: str, function: Callable[..., object]) -> list[str]:
    """What a signature takes that it must not: by name, by type, or open to anything."""
    found = []
    hints = typing.get_type_hints(function)
    for name, parameter in inspect.signature(function).parameters.items():
        if name == "self":
            continue
        words = set(name.lower().split("_"))
        if words & FORBIDDEN_WORDS:
            found.append(f"{place}: takes '{name}'")
        if parameter.kind in {parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL}:
            found.append(f"{place}: takes anything by '{name}'")
        if name in hints:
            found += [f"{place}: '{name}' {problem}" for problem in type_leaks(hints[name])]
    return found


def type_leaks(hint: object) -> Iterator[str]:
    origin = typing.get_origin(hint)
    if hint in {object, typing.Any, dict, Mapping}:
        yield f"may be anything: {hint}"
    if origin in {dict, Mapping} and plain(typing.get_args(hint)[1]):
        yield f"is a mapping of names to values: {hint}"
    if isinstance(hint, type) and hint.__module__.startswith(FORBIDDEN_MODULES):
        yield f"is of {hint.__module__}"
    if origin is np.ndarray:
        return  # a column of figures; its name says of what
    for inner in typing.get_args(hint):
        if not isinstance(inner, str | int | None):
            yield from type_leaks(inner)


def plain(hint: object) -> bool:
    """Whether values of this type are figures or texts: what is known of a customer would be."""
    return bool({hint, *typing.get_args(hint)} & {float, str, bool, object, typing.Any})


def test_no_signature_takes_a_score_a_profile_or_whatever_there_is():
    found = [
        leak
        for module in modules()
        for place, function in public_callables(module)
        if place not in ANSWERS
        for leak in leaks(place, function)
    ]
    assert found == []


def test_a_leak_would_be_seen():
    def by_name(*, propensity: float) -> float:
        return propensity

    def by_type(*, known: dict[str, float]) -> float:
        return sum(known.values())

    def by_everything(**known: float) -> float:
        return sum(known.values())

    for function in (by_name, by_type, by_everything):
        assert leaks("planted", function)


def test_the_inputs_of_the_card_are_exactly_these():
    """A new one is a decision about law: change this list with the reason in docs/terms.md."""
    assert [one.name for one in fields(CardInputs)] == [
        "product",
        "tier",
        "amount",
        "months",
        "on",
        "loan_to_value",
        "condition",
        "excess",
        "mileage_km_year",
    ]


def test_what_is_fitted_to_are_money_terms_and_declarations():
    allowed = {Decimal, int, str}
    for kind in (Wanted, Means):
        assert is_dataclass(kind)
        for name, hint in typing.get_type_hints(kind).items():
            if (kind, name) == (Means, "relief"):
                continue  # whether an instalment is late: it refuses, and no price hangs on it
            parts = set(typing.get_args(hint)) - {type(None)} or {hint}
            assert parts <= allowed or parts == {"refuse", "allow"}, hint


PAIRS = 10_000


Ask = Callable[..., Quote | Unfit]


def test_equal_card_inputs_have_equal_prices_whatever_was_wished_or_earned(card: RateCards):
    """1e4 pairs, opposite in wish and means: where they meet in amount, term, car and tier, they
    pay the same, and each pays what the card says.
    """
    compare(card, asked, pairs=PAIRS)


def compare(card: RateCards, ask: Ask, *, pairs: int) -> None:
    rng = default_rng(7)
    ranges = credit("deposit = { max = 0.4 }")
    prices: dict[CardInputs, tuple[object, ...]] = {}
    compared = 0
    for _ in range(pairs):
        tier = str(rng.choice(["A", "B", "C"]))
        condition = str(rng.choice(["new", "used"]))
        value = Decimal(int(rng.integers(6, 12)) * 2000)
        amount = Decimal(int(rng.integers(2, 12)) * 1000)
        months = int(rng.choice([12, 24, 36, 48]))
        # Eager and rich, who takes the offer at once; reluctant and poor, who haggles.
        eager = Wanted(amount=amount, months=months, deposit=Decimal(0))
        haggler = Wanted(
            start_amount=amount, months=months, instalment=Decimal(int(rng.integers(60, 1500)))
        )
        rich = means(tier=tier, condition=condition, car_value=value, income=Decimal(9000))
        poor = replace(rich, income=Decimal(int(rng.integers(900, 3000))), spending=Decimal(500))
        for wish, can in ((eager, rich), (haggler, poor)):
            found = ask(card, ranges, wish=wish, can=can)
            if isinstance(found, Unfit):
                continue
            listed = CardInputs(
                product="loan",
                tier=tier,
                amount=found.amount,
                months=found.months,
                on=DAY,
                loan_to_value=found.amount / value,
                condition=condition,
            )
            paid = (found.rate, found.fees, found.instalment)
            compared += listed in prices
            assert prices.setdefault(listed, paid) == paid, "two customers, one card cell"
            price = card.price(listed)
            assert price is not None
            assert (price.rate, price.fees) == (found.rate, found.fees), "not what the card says"
    assert compared > pairs / 2  # enough of them met


@pytest.mark.parametrize("leaking", ["rate", "fees"])
def test_a_planted_leak_into_the_price_is_seen(card: RateCards, leaking: str):
    """A fit that charges the eager a little more."""

    def greedy(known: RateCards, ranges: CreditTerms, *, wish: Wanted, can: Means) -> Quote | Unfit:
        found = asked(known, ranges, wish=wish, can=can)
        if isinstance(found, Unfit) or wish.instalment is not None:
            return found
        if leaking == "rate":
            return replace(found, rate=found.rate + Decimal("0.01"))
        return replace(found, fees=found.fees[:1])

    with pytest.raises(AssertionError, match=r"two customers|not what the card says"):
        compare(card, greedy, pairs=1000)
