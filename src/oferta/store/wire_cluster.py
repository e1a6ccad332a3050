"""Commands to a Redis Cluster: each to the node that serves its key, all nodes at once.

A node that does not answer costs its own keys, never those of others: its commands are answered by
`SlotsUnavailable`, at once while it is known to be away. The map of slots is kept in the
background, where lost nodes are tried again too. Only primaries are ever asked.

A redirected command (MOVED, ASK, TRYAGAIN) was not executed, so it is sent to where it belongs. Any
other is sent once.
"""

import asyncio
import random
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from redis.exceptions import TryAgainError

from oferta.errors import SlotsUnavailable, StoreUnavailable
from oferta.store import slots
from oferta.store.address import Address
from oferta.store.node import Command, Node, unavailable
from oferta.store.slots import ASKING, SLOTS, SLOTS_OF_NODES, Where

PAUSE_S: Final = 0.01
"""Until a command is sent again that was redirected twice, or whose keys are just being moved."""

AWAY_AFTER: Final = 3
"""Calls in a row that a node lets pass its deadline, until nobody waits for it any more."""

CALM_S: Final = 5.0
TROUBLED_S: Final = 0.1
"""How often the map of slots is looked at."""

LOOK_S: Final = 0.25
"""What a look, or trying a lost node, may take."""


class _Member:
    """A node of the cluster and whether it is away."""

    __slots__ = ("away", "late", "node", "serves", "where")

    def __init__(self, where: Where, node: Node) -> None:
        self.where = where
        self.node = node
        self.serves = False
        self.away = False
        self.late = 0

    def failed(self, error: StoreUnavailable) -> None:
        """A call failed. A refusal or a cut tells at once, lateness only if it goes on."""
        self.late += 1
        if not isinstance(error.__cause__, TimeoutError) or self.late >= AWAY_AFTER:
            self.away = True

    def answered(self) -> None:
        self.late = 0
        self.away = False


@dataclass(frozen=True, slots=True)
class _Errand:
    """A command on its way: `at` is its place among the replies."""

    at: int
    command: Command
    asking: bool = False


