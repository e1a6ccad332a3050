"""Commands to Redis for publishers: blocking and patient, to one server or to a cluster.

A command is sent again only where it was refused because its slot lies elsewhere, or nowhere for a
moment, and so was not executed. That may take the whole patience: a replica needs a while until it
is promoted. One thread at a time.
"""

import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis import Connection, ConnectionPool
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import NoScriptError, RedisError, ResponseError
from redis.retry import Retry

from oferta.errors import StoreUnavailable
from oferta.store import slots
from oferta.store.address import FilePassword, read_address
from oferta.store.node import Command, packed, unavailable
from oferta.store.slots import ASKING, SLOTS_OF_NODES, Where
from oferta.store.wire import Call, Script

PAUSE_S: Final = 0.05
_ALONE: Final = Where("", 0)
"""Where one server is that is no cluster."""


@dataclass(slots=True)
class Parcel:
    """A command on its way.

    Attributes:
        at: its place among the replies.
        slot: of its key; None: it has none, or there is one server only.
        sent: as it is sent.
        to: where a redirection sends it.
        asking: whether that node does not own its slot yet.
    """

    at: int
    slot: int | None
    sent: bytes
    to: Where | None = None
    asking: bool = False


class BlockingWire:
    """Connections to one Redis or one cluster, one to each server."""

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self._address = read_address(url)
        self._timeout_s = timeout_s
        self._servers: dict[Where, _Server] = {}
        self._ranges: list[slots.Range] = []
        self._flights: deque[dict[_Server, list[Parcel]]] = deque()

    def ask(self, commands: Sequence[Command]) -> list[Any]:
        """The replies, errors of single commands among them. Nothing may be posted.

        Raises:
            StoreUnavailable: the store went away. Any of the commands may have run or not.
        """
        cluster = self._address.cluster
        parcels = [
            Parcel(at, slots.slot_of(command) if cluster else None, packed(command))
            for at, command in enumerate(commands)
        ]
        replies: list[object] = [None] * len(commands)
        for parcel, reply in self._settled(parcels):
            replies[parcel.at] = reply
        return replies

    def one(self, *command: bytes) -> Any:  # noqa: ANN401 - a command answers what it likes
        """The reply to one command.

        Raises:
            StoreUnavailable: the store went away, or refused.
        """
        (reply,) = self.ask([command])
        return checked(reply)

    def run(self, script: Script, call: Call) -> Any:  # noqa: ANN401 - likewise
        """The answer to a script.

        Raises:
            StoreUnavailable: the store went away, or refused.
        """
        (reply,) = self.ask([script.called(call)])
        if isinstance(reply, NoScriptError):  # nothing has run yet, so this is no repetition
            (reply,) = self.ask([script.called(call, whole=True)])
        return checked(reply)

    def spread(self, name: bytes, keys: Sequence[bytes]) -> list[tuple[Sequence[bytes], Any]]:
        """The replies to a command of many keys, each with the keys that it is of.

        Raises:
            StoreUnavailable: the store went away, or refused.
        """
        groups = slots.by_slot(keys) if self._address.cluster else [keys]
        replies = self.ask([(name, *group) for group in groups])
        return list(zip(groups, map(checked, replies), strict=True))

    def everywhere(self, *command: bytes) -> list[Any]:
        """The reply of each server that serves keys.

        Raises:
            StoreUnavailable: one of them went away, or refused.
        """
        wheres = [_ALONE]
        if self._address.cluster:
            self._ranges = self._map()
            wheres = list(dict.fromkeys(each.where for each in self._ranges))
        parcels = [Parcel(at, None, packed(command), to=to) for at, to in enumerate(wheres)]
        return [checked(reply) for _, reply in self._settled(parcels)]

    def post(self, batch: Iterable[tuple[bytes, bytes]]) -> list[object]:
        """Send commands, packed already, each with its key; the replies to an earlier batch.

        Two batches are under way at most: one is packed while Redis takes the other.

        Raises:
            StoreUnavailable: the store went away.
        """
        cluster = self._address.cluster
        parcels = [Parcel(0, key_slot(key) if cluster else None, sent) for key, sent in batch]
        self._flights.append(self._sent(parcels))
        return self._landed() if len(self._flights) > 1 else []

    def posted(self) -> list[object]:
        """The replies to all that is under way.

        Raises:
            StoreUnavailable: the store went away.
        """
        replies: list[object] = []
        while self._flights:
            replies += self._landed()
        return replies

    def drop(self) -> None:
        """Forget what is under way; nobody else may read its replies."""
        self._flights.clear()
        for server in self._servers.values():
            server.drop()

    def close(self) -> None:
        """Close all connections."""
        self.drop()
        for server in self._servers.values():
            server.close()
        self._servers.clear()

    def _landed(self) -> list[object]:
        """The replies to the batch that was posted first."""
        replies: list[object] = []
        refused: list[Parcel] = []
        for parcel, server, reply in self._received(self._flights.popleft()):
            if self._goes_on(parcel, server, reply):
                refused.append(parcel)
            else:
                replies.append(reply)
        if refused:
            # Only when nothing else is under way are the next replies those of what is asked next.
            replies += self.posted()
            replies += [reply for _, reply in self._settled(refused)]
        return replies

    def _settled(self, parcels: Sequence[Parcel]) -> list[tuple[Parcel, object]]:
        """Each parcel with its reply, however often it is redirected."""
        until = time.monotonic() + self._timeout_s
        done: list[tuple[Parcel, object]] = []
        turn, turns = parcels, 0
        while turn:
            again: list[Parcel] = []
            for parcel, server, reply in self._received(self._sent(turn)):
                if not self._goes_on(parcel, server, reply):
                    done.append((parcel, reply))
                elif time.monotonic() + PAUSE_S >= until:
                    raise StoreUnavailable(f"the cluster serves these keys nowhere: {reply}")
                else:
                    again.append(parcel)
            turn, turns = again, turns + 1
            if turn and turns > 1:
                time.sleep(PAUSE_S)
        return done

    def _goes_on(self, parcel: Parcel, server: "_Server", reply: object) -> bool:
        """Whether the parcel was not executed, and must be sent to where it then belongs."""
        if not self._address.cluster:
            return False
        told = slots.redirect(reply, asked=server.where)
        if told is None and not slots.is_down(reply):
            return False
        parcel.to, parcel.asking = (None, False) if told is None else (told.where, told.asking)
        if told is None or told.moved:
            self._ranges = []  # read anew by who needs it next
        return True

    def _sent(self, parcels: Iterable[Parcel]) -> dict["_Server", list[Parcel]]:
        parts: dict[_Server, list[Parcel]] = {}
        for parcel in parcels:
            parts.setdefault(self._server(self._where(parcel)), []).append(parcel)
        try:
            for server, part in parts.items():
                server.send([_ASKING + one.sent if one.asking else one.sent for one in part])
        except BaseException:
            self.drop()
            raise
        return parts

    def _received(
        self, flight: dict["_Server", list[Parcel]]
    ) -> list[tuple[Parcel, "_Server", object]]:
        received: list[tuple[Parcel, _Server, object]] = []
        try:
            for server, part in flight.items():
                for parcel in part:
                    if parcel.asking:
                        server.read()
                    received.append((parcel, server, server.read()))
                server.landed()
        except BaseException:
            self.drop()
            raise
        return received

    def _where(self, parcel: Parcel) -> Where:
        if parcel.to is not None:
            return parcel.to
        if not self._address.cluster:
            return _ALONE
        if not self._ranges:
            self._ranges = self._map()
        for each in self._ranges:
            if parcel.slot is None or each.first <= parcel.slot <= each.last:
                return each.where
        raise StoreUnavailable(f"no node of the cluster serves slot {parcel.slot}")

    def _server(self, where: Where) -> "_Server":
        server = self._servers.get(where)
        if server is None:
            address = self._address
            url = address.url if where == _ALONE else address.of_node(where)
            server = _Server(where, url, address.credentials, timeout_s=self._timeout_s)
            self._servers[where] = server
        return server

    def _map(self) -> list[slots.Range]:
        """Which node serves what, as the first says that can be reached."""
        failure: Exception | None = None
        for where in dict.fromkeys([*self._servers, *self._address.seeds]):
            server = _Server(
                where, self._address.of_node(where), self._address.credentials, timeout_s=_MAP_S
            )
            try:
                server.send([packed(SLOTS_OF_NODES)])
                return slots.read_slots(server.read(), asked=where)
            except (StoreUnavailable, ValueError) as error:
                failure = error
            finally:
                server.close()
        raise StoreUnavailable(f"no node of the cluster told who serves what: {failure}")


