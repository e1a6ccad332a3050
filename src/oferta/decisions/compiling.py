"""Rules of all files into one program: parsed once, every fault kept, each conjunct once."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from math import inf, prod

from oferta.catalogue.families import CREDIT, SERVICING
from oferta.catalogue.offers import Offer
from oferta.catalogue.ranges import CreditTerms, InsuranceTerms, LeaseTerms
from oferta.decisions.compiled import CompiledOffer, CompiledWeight, OfferRules
from oferta.decisions.decision import Rejection, Stage
from oferta.decisions.firewall import margin_problems, price_problems
from oferta.errors import InputError
from oferta.policy.file import Policy
from oferta.profile.facts import FactKind
from oferta.rules.language import Expression, conjuncts, parse
from oferta.rules.program import Program

DROPS: Mapping[str, Stage] = {
    "candidates.none": "candidates",
    "control.group": "candidates",
    "product.not_scored": "candidates",
    "product.bought": "candidates",
    "product.declined": "candidates",
    "offer.not_approved": "status",
    "offer.not_started": "status",
    "offer.ended": "status",
    "placement.family": "placement",
    "placement.channel": "placement",
    "customer.vulnerable": "eligibility",
    "customer.in_arrears": "eligibility",
    "filter": "eligibility",
    "consent.marketing": "consent",
    "consent.channel": "consent",
    "margin.unknown": "value",
    "value.negative": "value",
    "diversity.family": "diversity",
    "diversity.product": "diversity",
    "room": "room",
}
"""The codes of rejections without a detail, and the stage of each."""


class Rules:
    """Collects expressions, their bits and positions, and whatever is wrong with them."""

    def __init__(self, columns: Mapping[str, FactKind]) -> None:
        self._columns = columns
        self.problems: list[str] = []
        self.conditions: list[Expression] = []
        self._bits: dict[str, int] = {}
        self.values: list[Expression] = []
        self._places: dict[str, int] = {}

    def parse(
        self,
        text: str,
        place: str,
        *,
        wanted: FactKind | None,
        more: Mapping[str, FactKind] | None = None,
    ) -> Expression | None:
        """The expression; None: it is wrong, and the problem is kept."""
        try:
            columns: Mapping[str, FactKind] = {**self._columns, **(more or {})}
            return parse(text, columns, wanted=wanted, place=place)
        except InputError as error:
            self.problems.append(str(error))
            return None

    def parse_all(self, texts: Iterable[str], place: str) -> tuple[Expression, ...]:
        """The boolean expressions that are right."""
        found = (
            self.parse(text, f"{place}[{number}]", wanted="boolean")
            for number, text in enumerate(texts)
        )
        return tuple(one for one in found if one is not None)

    def bit(self, condition: Expression) -> int:
        """The bit of a condition, the same for equal ones."""
        bit = self._bits.setdefault(condition.sql, len(self.conditions))
        if bit == len(self.conditions):
            self.conditions.append(condition)
        return bit

    def value(self, expression: Expression) -> int:
        """The position of an expression's value, the same for equal ones."""
        place = self._places.setdefault(expression.sql, len(self.values))
        if place == len(self.values):
            self.values.append(expression)
        return place

    def price(self, text: str | None, place: str) -> int | None:
        """The position of a figure that a price hangs on; None: none is stated, or it is wrong."""
        expression = None if text is None else self.parse(text, place, wanted="number")
        if expression is None:
            return None
        found = list(price_problems(expression, self._columns, place))
        self.problems.extend(found)
        return None if found else self.value(expression)


