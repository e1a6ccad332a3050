"""The demo's talk with the API: whom to ask about, and what is answered."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx

from oferta.errors import OfertaError
from oferta_experiments.demo.moments import Candidate, Moment

WISH: Final = {"amount": 18_000.0, "months": 24, "product": "loan"}
"""A car loan to be paid back in two years: more a month than an average income bears."""


class NobodyFound(OfertaError):
    """No simulated customer shows what the demo wants to show."""

    code = "demo.nobody"

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"no simulated customer {what}: give the demo more --customers")


@dataclass(frozen=True, slots=True)
class Shown:
    """A customer to show, what was asked about them, and the stored answer."""

    customer: Candidate
    asked: Mapping[str, Any]
    answer: Mapping[str, Any]


def at_moment(client: httpx.Client, moment: Moment, found: Iterable[Candidate]) -> Shown:
    """The first customer whose best offer is one of the moment's; asked about for good.

    Where nobody's is, the first of whom any offer is.

    Raises:
        NobodyFound: nobody found gets an offer of the moment.
    """
    second: Shown | None = None
    for customer in found:
        asked: dict[str, Any] = {
            "customer_id": customer.customer_id,
            "channel": moment.channel,
            "placements": [moment.placement],
            "context": dict.fromkeys(moment.context, customer.days),
            "explain": True,
        }
        answer = decide(client, {**asked, "dry_run": True})
        offers = [offer["offer_id"] for offer in answer["offers"] if offer["selection"] == "best"]
        if offers and offers[0] in moment.offers:
            return Shown(customer, asked, decide(client, asked))
        if second is None and moment.offers.intersection(offers):
            second = Shown(customer, asked, answer)
    if second is None:
        raise NobodyFound(f"of whom {moment.title}")
    return Shown(second.customer, second.asked, decide(client, second.asked))


def counter_offered(client: httpx.Client, moment: Moment, found: Iterable[Candidate]) -> Shown:
    """The first customer who cannot pay what they wish, and can pay something near.

    Raises:
        NobodyFound: there is none among those found.
    """
    for customer in found:
        asked: dict[str, Any] = {
            "customer_id": customer.customer_id,
            "channel": moment.channel,
            "placements": [moment.placement],
            "n": 1,
            "wish": WISH,
            "explain": True,
        }
        answer = decide(client, {**asked, "dry_run": True})
        best = answer["offers"][0] if answer["offers"] else None
        if best and best["terms"]["changes"] and not best["terms"]["guarantor"]:
            return Shown(customer, asked, decide(client, asked))
    raise NobodyFound(f"who {moment.title}")


def decide(client: httpx.Client, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The API's answer."""
    return _plain(client.post("/v1/decisions", json=dict(asked)))


def receipt(client: httpx.Client, decision_id: str) -> dict[str, Any]:
    """What stands behind a decision."""
    return _plain(client.get(f"/v1/decisions/{decision_id}"))


def decline(client: httpx.Client, answer: Mapping[str, Any]) -> str:
    """Tell that the best offer was declined; its id."""
    offer = str(answer["offers"][0]["offer_id"])
    said = {"decision_id": answer["decision_id"], "offer_id": offer, "type": "decline"}
    _plain(client.post("/v1/feedback", json=said))
    return offer


def _plain(response: httpx.Response) -> dict[str, Any]:
    plain: dict[str, Any] = response.raise_for_status().json()
    return plain
