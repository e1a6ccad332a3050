"""Where everything lies in Redis: the only module that builds keys.

Keys are made of our own numbers and of keyed hashes, never of text from outside: nothing can be
injected, their length is fixed, and neither a dump nor a slow log shows who the customers are.

    {default}:pointer                 which release is live
    {default}:fence                   the counter that numbers publishers and releases
    {default}:releases                what is, or is being, written: release number -> announcement
    {default}:m:<release>             manifest of a release
    {default}:h:<release>:<part>      its head, in parts
    {default:s1f}:s:<release>:<product>    the products similar to one product
    {default:0a3}:r:<release>:<bucket>     the lists of about 16 customers
    {default:0a3}:p:<release>:<bucket>     the profiles of about 4 customers
    {default:0a3}:c:<customer>        what was said to a customer, and what they answered
    {default:0a3}:d:<decision>        a decision
    {default:0a3}:q:<request>         the decision that a request id belongs to
    {default:0a3}:k:<customer>        the ids of a customer's decisions, as long as these are kept
    {default:0a3}:l                   the decision log of the tag's customers
    {default:0a3}:o:<release>:<bucket>     the pasts of about 4 customers, as the model saw them
    {default:0a3}:y:<customer>        what a customer, or a session, did lately
    {default:0a3}:i:<event>           an event id that was claimed, and what became of it
    {default:0a3}:g:<customer>        what a customer agreed to, copied from the consent ledger
    {default}:consents                how far the consent ledger was copied
    {default}:v:<release>:<part>      the release's live scorer, in parts
    {default:e5}:e                    accepted events of one shard, waiting for a consumer
    {default:e5}:w                    those that wait for their product to appear
    {default:e5}:x                    those that nobody could apply: dead letters
    {default}:archive                 which archive the events go to, and since which epoch
    {default:t}:t:<counter>           a counter over all customers
    {default:u}:u:<key>               how much an API key may still ask for now
    {default:u}:n:<key>:<day>         how many customers an API key asked for on a day: a sketch
    {default:b}:b:<version>           policy, catalogue and rate cards that decisions were made with

The braces are Redis's hash tag. A customer's tag depends on the customer alone, so whatever is kept
per customer lies in one slot of a cluster with the customer's bucket of every release.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from oferta.errors import InvalidId, SettingsInvalid
from oferta.store.key_secret import MIN_SECRET_BYTES, SECRET_VARIABLE

if TYPE_CHECKING:
    from hashlib import _Hash

SHARDS = 16
"""Streams of events. A customer's events are all in one, in the order of their arrival."""

TAGS = 4096
"""Slot tags of customers: the first 12 bits of the hash. A cluster has 16384 slots over few nodes,
so 4096 tags spread evenly, and a request for 500 customers still meets some tags twice."""

CUSTOMERS_PER_BUCKET = 16
"""About this many share a key. A key of its own costs a customer 140 bytes and thrice the time."""

PROFILES_PER_BUCKET = 4
"""A profile is kilobytes: what strangers of a bucket cost in reading outweighs a key."""

DIGEST_BYTES = 16

_TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_DECISION_ID = re.compile(r"d_([0-9a-f]{3})([0-9a-f]{21})")
_NONCE_DIGITS = 21
_BLOCK = 64  # of SHA-256, in bytes: what an HMAC key is padded to
_TAG_SHIFT = 4  # two bytes hold 16 bits, a tag is 12

Digests = NDArray[np.uint8]
"""Keyed hashes `(customers, 16) uint8`."""


def buckets_per_tag(customers: int) -> int:
    """How many buckets a release with so many customers spreads each tag over, at least one."""
    return max(1, round(customers / (TAGS * CUSTOMERS_PER_BUCKET)))


def profile_buckets_per_tag(customers: int) -> int:
    """Likewise for the profiles of so many customers."""
    return max(1, round(customers / (TAGS * PROFILES_PER_BUCKET)))


def past_buckets_per_tag(customers: int) -> int:
    """Likewise for the pasts of so many customers, which are as large."""
    return profile_buckets_per_tag(customers)