class OfferCompiler:
    """Compiles offers under one policy; what is wrong with them is in `rules.problems`."""

    def __init__(self, policy: Policy, rules: Rules, terms: Mapping[str, FactKind]) -> None:
        """`terms`: the columns that a margin reads besides those of rules."""
        self._policy = policy
        self._rules = rules
        self._terms = terms
        self.weights: dict[str, Expression] = {}
        """Conditions of the context weights, by name."""

    def compile(self, offers: Sequence[Offer]) -> tuple[CompiledOffer, ...]:
        """Every offer whose expressions are right."""
        rules = self._rules
        parsed = [self._rules_of(offer) for offer in offers]
        # Bits tier by tier over all offers: the lowest one that fails is of the earliest tier.
        failing: list[dict[int, Rejection]] = [{} for _ in offers]
        for tier in ("eligibility", "applicability", "suitability"):
            for offer, mine, failures in zip(offers, parsed, failing, strict=True):
                expressions: tuple[Expression, ...] = getattr(mine, tier)
                for part in (part for whole in expressions for part in conjuncts(whole)):
                    rejection = Rejection(offer.id, "eligibility", f"rule.{tier}", part.text)
                    failures.setdefault(rules.bit(part), rejection)
        for weight in self._policy.weights:
            condition = rules.parse(weight.when, f"weight '{weight.name}'", wanted="boolean")
            if condition is not None:
                self.weights[weight.name] = condition
        ready = (
            self._ready(offer, index, parsed[index], failing[index])
            for index, offer in enumerate(offers)
        )
        return tuple(offer for offer in ready if offer is not None)

    def _rules_of(self, offer: Offer) -> OfferRules:
        def tier(name: str, own: Sequence[str]) -> tuple[Expression, ...]:
            mine = self._rules.parse_all(own, f"offer '{offer.id}': {name}")
            family = (
                self._rules.parse(rule.rule, f"rule '{rule.name}'", wanted="boolean")
                for rule in self._policy.rules
                if rule.tier == name and (not rule.families or offer.family in rule.families)
            )
            return (*(one for one in family if one is not None), *mine)

        return OfferRules(
            tier("eligibility", offer.eligibility),
            tier("applicability", offer.applicability),
            tier("suitability", offer.suitability),
        )

    def _ready(
        self, offer: Offer, index: int, parsed: OfferRules, failing: Mapping[int, Rejection]
    ) -> CompiledOffer | None:
        rules, place = self._rules, f"offer '{offer.id}'"
        margin = rules.parse(offer.margin, f"{place}: margin", wanted="number", more=self._terms)
        key, text = _start_of(offer)
        start = rules.price(text, f"{place}: terms.{key}")
        car = offer.terms.car_value if isinstance(offer.terms, CreditTerms) else None
        car_value = rules.price(car, f"{place}: terms.car_value")
        if margin is None:
            return None
        rules.problems.extend(margin_problems(margin, f"{place}: margin"))
        levers = [
            lever
            for lever in self._policy.levers
            if _touches(lever.families, lever.offers, offer=offer.id, family=offer.family)
        ]
        weights = tuple(self._weights_of(offer))
        return CompiledOffer(
            offer=offer,
            index=index,
            rules=parsed,
            needs=sum(1 << bit for bit in failing),
            failing=failing,
            dropped={code: Rejection(offer.id, stage, code) for code, stage in DROPS.items()},
            starts=_instant(offer.starts, -inf),
            ends=_instant(offer.ends, inf),
            status=None
            if offer.status == "approved"
            else Rejection(offer.id, "status", "offer.not_approved", offer.status),
            weights=weights,
            weighs=sum(1 << bit for bit in {weight.bit for weight in weights}),
            lever=prod((lever.factor for lever in levers), start=1.0),
            levers=tuple(lever.reason for lever in levers),
            start=start,
            car_value=car_value,
            answers_wish=start is not None and "wished_amount" in rules.values[start].columns,
            ends_contract=_ends_contract(offer),
            margin=Program([margin]),
            margin_expression=margin,
            margin_of_terms=margin.columns <= self._terms.keys(),
            credit=offer.family in CREDIT,
            servicing=offer.family == SERVICING,
        )

    def _weights_of(self, offer: Offer) -> Iterator[CompiledWeight]:
        for weight in self._policy.weights:
            condition = self.weights.get(weight.name)
            if condition is not None and _touches(
                weight.families, weight.offers, offer=offer.id, family=offer.family
            ):
                yield CompiledWeight(self._rules.bit(condition), weight.name, weight.factor)


def _start_of(offer: Offer) -> tuple[str, str | None]:
    """The key and the text of what an offer starts from; None: it starts from nothing."""
    terms = offer.terms
    if isinstance(terms, CreditTerms):
        return "amount.start", terms.amount.start
    if isinstance(terms, LeaseTerms):
        return "car_value", terms.car_value
    if isinstance(terms, InsuranceTerms):
        return "insured_value", terms.insured_value
    return "", None


def _ends_contract(offer: Offer) -> bool:
    """Whether the instalment of the customer's leading contract ends, or becomes this one."""
    terms = offer.terms
    if isinstance(terms, CreditTerms):
        return terms.ends_contract
    return terms.kind in {"re_term", "payment_holiday"}


def _touches(families: Sequence[str], offers: Sequence[str], *, offer: str, family: str) -> bool:
    return (not families and not offers) or family in families or offer in offers


def _instant(at: datetime | None, otherwise: float) -> float:
    return otherwise if at is None else at.timestamp()