_ASKING: Final = packed(ASKING)
_MAP_S: Final = 2.0


class _Server:
    """One server's connection, held while replies are outstanding."""

    def __init__(
        self, where: Where, url: str, credentials: FilePassword | None, *, timeout_s: float
    ) -> None:
        self.where = where
        self._pool = ConnectionPool.from_url(
            url,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            credential_provider=credentials,
            retry=Retry(NoBackoff(), 0),
        )
        self._connection: Connection | None = None
        self._flights = 0

    def send(self, commands: Sequence[bytes]) -> None:
        try:
            if self._connection is None:
                self._connection = self._pool.get_connection()
            self._flights += 1
            self._connection.send_packed_command([b"".join(commands)])  # type: ignore[no-untyped-call]  # redis-py has no types here
        except (RedisError, OSError) as error:
            raise unavailable(error) from error

    def read(self) -> object:
        if self._connection is None:
            raise StoreUnavailable("Redis did not answer: the connection was cut")
        try:
            return self._connection.read_response(disable_decoding=True)
        except ResponseError as refused:
            return refused
        except (RedisError, OSError) as error:
            raise unavailable(error) from error

    def landed(self) -> None:
        """All replies to what was sent at once were read."""
        self._flights -= 1
        if self._connection is not None and not self._flights:
            self._pool.release(self._connection)
            self._connection = None

    def drop(self) -> None:
        """Close the connection where replies are outstanding: nobody else may read them."""
        if self._connection is not None:
            self._connection.disconnect()  # type: ignore[no-untyped-call]  # redis-py has no types here
            self._pool.release(self._connection)
            self._connection, self._flights = None, 0

    def close(self) -> None:
        self.drop()
        self._pool.close()


def checked(reply: Any) -> Any:  # noqa: ANN401 - a command answers what it likes
    """The reply, where it is none of Redis's errors.

    Raises:
        StoreUnavailable: it is.
    """
    if isinstance(reply, RedisError):
        raise unavailable(reply) from reply
    return reply
