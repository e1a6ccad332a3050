"""What a simulation came to, as plain values: what the terminal, the page and JSON show."""

from dataclasses import dataclass

from oferta.evaluation.intervals import Difference, Interval
from oferta_experiments.world.simulate.policies import Arm


@dataclass(frozen=True, slots=True)
class ArmResult:
    """One arm, over all customers and months.

    Attributes:
        met: times that a customer was met; offered: times that they were made an offer.
        accepted, sold: how many offers were accepted, and came to a sale.
        said: mean P(accept) that the engine stated of its offers; true: mean true chance.
        approved: share of accepted credit that was granted; None: no credit was accepted.
        bad: true chance to default of the credit sold, mean; None: none was sold.
        worth: EUR that all offers made to a customer are truly worth, in expectation.
        worth_each: EUR that one offer is.
        earned: EUR a customer over all months, whoever brought the sales about.
        by_month: the same month by month, means.
        by_family: family -> offers made, accepted.
    """

    name: Arm
    met: int
    offered: int
    accepted: int
    sold: int
    said: float
    true: float
    approved: float | None
    bad: float | None
    worth: Interval
    worth_each: float
    earned: Interval
    by_month: tuple[float, ...]
    by_family: dict[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Gap:
    """How much the policy is above another arm, customer by customer: EUR a customer."""

    than: Arm
    earned: Difference
    worth: Difference


@dataclass(frozen=True, slots=True)
class Uplift:
    """What the policy adds for customers: by comparing with a control group, and truly.

    Attributes:
        share: of customers in the control group, as stated; control: how many are.
        measured: customers with offers less customers in the control group, EUR a customer.
        true: the same customers with and without offers, EUR a customer.
        coverage: of many other draws of a group of that share, in how many the measured interval
            (Welch's) holds the true uplift: 0.95 if the way of measuring is right.
        enough: how many customers it would take for a group of that share to tell the true uplift
            from none, its interval just leaving out zero; None: the true one is not above 0.
    """

    share: float
    control: int
    treated: int
    measured: Interval
    true: Interval
    coverage: float
    enough: int | None

    @property
    def agrees(self) -> bool:
        """Whether the measured interval holds the true uplift."""
        return self.measured.low <= self.true.mean <= self.measured.high


@dataclass(frozen=True, slots=True)
class Simulation:
    """A whole simulation. `months` are written as `2026-11`; `model` is what scored."""

    world: str
    customers: int
    months: tuple[str, ...]
    seed: int
    model: str
    policy: str
    arms: tuple[ArmResult, ...]
    gaps: tuple[Gap, ...]
    uplift: Uplift
