"""Every model by name. Found at run time, so that listing the names imports no model's library."""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any

from oferta.errors import UnknownName
from oferta.models.protocol import Recommender
from oferta.settings import parse

MODELS: Mapping[str, str] = MappingProxyType(
    {
        "popularity": "oferta.models.popularity:Popularity",
        "transitions": "oferta.models.transitions:Transitions",
        "local_ease": "oferta.models.local_ease:LocalEase",
        "ease": "oferta.models.ease:Ease",
        "past_to_future": "oferta.models.past_to_future:PastToFuture",
        "als": "oferta.models.als:Als",
        "ials": "oferta.models.ials:Ials",
        "hybrid": "oferta.models.hybrid:Hybrid",
        "blend": "oferta.models.blend:Blend",
        "ranker": "oferta.models.ranker.recipe:Ranker",
    }
)
"""Name -> module:class, from cheap to dear."""


def recipe(name: str, settings: Mapping[str, Any] | None = None) -> Recommender:
    """The model called `name` with its defaults, or with the settings given.

    Raises:
        UnknownName: no such model; carries the nearest one.
        SettingsInvalid: a setting that the model does not have, or a wrong value.
        ExtraMissing: the model's library is an extra that is not installed.
    """
    if name not in MODELS:
        raise UnknownName("model", name, MODELS)
    module, _, attribute = MODELS[name].partition(":")
    kind = getattr(import_module(module), attribute)
    made: Recommender = parse(settings or {}, kind, place=f"models.{name}")
    return made
