"""What a seller may say of how profiles are made: whom to trust, how fast things fade."""

from typing import Annotated

from pydantic import Field

from oferta.settings import Settings

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]

CUSTOMERS_SOURCE = "customers"
"""The name under which the columns of the customers table are a source among others."""


class Trust(Settings):
    """Which source of an attribute is believed.

    While an observation is fresh, the source that stands first in `order` is believed, and of one
    source the newest. A stale one loses against every fresh one; of several stale ones the newest
    is believed. A source that is not named is trusted least.
    """

    order: tuple[str, ...] = ("bureau", "crm", CUSTOMERS_SOURCE, "partner", "survey")
    stale_after_days: Positive = 730.0
    stale: dict[str, Positive] = Field(default_factory=lambda: {"bureau": 365.0, "survey": 365.0})
    """Source -> its own age of staleness in days."""


class Intent(Settings):
    """Purchase intent = 1 - exp(-sum of weight x 2^(-age / half-life)) over what shows interest.

    Weights are those of the event types; only events of the last `window_days` count, and within a
    family only those after its latest conversion: what was bought is no longer wished.
    """

    half_life_days: Positive = 30.0
    window_days: Positive = 180.0
    evidence: Annotated[int, Field(ge=1)] = 5
    """At most so many kinds of event are told as evidence."""


class Roles(Settings):
    """Which products are motor insurance, a warranty, a service plan: patterns as of file names.

    They are held against product ids. A products table with an attribute `role` needs none of them:
    its words are `motor_insurance`, `warranty` and `service_plan`.
    """

    motor_insurance: tuple[str, ...] = (
        "motor-*insurance",
        "comprehensive*",
        "*car-insurance",
        "*vehicle-insurance",
        "ride-hailing-insurance",
    )
    warranty: tuple[str, ...] = ("*extended-warranty*", "warranty*")
    service_plan: tuple[str, ...] = ("*maintenance*", "service-plan*")


class Depreciation(Settings):
    """What is left of a new car's price, by age, body or fuel, and mileage.

    `after_five_years` is what is left after five years of usual mileage; after one year it is
    `after_one_year` for every car (if the five years leave so much), between and beyond the loss is
    the same share each year. Figures after five years: the iSeeCars study of 800,000 five-year-old
    cars sold in the USA from March 2024 to February 2025 (all cars lost 45.6 %, hybrids 40.7 %,
    electric 58.8 %, SUVs 48.9 %, pick-ups 40.4 %); those of luxury and commercial cars, of the
    first year and of mileage are assumptions. A seller with valuations should replace them all.
    """

    after_one_year: Share = 0.80
    after_five_years: dict[str, Share] = Field(
        default_factory=lambda: {
            "electric": 0.412,
            "hybrid": 0.593,
            "suv": 0.511,
            "pickup": 0.596,
            "luxury": 0.42,
            "commercial": 0.50,
        }
    )
    """Fuel or body -> share of the price; a fuel that is named speaks before the body."""
    otherwise: Share = 0.544
    least: Share = 0.05
    usual_km_year: Positive = 15_000.0
    per_10000_km: Share = 0.03
    """Less value for each 10,000 km above the usual mileage of its age, more for each below."""
    mileage_limit: Share = 0.25
    """At most so much less or more for mileage."""


class Vehicles(Settings):
    """What is assumed of vehicles where nobody says."""

    factory_warranty_months: Annotated[int, Field(ge=0)] = 24
    """From first registration. Two years: the legal guarantee of new goods in the EU (Directive
    2019/771) and the least that makers give there. 0: none is assumed."""
    valuation_days: Positive = 365.0
    """A valuation is brought forward by the curve for so long; an older one counts as none."""
    km_year: dict[str, Positive] = Field(
        default_factory=lambda: {
            "private": 12_000.0,
            "commute": 18_000.0,
            "ride_hailing": 45_000.0,
            "commercial": 30_000.0,
        }
    )
    """By use: how mileage is brought forward where neither readings nor a plan tell."""
    otherwise_km_year: Positive = 15_000.0
    depreciation: Depreciation = Depreciation()


class Needs(Settings):
    """When a need is told."""

    gap_holders: Share = 0.4
    """A product gap: at least this share of similar customers hold it."""
    gap_similar: Annotated[int, Field(ge=1)] = 50
    """And there are at least so many of them."""
    gaps: Annotated[int, Field(ge=1)] = 3
    instalment_share: Share = 0.35
    """A lower instalment: existing instalments take more than this share of income."""
    rate_above: Positive = 8.0
    """A better rate: the leading contract's is above this, in percent a year."""
    contacts: Annotated[int, Field(ge=1)] = 5
    """Convenience: at least so many contacts that the customer sought within `digital_days`."""
    digital_share: Share = 0.8
    """Of them at least this share in the app or on the web: wants it digital."""
    adviser_share: Share = 0.5
    """Of them at least this share with a person: wants an adviser."""


class ProfileSettings(Settings):
    """Everything about how profiles are made, with defaults that hold for auto finance."""

    trust: Trust = Trust()
    intent: Intent = Intent()
    roles: Roles = Roles()
    vehicles: Vehicles = Vehicles()
    needs: Needs = Needs()
    books_days: Annotated[float, Field(ge=0)] = 1.0
    """The state of a contract may be of so many days after the moment, and still be known then:
    books are closed at night, after the day's last event."""
    grace_days: Annotated[int, Field(ge=0)] = 5
    """An instalment that is late for no more days than this is not in arrears."""
    digital_days: Positive = 90.0
    """The app or the web was used within so many days."""
    wish_days: Positive = 30.0
    """What the latest wish leaves open is taken from earlier ones of so many days before it."""
