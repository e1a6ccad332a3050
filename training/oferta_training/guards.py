"""What a new version must pass to become champion: declared guards, each with its limit."""

from pydantic import Field, field_validator

from oferta.settings import Settings


class SegmentGuard(Settings):
    """No group of customers may be shown to be worse off than with the champion."""

    by: tuple[str, ...] = ()
    """What makes the groups: any customer attribute, `activity` (products in the past) and `cold`
    (no past at all). Each is cut on its own; none: the guard is not declared."""

    margin: float = Field(default=0.05, ge=0, le=1)
    """Share of the champion's mean in a group that may be lost there. Above the overall margin,
    since a group's mean is known less well than everybody's."""

    min_customers: int = Field(default=200, ge=30)
    """Groups with fewer customers in the test are thrown together: below 30 no mean of a skewed
    metric has the distribution that the test assumes."""


class CoverageGuard(Settings):
    """The lists together must still show enough of the catalogue."""

    share: float | None = Field(default=None, gt=0, le=1)
    """Least share of the champion's coverage."""

    at_least: float | None = Field(default=None, gt=0, le=1)
    """Least share of all products."""


class CalibrationGuard(Settings):
    """Stated chances must be believable."""

    ece: float | None = Field(default=None, gt=0, le=1)
    """Most that a stated chance may be off on average (expected calibration error)."""


class FairnessGuard(Settings):
    """No group may be served much worse than the best served one: the four-fifths rule."""

    by: tuple[str, ...] = ()
    """Customer attributes whose groups are compared; they need not be the model's inputs."""

    ratio: float = Field(default=0.8, gt=0, le=1)
    """Least ratio of the lowest group mean to the highest: four fifths, as screening has it."""

    exposure: tuple[str, ...] = ()
    """Product groups, as `category=loan`, that every group of customers must be shown alike."""

    min_customers: int = Field(default=200, ge=30)
    """Smaller groups are not compared."""

    @field_validator("exposure")
    @classmethod
    def _product_groups(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for group in value:
            column, equals, _ = group.partition("=")
            if not (column and equals):
                raise ValueError(f"'{group}': write it as COLUMN=VALUE")
        return value


class CostGuard(Settings):
    """The model must stay affordable. Seconds are of the comparison, over all folds."""

    fit_s: float | None = Field(default=None, gt=0)
    recommend_s: float | None = Field(default=None, gt=0)
    factor: float | None = Field(default=None, ge=1)
    """Most that either may be, as a multiple of the champion's."""


class Guards(Settings):
    """When a new version may become champion. What is declared and cannot be measured fails."""

    margin: float = Field(default=0.02, ge=0, le=1)
    """How much of the champion's mean the lower end of the paired difference may lie below zero:
    what a seller would not notice."""

    segments: SegmentGuard = SegmentGuard()
    coverage: CoverageGuard = CoverageGuard()
    calibration: CalibrationGuard = CalibrationGuard()
    fairness: FairnessGuard = FairnessGuard()
    cost: CostGuard = CostGuard()