@dataclass(frozen=True, slots=True, repr=False)
class KeySpace:
    """The keys of one tenant under one secret. Immutable; safe to share between threads."""

    secret: bytes
    tenant: str = "default"
    _inner: "_Hash" = field(init=False, compare=False)
    _outer: "_Hash" = field(init=False, compare=False)

    def __post_init__(self) -> None:
        if not _TENANT.fullmatch(self.tenant):
            raise SettingsInvalid(
                "tenant",
                [f"'{self.tenant}': 1 to 32 of a-z, 0-9, '-' and '_', no other characters"],
            )
        if len(self.secret) < MIN_SECRET_BYTES:
            raise SettingsInvalid(
                SECRET_VARIABLE, [f"the key secret must have {MIN_SECRET_BYTES} bytes or more"]
            )
        # HMAC-SHA256 spelled out (RFC 2104), so that both keyed states are made once and copied:
        # 0.7 us a customer against 1.5 us through hmac.digest.
        secret = self.secret
        padded = (hashlib.sha256(secret).digest() if len(secret) > _BLOCK else secret).ljust(
            _BLOCK, b"\0"
        )
        object.__setattr__(self, "_inner", hashlib.sha256(bytes(b ^ 0x36 for b in padded)))
        object.__setattr__(self, "_outer", hashlib.sha256(bytes(b ^ 0x5C for b in padded)))

    def __repr__(self) -> str:
        return f"KeySpace(tenant={self.tenant!r})"  # never the secret

    def digest(self, customer_id: str) -> bytes:
        """The customer's keyed hash, 16 bytes."""
        return self._hmac(_customer(customer_id))[:DIGEST_BYTES]

    def digests(self, customer_ids: Iterable[str]) -> Digests:
        """The keyed hashes of many customers, `(customers, 16) uint8`, in their order."""
        inner, outer = self._inner.copy, self._outer.copy
        hashes = bytearray()
        for customer_id in customer_ids:
            first = inner()
            first.update(_customer(customer_id))
            second = outer()
            second.update(first.digest())
            hashes += second.digest()[:DIGEST_BYTES]
        return np.frombuffer(bytes(hashes), dtype=np.uint8).reshape(-1, DIGEST_BYTES)

    def key_check(self) -> str:
        """What this secret makes of a constant: equal for two processes if their keys are."""
        return self._hmac(b"check\0" + self.tenant.encode())[:8].hex()

    def file_signature(self, content: bytes) -> bytes:
        """What only who knows the secret can make of a file's content, 32 bytes."""
        return self._hmac(b"f\0" + self.tenant.encode() + hashlib.sha256(content).digest())

    def pointer(self) -> bytes:
        """The key of the pointer to the live release."""
        return b"{%s}:pointer" % self.tenant.encode()

    def fence(self) -> bytes:
        """The key of the counter of fences."""
        return b"{%s}:fence" % self.tenant.encode()

    def releases(self) -> bytes:
        """The key of the announcements of releases."""
        return b"{%s}:releases" % self.tenant.encode()

    def manifest(self, release: int) -> bytes:
        """The key of a release's manifest."""
        return b"{%s}:m:%d" % (self.tenant.encode(), release)

    def head(self, release: int, part: int) -> bytes:
        """The key of a part of a release's head."""
        return b"{%s}:h:%d:%d" % (self.tenant.encode(), release, part)

    def similar(self, release: int, product: int) -> bytes:
        """The key of the products similar to the one at `product` in the release's catalogue."""
        return b"{%s:s%x}:s:%d:%d" % (self.tenant.encode(), product % 256, release, product)

    def bucket(self, release: int, per_tag: int, digest: bytes) -> bytes:
        """The key of the bucket that holds the list of the customer with this hash."""
        return self.bucket_at(release, *_tag_and_bucket(digest, per_tag))

    def bucket_at(self, release: int, tag: int, bucket: int) -> bytes:
        """The key of a bucket by its numbers."""
        return b"{%s:%03x}:r:%d:%d" % (self.tenant.encode(), tag, release, bucket)

    def buckets(self, release: int, per_tag: int) -> Iterator[bytes]:
        """The keys of all buckets that a release may have, those of one tag together."""
        for tag in range(TAGS):
            for bucket in range(per_tag):
                yield self.bucket_at(release, tag, bucket)

    def profile(self, release: int, per_tag: int, digest: bytes) -> bytes:
        """The key of the bucket that holds the profile of the customer with this hash."""
        return self.profile_at(release, *_tag_and_bucket(digest, per_tag))

    def profile_at(self, release: int, tag: int, bucket: int) -> bytes:
        """The key of a bucket of profiles by its numbers."""
        return b"{%s:%03x}:p:%d:%d" % (self.tenant.encode(), tag, release, bucket)

    def profiles(self, release: int, per_tag: int) -> Iterator[bytes]:
        """The keys of all buckets of profiles of a release; none where `per_tag` is 0."""
        for tag in range(TAGS):
            for bucket in range(per_tag):
                yield self.profile_at(release, tag, bucket)

    def tag(self, digest: bytes) -> int:
        """The slot tag of the customer with this hash."""
        return int.from_bytes(digest[:2], "big") >> _TAG_SHIFT

    def state(self, digest: bytes) -> bytes:
        """The key of the state of the customer with this hash."""
        return b"{%s:%03x}:c:%s" % (self.tenant.encode(), self.tag(digest), digest.hex().encode())

    def decision(self, decision_id: str) -> bytes:
        """The key of a decision, whose id names its customer's tag (`decision_id`).

        Raises:
            InvalidId: no decision has such an id.
        """
        found = _DECISION_ID.fullmatch(decision_id)
        if found is None:
            raise InvalidId("decision.invalid", "ids of decisions are d_ and 24 hexadecimal digits")
        return b"{%s:%s}:d:%s" % (self.tenant.encode(), found[1].encode(), found[2].encode())

    def decision_id(self, digest: bytes, nonce: bytes) -> str:
        """The id of a decision for the customer with this hash; `nonce`: 11 bytes, never twice.

        It tells the slot in which the decision lies: one of 4096, of which each has thousands of
        customers.
        """
        return f"d_{self.tag(digest):03x}{nonce.hex()[:_NONCE_DIGITS]}"

    def request(self, digest: bytes, request_id: str) -> bytes:
        """The key of a request id that came for the customer with this hash."""
        name = self._hmac(b"q\0" + digest + request_id.encode("utf-8", "surrogatepass"))
        return self.request_named(digest, name[:DIGEST_BYTES].hex().encode())

    def request_named(self, digest: bytes, name: bytes) -> bytes:
        """The same key by its last part."""
        return b"{%s:%03x}:q:%s" % (self.tenant.encode(), self.tag(digest), name)

    def made(self, digest: bytes) -> bytes:
        """The key of which decisions were made for the customer with this hash."""
        return b"{%s:%03x}:k:%s" % (self.tenant.encode(), self.tag(digest), digest.hex().encode())

    def signature(self, document: bytes) -> str:
        """The keyed hash of a document, hexadecimal: only who has the secret can make it."""
        return self._hmac(b"z\0" + self.tenant.encode() + b"\0" + document).hex()

    def session(self, session_id: str) -> bytes:
        """The keyed hash of an anonymous session, 16 bytes; never that of any customer."""
        return self._hmac(b"s\0" + session_id.encode("utf-8", "surrogatepass"))[:DIGEST_BYTES]

    def shard(self, digest: bytes) -> int:
        """The shard that the events of the customer or session with this hash go through."""
        return self.tag(digest) % SHARDS

    def events(self, shard: int) -> bytes:
        """The key of the accepted events of a shard."""
        return b"{%s:e%x}:e" % (self.tenant.encode(), shard)

    def parked(self, shard: int) -> bytes:
        """The key of a shard's events that wait for their product."""
        return b"{%s:e%x}:w" % (self.tenant.encode(), shard)

    def dead(self, shard: int) -> bytes:
        """The key of a shard's dead letters."""
        return b"{%s:e%x}:x" % (self.tenant.encode(), shard)

    def archive(self) -> bytes:
        """The key of which archive the events go to."""
        return b"{%s}:archive" % self.tenant.encode()

    def event(self, digest: bytes, event_id: str) -> bytes:
        """The key of an event id that came for the customer or session with this hash."""
        name = self._hmac(b"i\0" + digest + event_id.encode("utf-8", "surrogatepass"))
        tag = self.tag(digest)
        return b"{%s:%03x}:i:%s" % (self.tenant.encode(), tag, name[:DIGEST_BYTES].hex().encode())

    def recent(self, digest: bytes) -> bytes:
        """The key of what the customer or session with this hash did lately."""
        return b"{%s:%03x}:y:%s" % (self.tenant.encode(), self.tag(digest), digest.hex().encode())

    def consent(self, digest: bytes) -> bytes:
        """The key of what the customer with this hash agreed to."""
        return b"{%s:%03x}:g:%s" % (self.tenant.encode(), self.tag(digest), digest.hex().encode())

    def consents(self) -> bytes:
        """The key of how far the consent ledger was copied."""
        return b"{%s}:consents" % self.tenant.encode()

    def scorer(self, release: int, part: int) -> bytes:
        """The key of a part of a release's live scorer."""
        return b"{%s}:v:%d:%d" % (self.tenant.encode(), release, part)

    def past(self, release: int, per_tag: int, digest: bytes) -> bytes:
        """The key of the bucket that holds the past of the customer with this hash."""
        return self.past_at(release, *_tag_and_bucket(digest, per_tag))

    def past_at(self, release: int, tag: int, bucket: int) -> bytes:
        """The key of a bucket of pasts by its numbers."""
        return b"{%s:%03x}:o:%d:%d" % (self.tenant.encode(), tag, release, bucket)

    def pasts(self, release: int, per_tag: int) -> Iterator[bytes]:
        """The keys of all buckets of pasts of a release; none where `per_tag` is 0."""
        for tag in range(TAGS):
            for bucket in range(per_tag):
                yield self.past_at(release, tag, bucket)

    def log(self, tag: int) -> bytes:
        """The key of the decision log of one tag's customers."""
        return b"{%s:%03x}:l" % (self.tenant.encode(), tag)

    def lines_per_tag(self, lines: int) -> int:
        """How many lines the log of one tag holds, so that all hold about `lines`."""
        return max(1, round(lines / TAGS))

    def total(self, counter: str) -> bytes:
        """The key of a counter over all customers; all of them share a slot."""
        name = self._hmac(b"t\0" + counter.encode())[:DIGEST_BYTES]
        return b"{%s:t}:t:%s" % (self.tenant.encode(), name.hex().encode())

    def tokens(self, caller: str) -> bytes:
        """The key of the bucket of tokens of an API key."""
        return b"{%s:u}:u:%s" % (self.tenant.encode(), self._caller(caller))

    def asked_for(self, caller: str, day: int) -> bytes:
        """The key of the customers that an API key asked for on a day since 1970."""
        return b"{%s:u}:n:%s:%d" % (self.tenant.encode(), self._caller(caller), day)

    def bundle(self, version: str) -> bytes:
        """The key of a bundle of files."""
        name = self._hmac(b"b\0" + version.encode())[:DIGEST_BYTES]
        return b"{%s:b}:b:%s" % (self.tenant.encode(), name.hex().encode())

    def _caller(self, caller: str) -> bytes:
        return self._hmac(b"u\0" + caller.encode())[:DIGEST_BYTES].hex().encode()

    def _hmac(self, message: bytes) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()


