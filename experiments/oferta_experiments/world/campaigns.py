"""What the seller sent in the past, as sellers do: popular products to whoever may have them.

The chance of each choice is kept, so that the past can be asked what another policy had earned.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from oferta_experiments.world.answers import Shown, respond
from oferta_experiments.world.arrays import Flags, Reals
from oferta_experiments.world.contacts import BY_CHANNEL, Consents
from oferta_experiments.world.moments import moments, possible
from oferta_experiments.world.people import CHANNELS
from oferta_experiments.world.sales import Chunk
from oferta_experiments.world.sell import sell
from oferta_experiments.world.times import DAY_S, LAST_DAY, MIDDLE, first_day

_SENT: Final = {
    "app": 0.12,
    "web": 0.08,
    "email": 0.22,
    "sms": 0.08,
    "push": 0.14,
    "call_centre": 0.03,
}
"""The chance of a contact in a month, by channel, where the customer agreed to it."""
_LEANING: Final = 0.7
"""How much past campaigns leaned to popular products."""
_SAYS_NO: Final = {"call_centre": 0.45, "email": 0.02, "sms": 0.02, "push": 0.04}
_SAYS_NO_ELSEWHERE: Final = 0.05


@dataclass(slots=True)
class Sent:
    """The seller's past campaigns, as they become: what was sent with what chance, to what end."""

    consents: Consents
    blocks: list[dict[str, np.ndarray]] = field(default_factory=list)

    def __call__(self, chunk: Chunk, month: int, active: Flags) -> None:
        """A month of campaigns: impressions, clicks, noes, and the sales that came of them."""
        _send(chunk, self, month=month, active=active)


def _send(chunk: Chunk, sent: Sent, *, month: int, active: Flags) -> None:
    products, people, state, luck = chunk.products, chunk.people, chunk.state, chunk.luck
    start, consents = int(first_day(month)), sent.consents
    at = moments(state, products, start + MIDDLE)
    can = possible(state, products, at, start + MIDDLE)
    odds = chosen(products.weight, can)
    everybody = np.arange(len(people))
    said = luck.stream("answers").random((len(people), len(products)))
    agreed = active & consents.on("marketing", start) & (state.missed == 0)
    for name, rate in _SENT.items():
        allowed = agreed
        if name in BY_CHANNEL:
            allowed = agreed & consents.on(BY_CHANNEL[name], start)
        who = np.flatnonzero(
            allowed & (luck.share(f"sent by {name}", everybody) < rate) & (odds[:, -1] > 0)
        )
        if not len(who):
            continue
        draw = luck.share(f"chosen for {name}", who) * odds[who, -1]
        product = np.minimum((odds[who] <= draw[:, None]).sum(axis=1), len(products) - 1)
        channel = np.full(len(who), CHANNELS.index(name))
        truth = respond(
            products,
            people,
            state,
            at=at,
            can=can,
            day=start + MIDDLE,
            who=who,
            product=product,
            channel=channel,
            shown=Shown.usual(len(who)),
        ).accept
        day = start + luck.whole(f"day of {name}", who, 4, LAST_DAY - 1)
        moment = day * DAY_S + luck.whole(f"hour of {name}", who, 8 * 3600, 20 * 3600)
        accepts = said[who, product] < truth
        clicks = accepts | (
            luck.share(f"clicks by {name}", who) < np.minimum(0.01 + 2.5 * truth, 0.9)
        )
        says_no = ~clicks & (
            luck.share(f"no by {name}", who) < _SAYS_NO.get(name, _SAYS_NO_ELSEWHERE)
        )
        add = chunk.events.add
        add("impression", who, product, at=moment, channel=channel)
        clicked = moment + luck.whole(f"clicks after {name}", who, 5, 1800)
        add("click", who[clicks], product[clicks], at=clicked[clicks], channel=channel[clicks])
        add(
            "decline", who[says_no], product[says_no], at=clicked[says_no], channel=channel[says_no]
        )
        state.contacts[who] += 1
        previous = np.diff(odds[who], axis=1, prepend=0.0)
        sent.blocks.append(
            {
                "who": who,
                "product": product,
                "channel": channel,
                "at": moment,
                "probability": previous[np.arange(len(who)), product] / odds[who, -1],
                "clicked": clicks,
                "accepted": accepts,
                "true_accept": truth,
            }
        )
        yes = np.flatnonzero(accepts)
        # Credit is granted days later, so the sale is within the month all the same.
        when = np.minimum(moment[yes] + DAY_S, (start + LAST_DAY) * DAY_S - 1)
        # What the month has changed already may stand in the way by now.
        still = (state.blocked[who[yes], product[yes]] <= day[yes]) & ready(
            chunk, who[yes], product[yes]
        )
        sell(
            chunk,
            who[yes[still]],
            product[yes[still]],
            at=np.maximum(when, (state.freed[who[yes]] + 1) * DAY_S)[still],
            channel=channel[yes[still]],
            event="accept",
        )


def ready(chunk: Chunk, who: np.ndarray, product: np.ndarray) -> Flags:
    """`(rows,)` whether what the product needs is still there."""
    state, needs = chunk.state, chunk.products.needs[product]
    financed = state.has_finance()[who]
    have = np.column_stack(
        [
            np.ones(len(who), np.bool_),
            state.has_car()[who],
            financed,
            financed & (state.final[who] > 0),
            financed & (state.missed[who] > 0),
            np.ones(len(who), np.bool_),
        ]
    )
    return np.asarray(have[np.arange(len(who)), needs])


def chosen(weight: Reals, can: Flags) -> Reals:
    """`(n, P)` running totals of the past policy's weights over the products one may have."""
    return np.cumsum(can * weight**_LEANING, axis=1)
