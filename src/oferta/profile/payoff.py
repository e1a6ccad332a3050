"""What would settle a contract today, where the books say what did at another day, or nothing."""

import polars as pl

from oferta.profile.moment import MONTH_DAYS, Moment


def payoff_today(moment: Moment, *, told: pl.Expr) -> pl.Expr:
    """The stated payoff brought forward by the instalments since, else the amount so: Float64.

    With i = rate / 1200 and m whole months since, B x (1 + i)^m - instalment x ((1 + i)^m - 1) / i;
    a contract of equal principal falls by the same share each month instead. A lease is worth what
    is stated, and nothing is invented for it. Null where amount, rate or instalment are unknown.

    12,000 at 6 % over 24 months pays 531.85 a month; after 12 of them 6,179.49 are left.

    Args:
        moment: when.
        told: whether what the row says of its state was known at the moment.
    """
    stated = pl.when(told).then(pl.col("payoff"))
    since = pl.when(stated.is_not_null()).then(pl.col("as_of")).otherwise(pl.col("starts_at"))
    months = moment.whole_months(since).cast(pl.Float64).clip(lower_bound=0).fill_null(0)
    before = pl.coalesce(stated, pl.col("amount"))
    left = (
        ((pl.col("ends_at") - since).dt.total_days() / MONTH_DAYS)
        .round()
        .fill_null(pl.col("term_months").cast(pl.Float64))
    )
    i = pl.col("rate") / 1200
    grown = (1 + i).pow(months)
    instalment = pl.coalesce("instalment", _instalment(before, i, left))
    annuity = (
        pl.when(i > 0)
        .then(before * grown - instalment * (grown - 1) / i)
        .otherwise(before - instalment * months)
    )
    straight = before * (1 - months / left)
    brought = (
        pl.when(months == 0)
        .then(before)
        .when(pl.col("repayment") == "lease")
        .then(stated)
        .when(pl.col("repayment") == "equal_principal")
        .then(straight)
        .otherwise(annuity)
    )
    lease_untold = (pl.col("repayment") == "lease") & stated.is_null()
    return pl.when(~lease_untold.fill_null(value=False)).then(brought.clip(lower_bound=0))


def _instalment(before: pl.Expr, i: pl.Expr, months: pl.Expr) -> pl.Expr:
    """The annuity that leaves the final amount after `months`."""
    final = pl.col("final_amount").fill_null(0)
    shrink = (1 + i).pow(-months)
    return (
        pl.when(i > 0)
        .then((before - final * shrink) * i / (1 - shrink))
        .otherwise((before - final) / months)
    )
