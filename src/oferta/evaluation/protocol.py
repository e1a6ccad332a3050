"""Every choice that changes a figure, in one object that is printed beside the figures."""

from typing import Any, Literal

from pydantic import Field, field_validator

from oferta.errors import SettingsInvalid, UnknownName
from oferta.evaluation.cuts import ColdCut, Cut, parse_cut
from oferta.evaluation.metrics import NAMES
from oferta.interactions.weighting import Weighting
from oferta.settings import Settings

_LONGEST = 1000


class Protocol(Settings):
    """How models are compared. Two figures are comparable only where these are the same."""

    split: str = "time:28d"
    """How the data is cut: one of `oferta.evaluation.cuts.FORMS`."""

    where: tuple[str, ...] = ()
    """Only events whose columns say so take part at all: each is `COLUMN=VALUE`, all must hold."""

    folds: int = Field(default=1, ge=1, le=100)
    """Repeats: other draws for random cuts, consecutive earlier windows for a time cut."""

    seed: int = Field(default=7, ge=0)

    k: tuple[int, ...] = Field(default=(10,), min_length=1)
    """Lengths of the lists that are judged."""

    metric: str = ""
    """What models are ordered and tuned by; empty: ndcg at the first `k`."""

    target: tuple[str, ...] = ()
    """Types of event to foresee; empty: all conversions, or where there are none all interests."""

    group: str | None = None
    """A column whose values make a test row each (`event_id`: a purchase); None: a row per
    customer."""

    history: Literal["train", "train+valid"] = "train"
    """What is known of a customer when the list is made."""

    fit: Literal["train", "train+valid"] = "train"
    """What models learn from, once their settings are chosen."""

    keep_seen: bool = False
    """Whether products of the past stay in the lists. If not, those of train and valid are removed,
    whatever `history` says, and test rows that could not be recommended are dropped."""

    candidates: bool = False
    """Whether only given candidates, and a row's own test products, are ranked."""

    recall: Literal["test", "min"] = "test"
    """Recall is hits by |test| or by min(k, |test|)."""

    idcg: Literal["cut", "full"] = "cut"
    """The ideal list of NDCG ends at k, or holds all test products."""

    segments: tuple[str, ...] = ()
    """Customer attributes whose combinations are the segments that models may use."""

    segment_customers: int = Field(default=50, ge=1)
    """Customers that make a segment; smaller ones count as none."""

    customer_features: tuple[str, ...] = ()
    """Customer attributes that models may learn from, beside events."""

    product_features: tuple[str, ...] = ()
    """Product attributes that models may learn from, beside events."""

    allow_protected: dict[str, str] = Field(default_factory=dict)
    """Protected customer attributes that models may use after all, each with the reason why."""

    exposure: tuple[str, ...] = ()
    """Product groups, as `category=loan`, whose share of every list is told as a metric."""

    calibrate: Literal["none", "isotonic", "platt", "auto", "own"] = "none"
    """How scores become chances, whose reliability is then told; costs a second fit. `auto`: steps,
    or a curve of two numbers where little was chosen. `own`: as the model states them, where it
    does."""

    weighting: Weighting = Weighting()

    @field_validator("allow_protected")
    @classmethod
    def _reasons(cls, value: dict[str, str]) -> dict[str, str]:
        for column, reason in value.items():
            if not reason.strip():
                raise ValueError(f"'{column}': say why it may be used")
        return value

    @field_validator("exposure")
    @classmethod
    def _product_groups(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for group in value:
            column, equals, member = group.partition("=")
            if not (column and equals and member):
                raise ValueError(f"'{group}': write it as COLUMN=VALUE")
        return tuple(dict.fromkeys(value))

    @field_validator("split")
    @classmethod
    def _a_split(cls, value: str) -> str:
        return str(parse_cut(value))

    @field_validator("where")
    @classmethod
    def _conditions(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for condition in value:
            column, equals, _ = condition.partition("=")
            if not (column and equals):
                raise ValueError(f"'{condition}': write it as COLUMN=VALUE")
        return value

    @field_validator("k")
    @classmethod
    def _lengths(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not all(1 <= k <= _LONGEST for k in value):
            raise ValueError(f"every k is from 1 to {_LONGEST}")
        return tuple(dict.fromkeys(value))

    @property
    def cut(self) -> Cut:
        """The split, parsed."""
        return parse_cut(self.split)

    @property
    def ordering(self) -> str:
        """The metric that models are ordered and tuned by.

        Raises:
            UnknownName: no such metric, or not at one of the `k`.
            SettingsInvalid: coverage, which no test row has a value of.
        """
        name = self.metric or f"ndcg@{self.k[0]}"
        if "@" not in name:
            name = f"{name}@{self.k[0]}"
        known = [f"{metric}@{k}" for metric in NAMES for k in self.k]
        if name not in known:
            raise UnknownName("metric", name, known)
        if name.startswith("auc@") and not self._ranks_new_products():
            raise SettingsInvalid(
                f"metric {name}", ["auc is told where only new products are ranked: cold-products"]
            )
        if name.startswith("coverage@"):
            # Neither intervals nor the paired difference from another model exist for it.
            raise SettingsInvalid(
                f"metric {name}",
                ["coverage is of all lists together and orders no models: name another, as ndcg"],
            )
        return name

    def _ranks_new_products(self) -> bool:
        return isinstance(self.cut, ColdCut) and self.cut.of == "products"

    def as_json(self) -> dict[str, Any]:
        """Every choice, defaults included, as plain values."""
        return {**self.model_dump(mode="json"), "metric": self.ordering}

    def sentence(self) -> str:
        """The choices that matter, in one line for people."""
        return " · ".join(
            (
                *self.where,
                self.split + (f" x {self.folds} folds" if self.folds > 1 else ""),
                f"a row per {self.group or 'customer'}",
                "given candidates"
                if self.candidates
                else "new products ranked"
                if self._ranks_new_products()
                else "full ranking",
                "seen kept" if self.keep_seen else "seen removed",
                f"history {self.history}",
                f"fitted on {self.fit}",
                "recall by |test|" if self.recall == "test" else "recall by min(k, |test|)",
                "IDCG cut at k" if self.idcg == "cut" else "IDCG over all test products",
                f"seed {self.seed}",
            )
        )
