"""The archiver: a task of `oferta consume` that moves accepted events from the streams to files.

What it has done is in the files alone (`oferta.events.archive`), so it may be killed at any point:
the next one reads how far the last file goes, and goes on there. It is one of any number of
processes by a lock on the archive; when it dies, another takes over.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from oferta.clock import Clock
from oferta.errors import ArchiveElsewhere, ArchiveUnreadable, RecordCorrupt, StoreUnavailable
from oferta.events.archive import (
    NOWHERE,
    SHARDS,
    Archived,
    Positions,
    append,
    appending,
    archive_id,
    clear_drafts,
    last_epoch,
    last_positions,
    rows_of,
)
from oferta.events.archive_rewrite import join_days
from oferta.events.event import START, Event, Position, decode_event
from oferta.store.events import Charge, Entry, Passed, Settled
from oferta.store.events_redis import Keeping

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

PAGE: Final = 500
"""Entries read of one shard at a time: every shard has its turn."""

FILE_EVENTS: Final = 10_000
"""Entries looked at for one file: memory is these, about 20 MB, whatever waits in the streams."""

TURN_S: Final = 1.0
"""How long another archiver's death goes unnoticed."""

RETRY_S: Final = 5.0
"""How long after a failure the next attempt: each reads again what waits."""

_T = TypeVar("_T")

log: "FilteringBoundLogger" = structlog.get_logger()


@dataclass(slots=True)
class Archiving:
    """How the archiver of this process is doing: for metrics and health.

    Attributes:
        state: `waiting` for the one that archives now, `archiving`, or `stopped` by `problem`.
        archived: events written by this process since its start.
        files: files written.
        last_at: epoch seconds of the last file; None: none yet.
    """

    state: str = "waiting"
    problem: str | None = None
    archived: int = 0
    files: int = 0
    last_at: float | None = None


@dataclass(slots=True)
class _Batch:
    """What one file will hold, and how far it will go."""

    positions: list[Position]
    events: list[Archived] = field(default_factory=list)
    seen: int = 0