class ClusterLine:
    """See `wire.Line`. For one asyncio loop; `connections` are for each node."""

    def __init__(self, address: Address, *, connections: int) -> None:
        self._address = address
        self._connections = connections
        self._members: dict[Where, _Member] = {}
        self._serving: list[_Member | None] = [None] * SLOTS
        self._covered = False
        self._known = asyncio.Event()
        self._alarm = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None

    async def replies(self, commands: Sequence[Command], *, deadline_s: float) -> list[object]:
        """See `wire.Line`."""
        until = asyncio.get_running_loop().time() + deadline_s
        await self._ready(until)
        answers: list[object] = [None] * len(commands)
        turn = self._sorted(commands)
        for number in range(SLOTS):  # ends by the deadline
            again: dict[_Member | None, list[_Errand]] = {}
            for member, errand, reply in await self._sent(turn, until):
                to = self._followed(member, errand, reply)
                answers[errand.at] = reply
                if to is not None:
                    there = again.setdefault(to[0], [])
                    there += [to[1], *_waits(commands, errand.at)]
            if not again or (number and not await _paused(until)):
                break
            turn = again
        return [
            self._final(command, reply) for command, reply in zip(commands, answers, strict=True)
        ]

    async def records(self, keys: Sequence[bytes], *, deadline_s: float) -> list[bytes | None]:
        """See `wire.Line`."""
        until = asyncio.get_running_loop().time() + deadline_s
        found: dict[bytes, bytes | None] = {}
        lost, apart = await self._read(slots.by_slot(keys), found, until)
        if apart:
            # Their slot is being moved, and some keys lie here, some there: one by one they answer.
            lost_too, _ = await self._read([[key] for key in apart], found, until)
            lost = lost or lost_too
        if isinstance(lost, SlotsUnavailable):
            raise SlotsUnavailable(str(lost), found)
        if lost is not None:
            raise lost
        return [found[key] for key in keys]

    async def _read(
        self, groups: Sequence[Sequence[bytes]], found: dict[bytes, bytes | None], until: float
    ) -> tuple[StoreUnavailable | None, list[bytes]]:
        """Put into `found` what there is; why the rest is not, and keys to be read one by one."""
        lost: StoreUnavailable | None = None
        apart: list[bytes] = []
        asked = [(b"MGET", *group) for group in groups]
        left_s = until - asyncio.get_running_loop().time()
        for group, reply in zip(groups, await self.replies(asked, deadline_s=left_s), strict=True):
            if isinstance(reply, list):
                found.update(zip(group, reply, strict=True))
            elif isinstance(reply, TryAgainError):
                apart += group
            elif isinstance(reply, StoreUnavailable):
                lost = reply
            elif isinstance(reply, Exception):
                raise unavailable(reply) from reply
        return lost, apart

    async def close(self) -> None:
        """See `wire.Line`."""
        if self._watch is not None:
            self._watch.cancel()
            with suppress(asyncio.CancelledError):
                await self._watch
            self._watch = None
        for member in self._members.values():
            await member.node.close()

    async def _ready(self, until: float) -> None:
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._watching())
        if not self._known.is_set():
            try:
                async with asyncio.timeout_at(until):
                    await self._known.wait()
            except TimeoutError as error:
                raise StoreUnavailable("no node of the cluster told who serves what") from error

    def _sorted(self, commands: Sequence[Command]) -> dict[_Member | None, list[_Errand]]:
        sorted_: dict[_Member | None, list[_Errand]] = {}
        before: _Member | None = None
        for at, command in enumerate(commands):
            slot = slots.slot_of(command)
            # What has no key belongs to what it follows: WAIT, after a write.
            member = before or self._anybody() if slot is None else self._serving[slot]
            sorted_.setdefault(member, []).append(_Errand(at, command))
            before = member
        return sorted_

    def _anybody(self) -> _Member | None:
        return next((member for member in self._serve() if not member.away), None)

    async def _sent(
        self, turn: dict[_Member | None, list[_Errand]], until: float
    ) -> list[tuple[_Member | None, _Errand, object]]:
        """What became of each errand: a reply, an error, or `SlotsUnavailable`."""
        parts = list(turn.items())
        if len(parts) == 1:  # one customer: no task is needed
            results = [await self._asked(*parts[0], until)]
        else:
            results = await asyncio.gather(*(self._asked(*part, until) for part in parts))
        return [
            (member, errand, reply)
            for (member, errands), replies in zip(parts, results, strict=True)
            for errand, reply in zip(errands, replies, strict=True)
        ]

    async def _asked(
        self, member: _Member | None, errands: Sequence[_Errand], until: float
    ) -> list[object]:
        if member is None or member.away:
            self._alarm.set()
            lost = SlotsUnavailable("the node that serves these keys is away")
            return [lost] * len(errands)
        commands: list[Command] = []
        for errand in errands:
            if errand.asking:
                commands.append(ASKING)
            commands.append(errand.command)
        try:
            replies = await member.node.ask(commands, until=until)
        except StoreUnavailable as error:
            member.failed(error)
            self._alarm.set()
            lost = SlotsUnavailable(str(error))
            return [lost] * len(errands)
        member.answered()
        if len(replies) == len(errands):
            return replies
        kept = iter(replies)
        return [(next(kept), next(kept))[1] if errand.asking else next(kept) for errand in errands]

    def _followed(
        self, member: _Member | None, errand: _Errand, reply: object
    ) -> tuple[_Member | None, _Errand] | None:
        """Where an errand goes next that was not executed; None where it has ended."""
        if slots.is_down(reply):
            self._alarm.set()
            return None
        if member is None:
            return None
        told = slots.redirect(reply, asked=member.where)
        if told is None:
            return None
        if told.where is None:
            return None if _of_many(errand.command) else (member, errand)
        there = self._member(told.where)
        if told.moved:
            self._alarm.set()
            slot = slots.slot_of(errand.command)
            if slot is not None:
                self._serving[slot] = there
        return there, _Errand(errand.at, errand.command, told.asking)

    def _final(self, command: Command, reply: object) -> object:
        """An error that could not be followed, as what it is to those who asked."""
        if isinstance(reply, TryAgainError) and _of_many(command):
            return reply
        if slots.is_down(reply) or slots.redirect(reply, asked=Where("", 0)) is not None:
            reply = SlotsUnavailable(f"the cluster serves these keys nowhere at present: {reply}")
        if isinstance(reply, SlotsUnavailable) and all(each.away for each in self._serve()):
            return StoreUnavailable(str(reply))
        return reply

    def _serve(self) -> list[_Member]:
        return [member for member in self._members.values() if member.serves]

    def _member(self, where: Where) -> _Member:
        member = self._members.get(where)
        if member is None:
            address = self._address
            node = Node(address.of_node(where), address.credentials, connections=self._connections)
            member = self._members[where] = _Member(where, node)
        return member

    async def _watching(self) -> None:
        while True:
            self._alarm.clear()
            troubled = not await self._looked()
            with suppress(TimeoutError):
                async with asyncio.timeout(TROUBLED_S if troubled else CALM_S):
                    await self._alarm.wait()
            # An alarm is followed at once, and not more often than ten times a second.
            if troubled:
                await asyncio.sleep(TROUBLED_S)

    async def _looked(self) -> bool:
        """Read the map, try what is away; whether all is well."""
        seen = await self._read_map()
        await asyncio.gather(*(self._tried(each) for each in self._serve() if each.away))
        return seen and self._covered and not any(each.away for each in self._serve())

    async def _read_map(self) -> bool:
        near = [member.where for member in self._members.values() if not member.away]
        random.shuffle(near)  # of equals, not always the same is asked first
        for where in dict.fromkeys([*near, *self._members, *self._address.seeds]):
            try:
                (reply,) = await self._member(where).node.ask([SLOTS_OF_NODES], until=_soon())
                ranges = slots.read_slots(reply, asked=where)
            except (StoreUnavailable, ValueError):
                continue
            await self._adopt(ranges)
            return True
        return False

    async def _adopt(self, ranges: Iterable[slots.Range]) -> None:
        serving: list[_Member | None] = [None] * SLOTS
        for member in self._members.values():
            member.serves = False
        for each in ranges:
            member = self._member(each.where)
            member.serves = True
            serving[each.first : each.last + 1] = [member] * (each.last - each.first + 1)
        self._serving = serving
        self._covered = None not in serving
        self._known.set()
        for member in list(self._members.values()):
            if not member.serves:  # a replica by now, or gone; calls under way there end
                await member.node.forget()
                if not member.node.busy:
                    self._members.pop(member.where, None)

    async def _tried(self, member: _Member) -> None:
        try:
            (reply,) = await member.node.ask([(b"PING",)], until=_soon())
        except StoreUnavailable:
            return
        if not isinstance(reply, Exception):
            member.answered()


def _waits(commands: Sequence[Command], at: int) -> list[_Errand]:
    """What waits for replicas of the command at `at`: wherever that goes, it follows."""
    end = at + 1
    while end < len(commands) and commands[end][0] in (b"WAIT", b"WAITAOF"):
        end += 1
    return [_Errand(each, commands[each]) for each in range(at + 1, end)]


def _of_many(command: Command) -> bool:
    """Whether it reads many keys, which `records` asks for one by one where they are apart."""
    return command[0] == b"MGET" and len(command) > 2  # noqa: PLR2004 - its name and one key


def _soon() -> float:
    return asyncio.get_running_loop().time() + LOOK_S


async def _paused(until: float) -> bool:
    """Wait a little; whether there was time to."""
    if asyncio.get_running_loop().time() + PAUSE_S >= until:
        return False
    await asyncio.sleep(PAUSE_S)
    return True
