"""How far an erasure came, as JSON, and its shape as the API documents it."""

from typing import Any, Literal

import orjson
from pydantic import JsonValue

from oferta.clock import instant
from oferta.privacy.erasures import Erasure
from oferta_serving.schemas import Documented


class PlaceAnswer(Documented):
    """One place: `waiting` for another try, `erased`, or `clean`: looked at anew, nothing there.

    `trouble` names what was wrong at the last try; null: nothing.
    """

    place: str
    state: Literal["waiting", "erased", "clean"]
    erased: int
    trouble: str | None
    at: str


class ErasureAnswer(Documented):
    """How far an erasure came.

    Whatever its state, answers are a stranger's from the first on. `receipt` is there once it is
    `done`; then nothing of the customer is kept but the tombstone that it names.
    """

    erasure_id: str
    state: Literal["requested", "erasing", "done"]
    requested_at: str
    finished_at: str | None
    places: list[PlaceAnswer]
    receipt: dict[str, JsonValue] | None


class HeldAnswer(Documented):
    """Everything that is held of one customer: in `held` by place, in `places` what these are."""

    customer_id: str
    exported_at: str
    held: dict[str, list[dict[str, JsonValue]]]
    places: dict[str, str]
    logic: dict[str, str]
    sources: list[str]
    recipients: list[str]


def told(erasure: Erasure, receipt: dict[str, object] | None) -> bytes:
    """The answer as bytes."""
    finished = erasure.finished_at
    said: dict[str, Any] = {
        "erasure_id": erasure.id,
        "state": erasure.state,
        "requested_at": instant(erasure.requested_at),
        "finished_at": None if finished is None else instant(finished),
        "places": [
            {
                "place": one.place,
                "state": one.state,
                "erased": one.erased,
                "trouble": one.trouble,
                "at": instant(one.at),
            }
            for one in sorted(erasure.places, key=lambda one: one.place)
        ],
        "receipt": receipt,
    }
    return orjson.dumps(said)
