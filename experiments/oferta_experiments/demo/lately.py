"""What a customer does, and the list a moment later: the demo's talk about events."""

import time
from dataclasses import dataclass
from typing import Any, Final

import httpx

from oferta.errors import OfertaError

_WITHIN_S: Final = 10.0


class NoEffect(OfertaError):
    """An event was accepted and the list did not follow."""

    code = "demo.no_effect"

    def __init__(self) -> None:
        super().__init__("an event was accepted and had no effect: is `oferta consume` running?")


@dataclass(frozen=True, slots=True)
class Followed:
    """A list before and after what somebody did, and how long it took.

    Attributes:
        event: as it was sent.
        before, after: the answers of the API.
    """

    event: dict[str, Any]
    before: dict[str, Any]
    after: dict[str, Any]
    seconds: float


def visited(client: httpx.Client, session_id: str, product_id: str) -> Followed:
    """Somebody unknown looks at a product.

    Raises:
        NoEffect: the list did not follow in time.
    """
    path = f"/v1/sessions/{session_id}/recommendations"
    seen = {"session_id": session_id, "product_id": product_id, "type": "view", "channel": "web"}
    return _followed(client, path, _answer(client, path), seen)


def signed_in(client: httpx.Client, visit: Followed, customer_id: str) -> Followed:
    """The visitor turns out to be a customer, whom nobody had heard of either.

    Raises:
        NoEffect: what the session did did not become the customer's in time.
    """
    path = f"/v1/customers/{customer_id}/recommendations"
    seen = {**visit.event, "customer_id": customer_id, "type": "click"}
    del seen["event_id"]
    return _followed(client, path, _answer(client, path), seen)


def _followed(
    client: httpx.Client, path: str, before: dict[str, Any], event: dict[str, Any]
) -> Followed:
    sent = {"event_id": f"demo-{time.time_ns()}", **event}
    client.post("/v1/events", json=sent).raise_for_status()
    began = time.monotonic()
    while time.monotonic() - began < _WITHIN_S:
        after = _answer(client, path)
        if after["events"] > before["events"]:
            return Followed(sent, before, after, time.monotonic() - began)
        time.sleep(0.002)
    raise NoEffect


def _answer(client: httpx.Client, path: str) -> dict[str, Any]:
    answer: dict[str, Any] = client.get(path, params={"n": 10}).raise_for_status().json()
    return answer
