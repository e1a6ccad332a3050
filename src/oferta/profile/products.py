"""What a product is to a profile: its family, and the role that its contracts play."""

from fnmatch import fnmatchcase

import polars as pl

from oferta.catalogue.families import CREDIT
from oferta.profile.settings import Roles

FINANCE_KINDS = (
    "equal_instalment",
    "equal_principal",
    "balloon",
    "residual_value",
    "promotional",
    "lease",
    "re_term",
    "payment_plan",
    "payment_holiday",
)


def product_kinds(products: pl.LazyFrame, *, roles: Roles) -> pl.DataFrame:
    """`product_id`, `family`, `role`, `sold_as`: one row a product, read at once.

    The family is the attribute `family`, else the category. `sold_as` is what similar products
    share, so that nobody is said to lack what they hold under another name: the role, else the id.
    """
    names = products.collect_schema().names()
    texts = [pl.col(name).cast(pl.String) for name in ("family", "category") if name in names]
    family = pl.coalesce(texts) if texts else pl.lit(None, pl.String)
    stated = pl.col("role").cast(pl.String) if "role" in names else pl.lit(None, pl.String)
    frame = products.select("product_id", family.alias("family"), stated.alias("stated")).collect()
    found = [_role(product, roles) for product in frame["product_id"]]
    role = pl.coalesce("stated", pl.Series("found", found, pl.String))
    return frame.select(
        "product_id",
        "family",
        role.alias("role"),
        pl.coalesce(role, "product_id").alias("sold_as"),
    )


def is_finance() -> pl.Expr:
    """Whether each contract is a loan or a lease, by its repayment, else by its family."""
    by_kind = pl.col("repayment").is_in(FINANCE_KINDS)
    by_family = pl.col("family").is_in(sorted(CREDIT))
    return pl.coalesce(by_kind, by_family).fill_null(value=False)


def _role(product: str, roles: Roles) -> str | None:
    for role, patterns in (
        ("motor_insurance", roles.motor_insurance),
        ("warranty", roles.warranty),
        ("service_plan", roles.service_plan),
    ):
        if any(fnmatchcase(product, pattern) for pattern in patterns):
            return role
    return None
