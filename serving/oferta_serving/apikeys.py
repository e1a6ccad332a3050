"""Who may call: keys known by their SHA-256 only, compared in constant time, never logged."""

import hashlib
import hmac
from collections.abc import Sequence

from oferta_serving.problems import RequestRefused


class ApiKeys:
    """A set of API keys. Keys are long and random, so a plain hash of them keeps them secret."""

    __slots__ = ("_hashes",)

    def __init__(self, hashes: Sequence[bytes]) -> None:
        self._hashes = tuple(hashes)

    def __bool__(self) -> bool:
        return bool(self._hashes)

    def check(self, key: bytes | None) -> None:
        """Refuse a request whose `X-API-Key` is `key`, unless it is one of these.

        Raises:
            RequestRefused: `key.missing` or `key.invalid`.
        """
        if key is None:
            raise RequestRefused("key.missing")
        given = hashlib.sha256(key).digest()
        known = False
        for one in self._hashes:  # all of them, so that time does not tell which one matched
            known |= hmac.compare_digest(one, given)
        if not known:
            raise RequestRefused("key.invalid")
