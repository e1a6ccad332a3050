"""`/metrics` is computed beside the answers: in a thread, once a second, one at a time."""

import asyncio
import threading

import pytest
from serving.callers import Hands

from oferta_serving.exposition import FOR_S, Exposition


class Slow:
    """Takes until it is let go, in whatever thread it is called."""

    def __init__(self) -> None:
        self.threads: list[int] = []
        self.go_on = threading.Event()

    def __call__(self) -> bytes:
        self.threads.append(threading.get_ident())
        assert self.go_on.wait(5)
        return b"%d" % len(self.threads)


def test_the_event_loop_goes_on_and_all_who_ask_wait_for_one_computation(hands: Hands):
    slow = Slow()

    async def ask() -> None:
        exposition = Exposition(slow, hands)
        asked = [asyncio.create_task(exposition.text()) for _ in range(5)]
        await asyncio.sleep(0.01)  # comes back while it is being computed
        asked[0].cancel()  # one who goes takes nothing from the others
        slow.go_on.set()
        assert await asyncio.gather(*asked[1:]) == [b"1"] * 4
        assert len(slow.threads) == 1
        assert slow.threads[0] != threading.get_ident()

        hands.at = FOR_S / 2
        assert await exposition.text() == b"1"
        hands.at = FOR_S
        assert await exposition.text() == b"2"

    asyncio.run(ask())


def test_what_failed_is_tried_again():
    tried: list[int] = []

    def compute() -> bytes:
        tried.append(1)
        if len(tried) == 1:
            raise OSError
        return b"text"

    async def ask() -> None:
        exposition = Exposition(compute)
        with pytest.raises(OSError, match=r"^$"):
            await exposition.text()
        assert await exposition.text() == b"text"

    asyncio.run(ask())