def _tag_and_bucket(digest: bytes, per_tag: int) -> tuple[int, int]:
    tag = int.from_bytes(digest[:2], "big") >> _TAG_SHIFT
    return tag, int.from_bytes(digest[4:8], "big") % per_tag


def places(digests: Digests, per_tag: int) -> NDArray[np.uint32]:
    """The number of each customer's bucket over the whole release, tag x per_tag + bucket."""
    tags = (digests[:, 0].astype(np.uint32) << np.uint32(4)) | (digests[:, 1] >> np.uint8(4))
    spread = np.ascontiguousarray(digests[:, 4:8]).view(">u4").ravel()
    return tags * np.uint32(per_tag) + (spread % np.uint32(per_tag)).astype(np.uint32)


def rests(digests: Digests) -> NDArray[np.uint64]:
    """The half of each hash that tells apart the customers of one bucket, uint64."""
    return np.ascontiguousarray(digests[:, 8:]).view(">u8").ravel().astype(np.uint64)


def rest(digest: bytes) -> int:
    """The same half of one customer's hash."""
    return int.from_bytes(digest[8:], "big")


def _customer(customer_id: str) -> bytes:
    # Ids hold no control characters, so this prefix keeps them apart from our own constants.
    return b"c\0" + customer_id.encode("utf-8", "surrogatepass")
