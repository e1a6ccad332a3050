"""The engine: catalogue, policy and rate card, checked together and compiled for decisions.

Built once per set of files, immutable afterwards, safe to share between threads.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from math import inf
from types import MappingProxyType
from zoneinfo import ZoneInfo

from oferta.catalogue.families import FAMILIES, Family
from oferta.catalogue.offers import OfferCatalogue, Placement
from oferta.catalogue.texts import Text
from oferta.decisions.arbitration import approved, loss_rate
from oferta.decisions.checks import (
    card_problems,
    offer_problems,
    policy_problems,
    protected_problems,
)
from oferta.decisions.compiled import CompiledOffer, Opening
from oferta.decisions.compiling import OfferCompiler, Rules
from oferta.decisions.remembered import QuoteMemory
from oferta.decisions.vocabulary import TERMS, context_conflicts, rule_columns
from oferta.errors import SettingsInvalid
from oferta.policy.file import Cap, Policy, Risk, TriggerRule
from oferta.profile.derive import Deriver
from oferta.profile.facts import FactKind
from oferta.rules.language import Expression
from oferta.rules.program import Program
from oferta.settings import Settings
from oferta.terms.card import RateCards


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger's expressions, parsed."""

    rule: TriggerRule
    when: Expression
    due: Expression
    once_per: Expression


@dataclass(frozen=True, slots=True)
class Engine:
    """Everything that a decision needs besides the request and what is known.

    Attributes:
        policy_version, catalogue_version: content hashes; the rate card has its own.
        columns: what rules may read, by name.
        offers: in the catalogue's order.
        conditions: unique conjuncts and weights; `program` gives their values first, then `values`.
        values: starting amounts and values of cars.
        caps: per customer, and in total.
        weight_texts: of context weights, by name.
        names: of products, by id, as their offers call them.
        deriver: of the facts that hang on the day.
        risks: by declared tier (None: not known) and family, P(approved) and the expected loss as a
            share of the amount.
        timed: offers that begin or end.
        openings: what is on offer where, remembered; quotes: terms, remembered by their inputs.
            Caches: they change no answer.
        zone: in which days and quiet hours are counted.
    """

    catalogue: OfferCatalogue
    policy: Policy
    cards: RateCards
    policy_version: str
    catalogue_version: str
    columns: Mapping[str, FactKind]
    offers: tuple[CompiledOffer, ...]
    conditions: tuple[Expression, ...]
    values: tuple[Expression, ...]
    program: Program
    caps: tuple[Cap, ...]
    total_caps: tuple[Cap, ...]
    triggers: tuple[Trigger, ...]
    weight_texts: Mapping[str, Text | None]
    names: Mapping[str, Text]
    by_id: Mapping[str, CompiledOffer]
    placements: Mapping[str, Placement]
    zone: ZoneInfo
    deriver: Deriver
    risks: Mapping[str | None, Mapping[Family, tuple[float, float]]]
    timed: tuple[CompiledOffer, ...]
    openings: dict[tuple[object, ...], Opening]
    quotes: QuoteMemory

    @classmethod
    def build(
        cls,
        catalogue: OfferCatalogue,
        policy: Policy,
        cards: RateCards,
        *,
        products: Collection[str] | None = None,
    ) -> "Engine":
        """The engine of these files; `products`: all known product ids, None: not checked.

        Raises:
            SettingsInvalid: every problem of all files at once.
        """
        columns = rule_columns(catalogue, policy)
        rules = Rules(columns)
        compiler = OfferCompiler(policy, rules, TERMS)
        offers = compiler.compile(catalogue.offers)
        triggers = _triggers(policy.triggers, rules)
        rules.parse(policy.value.formula, "value.formula", wanted="number")
        problems = [
            *context_conflicts(catalogue),
            *offer_problems(catalogue, policy, products),
            *policy_problems(catalogue, policy),
            *card_problems(catalogue, policy, cards),
            *dict.fromkeys(rules.problems),
            *protected_problems(
                offers, compiler.weights, policy.allow_protected, values=rules.values
            ),
        ]
        if problems:
            raise SettingsInvalid("catalogue, policy and rate card", problems)
        return cls(
            catalogue=catalogue,
            policy=policy,
            cards=cards,
            policy_version=content_version([policy]),
            catalogue_version=content_version([*catalogue.offers, *catalogue.placements]),
            columns=MappingProxyType(columns),
            offers=offers,
            conditions=tuple(rules.conditions),
            values=tuple(rules.values),
            program=Program([*rules.conditions, *rules.values]),
            caps=tuple(cap for cap in policy.caps if cap.per == "customer"),
            total_caps=tuple(cap for cap in policy.caps if cap.per == "total"),
            triggers=triggers,
            weight_texts=MappingProxyType({one.name: one.text for one in policy.weights}),
            names=MappingProxyType(_names(offers)),
            by_id=MappingProxyType({offer.offer.id: offer for offer in offers}),
            placements=catalogue.placement,
            zone=policy.zone,
            risks=MappingProxyType(_risks(policy.risk)),
            timed=tuple(one for one in offers if one.starts > -inf or one.ends < inf),
            openings={},
            quotes=QuoteMemory(),
            deriver=Deriver(
                policy.value,
                attributes={f"attr_{name}": kind for name, kind in policy.attributes.items()},
            ),
        )


def content_version(values: Sequence[Settings]) -> str:
    """Twelve characters that change whenever any of the values does."""
    digest = blake2b(digest_size=6)
    for value in values:
        digest.update(value.model_dump_json().encode())
        digest.update(b"\n")
    return digest.hexdigest()


def _triggers(triggers: Sequence[TriggerRule], rules: Rules) -> tuple[Trigger, ...]:
    made: list[Trigger] = []
    for trigger in triggers:
        place = f"trigger '{trigger.name}'"
        when = rules.parse(trigger.when, f"{place}: when", wanted="boolean")
        due = rules.parse(trigger.due, f"{place}: due", wanted="date")
        once = rules.parse(trigger.once_per, f"{place}: once_per", wanted=None)
        if when is not None and due is not None and once is not None:
            made.append(Trigger(trigger, when, due, once))
    return tuple(made)


def _risks(risk: Risk) -> dict[str | None, Mapping[Family, tuple[float, float]]]:
    return {
        tier: {
            family: (approved(family, tier, risk), loss_rate(family, tier, risk))
            for family in FAMILIES
        }
        for tier in (None, *risk.tiers)
    }


def _names(offers: Sequence[CompiledOffer]) -> dict[str, Text]:
    """What a product is called: as the first offer of it alone, else the first one with it."""
    names: dict[str, Text] = {}
    for alone in (True, False):
        for compiled in offers:
            offer = compiled.offer
            if alone is (len(offer.products) == 1):
                for product in offer.products:
                    names.setdefault(product, offer.texts.name)
    return names
