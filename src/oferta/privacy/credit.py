"""Whether anything in a catalogue is credit: what the law of lending looks at."""

import polars as pl

from oferta.privacy import words
from oferta.privacy.names import words_of

FAMILY_COLUMNS = ("family", "category")


def sells_credit(products: pl.DataFrame, *, stated: bool | None = None) -> bool:
    """Whether the catalogue has a product of a credit family, or may have one.

    Families are read from `family`, else `category`. What they say outweighs what is `stated`;
    a product without a family, or a catalogue without the columns, is as stated, and where nothing
    is, it is credit.
    """
    column = next((name for name in FAMILY_COLUMNS if name in products.columns), None)
    silent = True if stated is None else stated
    if column is None:
        return silent
    families = products[column].cast(pl.String).str.strip_chars()
    if any(_is_credit(family) for family in families.drop_nulls().unique()):
        return True
    blank = families.is_null() | (families == "")
    return silent and bool(blank.any() or not len(families))


def _is_credit(family: str) -> bool:
    return bool(words.CREDIT & set(words_of(family))) or any(
        part in family for part in words.CREDIT_HAN
    )
