"""What a car is still worth, where nobody has valued it."""

import polars as pl

from oferta.profile.settings import Depreciation


def left_of_price(
    age_years: pl.Expr, km: pl.Expr, *, body: pl.Expr, fuel: pl.Expr, curve: Depreciation
) -> pl.Expr:
    """The share of a new car's price that is left: Float64, between `curve.least` and 1.

    With a = what one year leaves and f = what five leave: a^age in the first year, then
    a x (f / a)^((age - 1) / 4); times one less `per_10000_km` for each 10,000 km above the usual
    mileage of that age. An unknown mileage is the usual one, an age below zero is none.

    A petrol saloon of 3 years and 45,000 km: .8 x (.544 / .8)^(2 / 4) = .6597.
    """
    known = curve.after_five_years
    five = pl.coalesce(
        fuel.replace_strict(known, default=None, return_dtype=pl.Float64),
        body.replace_strict(known, default=None, return_dtype=pl.Float64),
        pl.lit(curve.otherwise),
    )
    age = age_years.clip(lower_bound=0)
    one = pl.max_horizontal(pl.lit(curve.after_one_year), five)
    first = one.pow(age)
    later = one * (five / one).pow((age - 1) / 4)
    by_age = pl.when(age <= 1).then(first).otherwise(later)
    above = (km.fill_null(age * curve.usual_km_year) - age * curve.usual_km_year) / 10_000
    factor = 1 - (above * curve.per_10000_km).clip(-curve.mileage_limit, curve.mileage_limit)
    return (by_age * factor).clip(curve.least, 1.0)
