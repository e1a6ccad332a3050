"""Copies of the consent ledger on every Redis: newest word wins, complete or known to be not."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from redis_servers import STORES

from oferta.privacy.consents import Consents
from oferta.privacy.erasures import Erasures
from oferta.privacy.ledger import Ledger, ledger_path
from oferta.privacy.word import Word
from oferta.store.consent_copies import TURN, ConsentCopies, brought
from oferta.store.customer_records import open_consents, seal_consents
from oferta.store.keys import KeySpace
from oferta.store.wire import Wire
from oferta_serving.consent.words import LedgerWords

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SPACE = KeySpace(b"0123456789abcdef")
NAMES = [f"c-{number}" for number in range(TURN + 44)]

pytestmark = pytest.mark.parametrize("server", STORES)
RedisAt = Callable[[str], str]
Work = Callable[[Wire, ConsentCopies], Awaitable[None]]


@pytest.fixture
def ledger(tmp_path: Path):
    made = Ledger(ledger_path(tmp_path))
    made.append([_out(name) for name in NAMES], received_at=NOON)
    yield made
    made.close()


def _out(name: str) -> Word:
    return Word(name, "personalisation", "out", "app")


def _restored(ledger: Ledger, folder: Path) -> Ledger:
    """The ledger as it is now, brought back later from a backup."""
    path = folder / "restored" / "ledger.sqlite"
    path.parent.mkdir()
    with closing(sqlite3.connect(ledger.path)) as from_, closing(sqlite3.connect(path)) as to:
        from_.backup(to)
    return Ledger(path)


def _run(url: str, work: Work) -> None:
    async def whole() -> None:
        wire = Wire(url, deadline_s=5.0)
        try:
            await work(wire, ConsentCopies(wire, SPACE))
        finally:
            await wire.close()

    asyncio.run(whole())


async def _held(wire: Wire, *names: str) -> list[Consents | None]:
    records = await wire.fetch([SPACE.consent(SPACE.digest(name)) for name in names])
    return [None if record is None else open_consents(record) for record in records]


def test_all_that_was_said_is_copied_and_the_marker_says_so(
    server: str, redis_at: RedisAt, ledger: Ledger
):
    async def work(wire: Wire, copies: ConsentCopies) -> None:
        assert await copies.marker() is None
        assert await brought(copies, ledger, at=1.0)
        assert await copies.marker() == ledger.snapshot().id
        assert [one for one in await _held(wire, *NAMES) if one is None] == []
        ledger.append([_out("later")], received_at=NOON)
        ledger.forget(NAMES[3], SPACE.digest(NAMES[3]).hex(), at=NOON)
        assert await _held(wire, "later") == [None]
        assert await brought(copies, ledger, at=2.0)
        later, forgotten = await _held(wire, "later", NAMES[3])
        assert later == Consents({"personalisation": False}, len(NAMES) + 1)
        assert forgotten == Consents({}, len(NAMES) + 2, erased=True)

    _run(redis_at(server), work)


def test_an_older_word_never_replaces_a_newer(server: str, redis_at: RedisAt):
    digest = SPACE.digest("ann")
    old, new = Consents({"marketing": True}, 7), Consents({"marketing": False}, 300)

    async def work(wire: Wire, copies: ConsentCopies) -> None:
        for each in (new, old):
            await copies.put([(digest, each)], at=1.0)
        assert await _held(wire, "ann") == [new]
        flipped = bytearray(seal_consents(new, at=1.0))
        flipped[13] ^= 1
        await wire.ask([(b"SET", SPACE.consent(digest), bytes(flipped))])
        await copies.put([(digest, old)], at=1.0)
        assert await _held(wire, "ann") == [old]
        await wire.ask([(b"DEL", SPACE.consent(digest))])
        await wire.ask([(b"RPUSH", SPACE.consent(digest), b"of another application")])
        await copies.put([(digest, old)], at=1.0)
        assert await _held(wire, "ann") == [old]

    _run(redis_at(server), work)


def test_the_marker_moves_only_from_where_it_was(server: str, redis_at: RedisAt, ledger: Ledger):
    async def work(_: Wire, copies: ConsentCopies) -> None:
        assert await copies.mark(None, "5-aaaa")
        assert not await copies.mark(None, "9-cccc")
        assert not await copies.mark("4-0000", "9-cccc")
        assert await copies.mark("5-aaaa", "6-bbbb")
        assert await copies.marker() == "6-bbbb"
        assert await brought(copies, ledger, at=1.0)  # of another ledger: all is copied anew
        assert await copies.marker() == ledger.snapshot().id

    _run(redis_at(server), work)


def test_a_restored_ledger_is_copied_to_an_end_with_nothing_written_since(
    server: str, redis_at: RedisAt, ledger: Ledger, tmp_path: Path
):
    older = _restored(ledger, tmp_path)
    ledger.append([_out("later"), _out("too")], received_at=NOON)

    async def work(wire: Wire, copies: ConsentCopies) -> None:
        assert await brought(copies, ledger, at=1.0)
        async with asyncio.timeout(10):
            for _ in range(3):
                assert await copies.catch_up(older, at=2.0)
                assert await copies.marker() == older.snapshot().id
        assert older.snapshot().seq == len(NAMES) + 2
        assert older.append([_out("new")], received_at=NOON)[0].seq == len(NAMES) + 3
        assert None not in await _held(wire, "later", "too")

    _run(redis_at(server), work)
    older.close()


def test_a_no_that_a_restored_ledger_was_told_goes_into_the_newer_copy(
    server: str, redis_at: RedisAt, ledger: Ledger, tmp_path: Path
):
    older = _restored(ledger, tmp_path)
    for name in ("x", "y"):
        ledger.append([_out(name)], received_at=NOON)
    agreed = [Word("ann", purpose, "in", "app") for purpose in ("personalisation", "email")]
    ledger.append(agreed, received_at=NOON)

    async def work(wire: Wire, copies: ConsentCopies) -> None:
        assert await brought(copies, ledger, at=1.0)
        older.append([_out("ann")], received_at=NOON)
        assert await brought(copies, older, at=2.0)
        (ann,) = await _held(wire, "ann")
        assert ann is not None
        assert ann == Consents({"personalisation": False, "email": True}, len(NAMES) + 4)
        words = LedgerWords(older).of("ann", SPACE.digest("ann"), ann)
        assert words == ann
        again = [Word("ann", "personalisation", "in", "app")]
        assert older.append(again, received_at=NOON)[0].seq > ann.seq

    _run(redis_at(server), work)
    older.close()


@pytest.mark.parametrize("noticed", [True, False], ids=["noticed before", "words outnumber it"])
def test_a_word_told_to_a_restored_ledger_takes_no_earlier_no_out_of_the_copy(
    server: str, redis_at: RedisAt, ledger: Ledger, tmp_path: Path, noticed: bool
):
    """Though it is newer than the copy: what only the copy knew goes into the ledger before."""
    older = _restored(ledger, tmp_path)
    ledger.append([_out("ann"), Word("ann", "marketing", "out", "app", "sms")], received_at=NOON)
    ledger.append([_out("bob")], received_at=NOON)
    ledger.forget("bob", SPACE.digest("bob").hex(), at=NOON)
    said = [Word(name, "sharing", "in", "app") for name in ("x", "y", "z", "v", "w", "ann", "bob")]

    async def work(wire: Wire, copies: ConsentCopies) -> None:
        assert await brought(copies, ledger, at=1.0)
        if noticed:
            assert await brought(copies, older, at=2.0)  # numbers on above the copies
        older.append(said, received_at=NOON)  # while Redis was away: nobody looked at the copies
        assert await brought(copies, older, at=3.0)
        ann, bob = await _held(wire, "ann", "bob")
        assert ann is not None
        assert ann.said == {"personalisation": False, "sms": False, "sharing": True}
        assert older.consents_of("ann") == ann
        assert bob is not None
        assert bob.erased
        assert older.consents_of("bob", SPACE.digest("bob").hex()).erased
        before = older.snapshot()
        assert await brought(copies, older, at=4.0)
        assert older.snapshot() == before

    _run(redis_at(server), work)
    older.close()


def test_a_no_that_the_ledger_has_is_not_taken_back_over_a_later_yes(
    server: str, redis_at: RedisAt, ledger: Ledger, tmp_path: Path
):
    """Also long after the ledger was restored once; and who came back is not forgotten again."""
    older = _restored(ledger, tmp_path)
    ledger.append([_out("lost")], received_at=NOON)
    yes, tombstone = Word(NAMES[0], "personalisation", "in", "app"), SPACE.digest("eve").hex()

    async def work(wire: Wire, copies: ConsentCopies) -> None:
        assert await brought(copies, ledger, at=1.0)
        assert await brought(copies, older, at=2.0)
        older.append([Word("eve", "marketing", "in", "app")], received_at=NOON)
        older.forget("eve", tombstone, at=NOON)
        assert await brought(copies, older, at=3.0)
        with closing(Erasures(older.path)) as erasures:
            erasures.let_return(tombstone, "a new contract", at=NOON.timestamp())
        older.append([yes, Word("eve", "marketing", "in", "app")], received_at=NOON)
        before = older.snapshot()
        assert await brought(copies, older, at=4.0)
        assert older.snapshot() == before
        found = await _held(wire, NAMES[0], "eve")
        assert [one and one.said for one in found] == [
            {"personalisation": True},
            {"marketing": True},
        ]

    _run(redis_at(server), work)
    older.close()


def test_of_a_copy_that_the_ledger_lost_a_no_on_either_side_holds(
    server: str, redis_at: RedisAt, ledger: Ledger
):
    del server, redis_at
    digest = SPACE.digest(NAMES[0])
    words = LedgerWords(ledger)
    newer = Consents({"personalisation": True, "email": False}, 10_000)
    assert words.of(NAMES[0], digest, newer) == Consents(
        {"personalisation": False, "email": False}, 10_000
    )
    gone = Consents({}, 10_000, erased=True)
    said = words.of(NAMES[0], digest, gone)
    assert isinstance(said, Consents)
    assert said.erased
    ledger.forget(NAMES[0], digest.hex(), at=NOON)
    said = words.of(NAMES[0], digest, newer)
    assert isinstance(said, Consents)
    assert said.erased


def test_what_was_emptied_while_it_was_filled_counts_as_incomplete(
    server: str, redis_at: RedisAt, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
):
    async def work(wire: Wire, copies: ConsentCopies) -> None:
        assert await brought(copies, ledger, at=1.0)
        ledger.append([_out("later")], received_at=NOON)
        put = copies.put

        async def emptied(
            words: list[tuple[bytes, Consents]], *, at: float
        ) -> Mapping[bytes, bytes]:
            newer = await put(words, at=at)
            await wire.ask([(b"DEL", SPACE.consents())])
            return newer

        with monkeypatch.context() as during:
            during.setattr(copies, "put", emptied)
            assert not await copies.catch_up(ledger, at=2.0)
        assert await copies.marker() is None
        assert await brought(copies, ledger, at=3.0)

    _run(redis_at(server), work)