class Archiver:
    """Archives the events of one tenant. `run` it once.

    Args:
        source: the streams.
        archive: the folder.
        clock: names the day of a file.
        flush_s: between two files.
        claim_s: how long the store keeps what became of an event.
        file_events: entries looked at for one file.
        on_step: told of every step as it ends.
        token: makes ids that nobody has made before, of an archive and of an epoch.
        take: archive here even if the events go elsewhere by now.
    """

    def __init__(
        self,
        source: Passed,
        archive: Path,
        *,
        clock: Clock,
        flush_s: float = 60.0,
        claim_s: float = Keeping().claim_s,
        file_events: int = FILE_EVENTS,
        on_step: Callable[[str], None] = lambda _: None,
        token: Callable[[], str] = lambda: secrets.token_hex(8),
        take: bool = False,
    ) -> None:
        self.status = Archiving()
        self._source = source
        self._archive = archive
        self._clock = clock
        self._flush_s = flush_s
        self._claim_s = claim_s
        self._file_events = file_events
        self._step = on_step
        self._token = token
        self._take = take
        self._positions: Positions = NOWHERE
        self._charge: Charge | None = None  # under which `_positions` count
        self._joined = ""

    async def run(self, stop: asyncio.Event) -> None:
        """Archive until `stop` is set; what was accepted until then is archived first.

        Neither a full disk nor a Redis that is away ends it: it waits, says so, and goes on.
        """
        while not stop.is_set():
            with self._lock() as held:
                if held:
                    await self._archive_until(stop)
                else:
                    await _sleep(stop, TURN_S)
        self.status.state = "waiting"

    @contextlib.contextmanager
    def _lock(self) -> Iterator[bool]:
        """Whether this process is the one that archives; for as long as it lives, or leaves."""
        with contextlib.ExitStack() as stack:
            try:
                self._archive.mkdir(parents=True, exist_ok=True)
                held = stack.enter_context(appending(self._archive))
                if held:
                    clear_drafts(self._archive)
            except OSError as error:
                self._stopped(error)
                held = False
            yield held

    async def _archive_until(self, stop: asyncio.Event) -> None:
        self._charge = None  # another may have archived meanwhile
        while True:
            last = stop.is_set()
            more = False
            try:
                more = await self.flush()
                if not last:
                    await self._join()
            except (OSError, ArchiveUnreadable, ArchiveElsewhere, StoreUnavailable) as error:
                self._stopped(error)
                if isinstance(error, ArchiveUnreadable | ArchiveElsewhere):
                    self._charge = None
            else:
                self._going()
            if last:
                return
            if not more:
                failed = self.status.problem is not None
                await self._rest(stop, min(self._flush_s, RETRY_S) if failed else self._flush_s)

    async def _rest(self, stop: asyncio.Event, seconds: float) -> None:
        """Wait; not where Redis came up empty: what comes in must stand after what is archived."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while not stop.is_set() and (left := until - loop.time()) > 0:
            await _sleep(stop, min(left, TURN_S))
            with contextlib.suppress(StoreUnavailable):
                if self._charge is not None and not await self._still_in_charge():
                    return

    async def flush(self) -> bool:
        """Write one file of what waits, and trim the streams; whether more waits already.

        Raises:
            OSError: the file could not be written; nothing has changed.
            ArchiveUnreadable: the last file is damaged.
            ArchiveElsewhere: another archive is in charge; nothing has changed.
            StoreUnavailable: no answer in time.
        """
        charge = await self._in_charge()
        batch = await self._gather()
        if not await self._still_in_charge():
            return True  # of which epoch the entries are, nobody knows
        if batch.events:
            self._step("gathered")
            await _in_thread(partial(self._write, batch, charge.epoch))
            self._step("written")
            self.status.archived += len(batch.events)
            self.status.files += 1
            self.status.last_at = self._clock.now().timestamp()
        # Entries that were passed over are not remembered: they would be passed over again.
        self._positions = tuple(batch.positions)
        if batch.seen:
            await self._trim()
            self._step("trimmed")
        return batch.seen >= self._file_events

    async def _gather(self) -> _Batch:
        """The next entries of all shards in turn, each shard up to its first open one."""
        batch = _Batch(list(self._positions))
        going = list(range(SHARDS))
        while going and batch.seen < self._file_events:
            for shard in list(going):
                count = min(PAGE, self._file_events - batch.seen)
                if count <= 0:
                    break
                if not await self._page(shard, batch, count):
                    going.remove(shard)
        return batch

    async def _page(self, shard: int, batch: _Batch, count: int) -> bool:
        """Take one page of a shard; whether it may have more that is not open."""
        entries = await self._source.entries(shard, after=batch.positions[shard], count=count)
        settled = await self._source.claims(shard, entries) if entries else []
        for entry, became in zip(entries, settled, strict=True):
            if became is Settled.PENDING:
                return False
            event = _event(entry) if self._counts(entry, became) else None
            if event is not None:
                batch.events.append(Archived(shard, entry.position, event))
            batch.positions[shard] = entry.position
            batch.seen += 1
        return len(entries) == count

    def _counts(self, entry: Entry, became: Settled) -> bool:
        """Whether this very entry belongs into the archive.

        Not one that repeats another, or that nobody could apply, or that waits for its product:
        replayed, it is a new entry. Of one whose claim is gone: only if it had expired, for a
        younger one was erased.
        """
        if became is Settled.FORGOTTEN:
            return entry.position.ms < (self._clock.now().timestamp() - self._claim_s) * 1000
        return became is Settled.APPLIED

    async def _in_charge(self) -> Charge:
        """See to it that the events go here and nowhere else, and know from where on."""
        named = await _in_thread(partial(archive_id, self._archive, new=self._token()))
        mine = Charge(named, self._token())
        if self._take:
            await self._source.hand_charge(mine)
            self._take = False
        charge = await self._source.claim_charge(mine)
        if charge.archive != named:
            raise ArchiveElsewhere(self._archive)
        if charge != self._charge:
            self._positions = await self._resumed(charge.epoch)
            self._charge = charge
            await self._trim()  # what the one before had written and not trimmed
        return charge

    async def _still_in_charge(self) -> bool:
        return await self._source.in_charge() == self._charge

    async def _resumed(self, epoch: str) -> Positions:
        """How far the archive goes in this epoch.

        Where Redis came up empty with a clock that is behind, entries stand where others were
        archived from: their shard is archived from its start. What comes from now on stands after
        all that was ever archived, so that a release that knows of these does not take it for one.
        """
        last = await _in_thread(partial(last_positions, self._archive))
        await self._source.pass_by(last)
        if await _in_thread(partial(last_epoch, self._archive)) == epoch:
            return last
        positions = list(last)
        for shard, position in enumerate(last):
            first = await self._source.entries(shard, after=START, count=1)
            if first and first[0].position <= position:
                positions[shard] = START
        return tuple(positions)

    def _write(self, batch: _Batch, epoch: str) -> None:
        append(
            self._archive,
            rows_of(batch.events),
            positions=tuple(batch.positions),
            day=self._today(),
            epoch=epoch,
        )

    async def _trim(self) -> None:
        if not await self._still_in_charge():
            return
        for shard, position in enumerate(self._positions):
            if position != NOWHERE[shard]:
                await self._source.trim(shard, upto=position)

    async def _join(self) -> None:
        """Once a day: the small files of the days before become one a day.

        Not while somebody reads them: what comes in does not wait for that.
        """
        today = self._today()
        if self._joined == today:
            return
        went = await _in_thread(partial(join_days, self._archive, before=today))
        if went is None:
            return
        self._joined = today
        if went:
            log.info("archive.joined", files=went)

    def _today(self) -> str:
        return self._clock.now().astimezone(UTC).strftime("%Y-%m-%d")

    def _stopped(self, error: Exception) -> None:
        said = str(error) or type(error).__name__
        if self.status.problem is None:
            log.error("archive.stopped", problem=said)
        self.status.state, self.status.problem = "stopped", said

    def _going(self) -> None:
        if self.status.problem is not None:
            log.info("archive.resumed")
        self.status.state, self.status.problem = "archiving", None


def _event(entry: Entry) -> Event | None:
    try:
        return decode_event(entry.data)
    except RecordCorrupt:
        return None  # nobody has applied it either


async def _sleep(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


async def _in_thread(work: Callable[[], _T]) -> _T:
    """`work` in a thread, to its end even if this task is cancelled: the lock is held so long."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise
