"""What is known of customers when they are asked about: one round trip for each 128 keys.

Profile, state and request id of a customer lie in one slot and are read together. Nothing is
decided for a customer whose profile or state should be there and cannot be read: it might say that
nothing may be promoted to them, or that enough was said already.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from oferta.decisions.request import (
    STRANGER,
    Customer,
    FactValue,
    Known,
    Propensity,
    Request,
)
from oferta.errors import RecordCorrupt
from oferta.policy.contact import NEVER_SPOKEN_TO, CustomerState
from oferta.policy.state import decode_state
from oferta.privacy.consents import NOTHING_SAID, Consents
from oferta.profile.facts import FACTS
from oferta.profile.recent import NOTHING_RECENT, Recent
from oferta.scoring.reasons import REASONS
from oferta.store.decision_records import mark_of, open_state
from oferta.store.decisions import Records
from oferta.store.keys import KeySpace
from oferta.store.profiles import ProfileRow
from oferta.store.reading import (
    Damage,
    consents_of,
    fetch_reachable,
    profile_key,
    profile_of,
    recent_of,
)
from oferta_serving.consent.words import Words
from oferta_serving.deciding.lately import Fresh, Lately
from oferta_serving.live import Serving
from oferta_serving.metrics import Metrics
from oferta_serving.view import ReleaseView

_DIGITS: Final = 7
_AS_BUILT_IN: Final = Lately()
_NOTHING_AGREED: Final[Mapping[str, FactValue]] = MappingProxyType(
    {name: False for name, fact in FACTS.items() if fact.origin == "consent"}
)
"""Of who cannot be asked: the facts of consent, all refused."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was read of one customer.

    Attributes:
        digest: the customer's keyed hash.
        profile: None where the release does not have this customer.
        state: with its `mark`, which a change of it must name.
        repeated: the decision that the request id belongs to; None: it is new, or there is none.
        unreadable: the problem's code, where something that must be known is damaged.
        view: the release that the profile is of; `degraded` says why it is not the live one.
        recent: what the customer did lately; nothing where it could not be read.
        consents: what they agreed to; None where that could not be read: then the answer must not
            depend on the customer.
        shard: of their events.
        lately: how what they did is laid over the profile.
    """

    digest: bytes
    view: ReleaseView
    profile: ProfileRow | None = None
    state: CustomerState = NEVER_SPOKEN_TO
    mark: bytes = b""
    repeated: str | None = None
    unreadable: str | None = None
    degraded: str | None = None
    recent: Recent = NOTHING_RECENT
    consents: Consents | None = NOTHING_SAID
    shard: int = 0
    lately: Lately = _AS_BUILT_IN

    @property
    def forgotten(self) -> bool:
        """Whether they asked to be: then nothing may be kept of them either."""
        return self.consents is not None and self.consents.erased

    def known(self, *, popular: Mapping[str, float], totals: Mapping[str, int], at: float) -> Known:
        """All that a decision may depend on, at the instant `at`."""
        manifest = self.view.head.manifest
        fresh = self.fresh(at)
        return Known(
            customer=fresh.customer,
            popular=popular,
            at=at,
            state=self.state,
            totals=totals,
            release=manifest.release,
            model=manifest.model,
            release_at=manifest.created_at,
            data_at=manifest.profile_at or manifest.trained_at,
            settled=fresh.settled,
            events=fresh.events,
        )

    def fresh(self, at: float) -> Fresh:
        """The customer as of the instant `at`, after what they did lately."""
        customer = self.customer()
        if self.consents is None or self.consents.erased:
            return Fresh(customer)
        return self.lately.over(customer, self.recent, shard=self.shard, view=self.view, at=at)

    def customer(self) -> Customer:
        """Who it is, with the consent that holds: what they said here, else what the profile has.

        Of somebody who is forgotten, nothing; and whose words are not known has agreed to nothing.
        """
        customer = STRANGER if self.profile is None else customer_of(self.profile, self.view)
        if self.consents is None:
            return replace(customer, facts={**customer.facts, **_NOTHING_AGREED})
        if self.consents.erased:
            return replace(STRANGER, facts=_NOTHING_AGREED)
        words = ((f"consent_{purpose}", word) for purpose, word in self.consents.said.items())
        said = {name: word for name, word in words if name in _NOTHING_AGREED}
        return replace(customer, facts={**customer.facts, **said}) if said else customer


class Knowledge:
    """Reads what is known. For one event loop."""

    def __init__(
        self,
        records: Records,
        space: KeySpace,
        metrics: Metrics,
        *,
        words: Words,
        lately: Lately = _AS_BUILT_IN,
    ) -> None:
        self._records = records
        self._words = words
        self._lately = lately
        self._space = space
        self._metrics = metrics
        self._popular: tuple[ReleaseView | None, dict[str, float]] = (None, {})

    def popular(self, view: ReleaseView) -> Mapping[str, float]:
        """By product id, how likely anybody chooses it."""
        if self._popular[0] is not view:
            rates = {
                entry.product_id: entry.base_rate
                for entry in view.head.catalogue
                if entry.base_rate is not None
            }
            self._popular = (view, rates)
        return self._popular[1]

    async def of(
        self, requests: Sequence[Request], view: ReleaseView, serving: Serving
    ) -> list[Found]:
        """What is known of each request's customer; each is asked about once.

        Raises:
            StoreUnavailable: no answer in time.
        """
        manifest, space = view.head.manifest, self._space
        digests = [space.digest(request.customer_id) for request in requests]
        keys: dict[bytes, None] = {}
        for digest, request in zip(digests, requests, strict=True):
            keys[space.state(digest)] = None
            keys[space.recent(digest)] = None
            keys[space.consent(digest)] = None
            if manifest.profile_buckets_per_tag:
                keys[profile_key(space, manifest, digest)] = None
            if request.request_id is not None:
                keys[space.request(digest, request.request_id)] = None
        records = await fetch_reachable(self._records, list(keys))
        found = [
            self._found(digest, request, view, records)
            for digest, request in zip(digests, requests, strict=True)
        ]
        if any(each.unreadable == "decisions.profile_unreadable" for each in found):
            await self._try_older(found, serving)
        return found

    def _found(
        self,
        digest: bytes,
        request: Request,
        view: ReleaseView,
        records: Mapping[bytes, bytes | None],
    ) -> Found:
        space, manifest = self._space, view.head.manifest
        if space.state(digest) not in records:  # on a node of a cluster that is away
            return Found(
                digest, view, unreadable="decisions.store_unavailable", degraded="store_unavailable"
            )
        repeated = None
        if request.request_id is not None:
            was = records[space.request(digest, request.request_id)]
            repeated = None if was is None else was.decode("ascii", "replace")
        record = records[space.state(digest)]
        copied = consents_of(records[space.consent(digest)])
        if isinstance(copied, Damage):
            self._metrics.damaged.labels("consent").inc()
        word = self._words.of(request.customer_id, digest, copied)
        if isinstance(word, Consents) and word.erased:
            # Whatever still lies there: Redis may refuse to remove it for as long as it likes.
            return Found(
                digest,
                view,
                mark=mark_of(record),
                repeated=repeated,
                degraded=None if manifest.profile_buckets_per_tag else "no_profiles",
                consents=word,
            )
        try:
            state = NEVER_SPOKEN_TO if record is None else decode_state(open_state(record))
        except RecordCorrupt:
            self._metrics.damaged.labels("state").inc()
            return Found(digest, view, repeated=repeated, unreadable="decisions.state_unreadable")
        profile: ProfileRow | Damage | None = None
        degraded = None
        if manifest.profile_buckets_per_tag:
            profile = profile_of(records[profile_key(space, manifest, digest)], digest, manifest)
        else:
            degraded = "no_profiles"
        unreadable = None
        if isinstance(profile, Damage):
            self._metrics.damaged.labels(profile.value).inc()
            profile, unreadable = None, "decisions.profile_unreadable"
        recent = recent_of(records[space.recent(digest)])
        if isinstance(recent, Damage):
            self._metrics.damaged.labels("recent").inc()
            recent, degraded = NOTHING_RECENT, degraded or "recent_unreadable"
        consents: Consents | None = None
        if isinstance(word, Consents):
            consents = word
        else:
            degraded = word
        return Found(
            digest,
            view,
            profile,
            state,
            mark_of(record),
            repeated,
            unreadable,
            degraded,
            recent,
            consents,
            space.shard(digest),
            self._lately,
        )

    async def _try_older(self, found: list[Found], serving: Serving) -> None:
        """Replace in `found` those whose profile is damaged by what the older release has."""
        if serving.older is None:
            return
        view = serving.older.view
        manifest = view.head.manifest
        if not manifest.profile_buckets_per_tag:
            return
        lost = [
            at for at, each in enumerate(found) if each.unreadable == "decisions.profile_unreadable"
        ]
        keys = [profile_key(self._space, manifest, found[at].digest) for at in lost]
        for at, record in zip(lost, await self._records.fetch(keys), strict=True):
            was = found[at]
            profile = profile_of(record, was.digest, manifest)
            if isinstance(profile, ProfileRow):
                found[at] = replace(
                    was,
                    view=view,
                    profile=profile,
                    unreadable=None,
                    degraded=was.degraded if was.consents is None else "previous_release",
                )


def customer_of(profile: ProfileRow, view: ReleaseView) -> Customer:
    """A profile as decisions see it."""
    catalogue = view.head.catalogue
    chances = map(
        Propensity,
        [None if chance != chance else chance for chance in _shortened(profile.probabilities)],  # noqa: PLR0124 - NaN: none
        _shortened(profile.scores),
        [REASONS[reason] for reason in profile.reasons.tolist()],
        [None if one < 0 else catalogue[one].product_id for one in profile.because.tolist()],
    )
    products = [catalogue[product].product_id for product in profile.products.tolist()]
    return Customer(profile.facts, dict(zip(products, chances, strict=True)))


def _shortened(values: NDArray[np.float32]) -> list[float]:
    """As they were before they were stored in 4 bytes: 0.05, not 0.05000000074505806."""
    shortened: list[float] = np.round(values.astype(np.float64), _DIGITS).tolist()
    return shortened
