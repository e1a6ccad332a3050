"""The facts of a customer that rules, terms and needs may speak of: each declared once.

A fact is one value per customer. Dates become whole days since 1970 in rules, so `contract_end -
today <= 60` reads as it should; `today` is one of the facts. Money is in the currency's main unit,
shares are between 0 and 1, whatever is unknown is null.

Facts marked `behaviour` tell what a customer did or wished: they may decide what is offered and in
which order, and never enter a price.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

FactKind = Literal["number", "text", "boolean", "date"]
Origin = Literal["customer", "contract", "vehicle", "behaviour", "consent", "derived"]


@dataclass(frozen=True, slots=True)
class Fact:
    """One declared fact."""

    name: str
    kind: FactKind
    origin: Origin
    meaning: str


def _fact(origin: Origin, name: str, kind: FactKind, meaning: str) -> Fact:
    return Fact(name, kind, origin, meaning)


FACTS: Final[Mapping[str, Fact]] = MappingProxyType(
    {
        fact.name: fact
        for fact in (
            # From the customers table and the attributes (the newest trustworthy value wins).
            _fact("customer", "region", "text", "region of residence"),
            _fact("customer", "segment", "text", "the seller's own segment"),
            _fact("customer", "employment", "text", "employed, self_employed, retired, ..."),
            _fact("customer", "income", "number", "net income a month"),
            _fact("customer", "spending", "number", "spending a month without instalments"),
            _fact(
                "customer",
                "instalments",
                "number",
                "existing instalments a month, ours and others'",
            ),
            _fact("customer", "risk_tier", "text", "declared tier, A (best) to E"),
            _fact("customer", "channel_preference", "text", "channel the customer prefers"),
            _fact(
                "customer",
                "vulnerable",
                "boolean",
                "deceased, in forbearance, a minor, gone away: never promoted to",
            ),
            _fact("customer", "customer_since", "date", "first day as a customer"),
            _fact(
                "customer",
                "value_tier_before",
                "text",
                "value tier of the release before: tiers do not flap",
            ),
            _fact("customer", "digital", "boolean", "used the app or the web in the last 90 days"),
            # Consent; null is unknown.
            _fact(
                "consent", "consent_personalisation", "boolean", "content may depend on the person"
            ),
            _fact("consent", "consent_marketing", "boolean", "marketing at all"),
            _fact("consent", "consent_email", "boolean", "marketing by e-mail"),
            _fact("consent", "consent_sms", "boolean", "marketing by SMS"),
            _fact("consent", "consent_push", "boolean", "marketing by push message"),
            _fact("consent", "consent_phone", "boolean", "marketing by telephone"),
            # The leading finance contract: the active one with the most still owed.
            _fact("contract", "has_finance", "boolean", "an active loan or lease with us"),
            _fact("contract", "contract_kind", "text", "repayment kind of the leading contract"),
            _fact("contract", "contract_product", "text", "its product"),
            _fact("contract", "contract_start", "date", "its first day"),
            _fact("contract", "contract_end", "date", "its last day"),
            _fact("contract", "contract_months", "number", "its term"),
            _fact("contract", "contract_rate", "number", "its yearly rate in percent"),
            _fact("contract", "contract_instalment", "number", "its instalment a month"),
            _fact("contract", "payoff", "number", "what would settle it"),
            _fact("contract", "balloon_amount", "number", "balloon or residual due at its end"),
            _fact("contract", "balloon_due", "date", "when that is due"),
            _fact(
                "contract", "days_in_arrears", "number", "days the oldest unpaid instalment is late"
            ),
            _fact(
                "contract", "in_arrears", "boolean", "an instalment is late beyond the grace days"
            ),
            _fact(
                "contract", "insurance_renewal", "date", "next renewal of motor insurance with us"
            ),
            _fact("contract", "warranty_end", "date", "last day of factory or extended warranty"),
            _fact("contract", "service_plan_end", "date", "last day of the maintenance plan"),
            _fact("contract", "contracts_active", "number", "active contracts of any family"),
            _fact("contract", "contracts_ended", "number", "contracts that ran out"),
            # The leading vehicle: of the leading contract, else the newest.
            _fact("vehicle", "has_vehicle", "boolean", "a vehicle is known"),
            _fact("vehicle", "vehicle_make", "text", "make"),
            _fact(
                "vehicle",
                "vehicle_body",
                "text",
                "saloon, suv, pickup, luxury, commercial, electric",
            ),
            _fact("vehicle", "vehicle_fuel", "text", "petrol, diesel, hybrid, electric"),
            _fact("vehicle", "vehicle_condition", "text", "new or used when bought"),
            _fact("vehicle", "vehicle_registered", "date", "first registration"),
            _fact("vehicle", "vehicle_use", "text", "private, commute, ride_hailing, commercial"),
            _fact("vehicle", "mileage_km", "number", "odometer, brought forward to today"),
            _fact("vehicle", "mileage_plan_km", "number", "what the contract allows by today"),
            _fact("vehicle", "market_value", "number", "valuation, or the depreciation curve"),
            _fact(
                "vehicle",
                "market_value_estimated",
                "boolean",
                "by the curve: no valuation is known",
            ),
            # Behaviour and wishes: may rank, never price.
            _fact("behaviour", "intent", "number", "purchase intent, 0 to 1, decayed"),
            _fact("behaviour", "intent_family", "text", "the family that the intent is for"),
            _fact(
                "behaviour", "wished_amount", "number", "latest wish from calculators and searches"
            ),
            _fact("behaviour", "wished_months", "number", "likewise"),
            _fact("behaviour", "wished_deposit", "number", "likewise"),
            _fact("behaviour", "wished_instalment", "number", "likewise"),
            _fact("behaviour", "wished_at", "date", "when"),
            _fact("behaviour", "last_active", "date", "latest event of any kind"),
            _fact("behaviour", "quotes_30d", "number", "quotes in the last 30 days"),
            _fact("behaviour", "calculator_30d", "number", "calculator uses in the last 30 days"),
            _fact(
                "behaviour",
                "calculator_last",
                "date",
                "latest calculator use without an application since",
            ),
            _fact("behaviour", "purchases", "number", "conversions ever"),
            # Derived, as of the instant asked: `today` and what hangs on it.
            _fact("derived", "today", "date", "the day of the decision, in the policy's time zone"),
            _fact(
                "derived",
                "stage",
                "text",
                "prospect, first_time, early, mid, late, replacing, lapsed",
            ),
            _fact("derived", "value_tier", "text", "by the policy's value formula"),
            _fact("derived", "months_to_maturity", "number", "(contract_end - today) / 30.4375"),
            _fact("derived", "days_to_balloon", "number", "balloon_due - today"),
            _fact("derived", "days_to_renewal", "number", "insurance_renewal - today"),
            _fact("derived", "days_to_warranty_end", "number", "warranty_end - today"),
            _fact("derived", "equity", "number", "market_value - payoff"),
            _fact("derived", "loan_to_value", "number", "payoff / market_value"),
            _fact(
                "derived", "vehicle_age_months", "number", "(today - vehicle_registered) / 30.4375"
            ),
            _fact("derived", "mileage_over_plan", "number", "mileage_km / mileage_plan_km"),
            _fact("derived", "free_income", "number", "income - spending - instalments"),
        )
    }
)
"""By name, in the order of the profile."""

STORED: Final[tuple[str, ...]] = tuple(
    name for name, fact in FACTS.items() if fact.origin != "derived"
)
"""What a profile keeps; the rest is computed as of the instant that is asked about."""

FORMULAS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "months_to_maturity": "(contract_end - today) / 30.4375",
        "days_to_balloon": "balloon_due - today",
        "days_to_renewal": "insurance_renewal - today",
        "days_to_warranty_end": "warranty_end - today",
        "equity": "market_value - payoff",
        "loan_to_value": "payoff / market_value",
        "vehicle_age_months": "(today - vehicle_registered) / 30.4375",
        "mileage_over_plan": "mileage_km / mileage_plan_km",
        "free_income": "income - COALESCE(spending, 0) - COALESCE(instalments, 0)",
        "stage": (
            "CASE WHEN COALESCE(contracts_active, 0) = 0 AND COALESCE(contracts_ended, 0) = 0 "
            "AND COALESCE(purchases, 0) = 0 THEN 'prospect' "
            "WHEN NOT COALESCE(has_finance, FALSE) AND COALESCE(contracts_ended, 0) > 0 "
            "AND COALESCE(today - last_active, 9999) > 365 THEN 'lapsed' "
            "WHEN NOT COALESCE(has_finance, FALSE) AND COALESCE(contracts_ended, 0) > 0 "
            "THEN 'replacing' "
            "WHEN NOT COALESCE(has_finance, FALSE) THEN 'first_time' "
            "WHEN (contract_end - today) / 30.4375 <= 6 THEN 'late' "
            "WHEN (today - contract_start) / 30.4375 <= 6 THEN 'early' ELSE 'mid' END"
        ),
    }
)
"""Derived facts in the rule language: one text for the whole base and for one customer alike.
`value_tier` is the policy's own formula, `today` is given."""
