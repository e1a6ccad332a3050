"""Texts that customers read, in every language that the seller speaks."""

from typing import Final, Literal, get_args

from oferta.settings import Settings

Language = Literal["en", "zh"]

LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)


class Text(Settings):
    """One sentence or name in each language."""

    en: str
    zh: str


class OfferTexts(Settings):
    """What an offer says of itself."""

    name: Text
    summary: Text
