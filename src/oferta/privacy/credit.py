"""Whether anything in a catalogue is credit: what the law of lending looks at."""

import polars as pl

from oferta.privacy import words
from oferta.privacy.names import words_of

FAMILY_COLUMNS = ("family", "category")


def sells_credit(products: pl.DataFrame, *, stated: bool | None = None) -> bool:
    """Whether the catalogue has a product of a credit family, or may have one.

    A product's family is its `family`, else its `category`. What families say outweighs what is
    `stated`; a product without a family, or a catalogue without the columns, is as stated, and
    where nothing is, it is credit.
    """
    silent = True if stated is None else stated
    texts = [
        pl.col(name).cast(pl.String).str.strip_chars().replace("", None)
        for name in FAMILY_COLUMNS
        if name in products.columns
    ]
    if not texts:
        return silent
    families = products.select(pl.coalesce(texts).alias("family"))["family"]
    if any(_is_credit(family) for family in families.drop_nulls().unique()):
        return True
    return silent and (families.null_count() > 0 or not len(families))


def _is_credit(family: str) -> bool:
    return bool(words.CREDIT & set(words_of(family))) or any(
        part in family for part in words.CREDIT_HAN
    )
