"""Seeds and ids: what makes the same question at the same state the same decision."""

from base64 import b32encode
from datetime import date
from hashlib import blake2b
from typing import Final
from zlib import crc32

import orjson

from oferta.decisions.coding import encode
from oferta.decisions.decision import Versions
from oferta.decisions.request import Request

_ID_BYTES: Final = 15  # 24 characters of base 32


def seed_of(
    request: Request, *, customer: str, placements: tuple[str, ...], versions: Versions, day: date
) -> int:
    """The seed of exploration and of ties: 63 bits.

    From customer, placements, policy version, release, day and channel: asked again on the same
    day, the same is drawn; a request id draws for itself. `customer` is empty for an answer that
    must not depend on one, and then the request id is not looked at either.
    """
    asked = [
        customer,
        request.request_id if customer else None,
        placements,
        versions.policy,
        versions.release,
        day.isoformat(),
        request.channel,
    ]
    digest = blake2b(orjson.dumps(asked), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def tie(offer: str, seed: int) -> int:
    """The place of an offer among those of equal value: fair over seeds, the same for one."""
    return crc32(offer.encode(), seed & 0xFFFFFFFF)


def id_of(request: Request, *, state_version: int, seed: int, answered: object) -> str:
    """`d_` and 24 characters, from the request, the state's version and what was answered.

    A request id makes its own decision; whatever else differs in the request does, too.
    """
    digest = blake2b(
        encode([request, state_version, seed, answered], sort=True), digest_size=_ID_BYTES
    ).digest()
    return "d_" + b32encode(digest).decode().lower()
