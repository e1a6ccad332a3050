"""What a Redis says of itself: version, memory, persistence, clock. Nothing is changed."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from oferta.clock import Clock, SystemClock
from oferta.errors import StoreUnavailable
from oferta.store.address import FilePassword, read_address

_TIMEOUT_S = 2.0
_MACHINE = SystemClock()
_SETTINGS = (
    "maxmemory",
    "maxmemory-policy",
    "appendonly",
    "appendfsync",
    "save",
    "protected-mode",
    "cluster-require-full-coverage",
    "min-replicas-to-write",
)


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """One Redis server.

    Attributes:
        info: what INFO says, by name.
        settings: what CONFIG GET says; empty where the user may not ask.
        round_trip_s: the median of some pings.
        clock_ahead_s: its clock minus ours, the way there and back taken as equal.
        user: the user that we are; None where the server does not tell.
        open_to_all: whether anybody may do anything without a password; None: not told.
    """

    info: Mapping[str, object]
    settings: Mapping[str, str] = field(default_factory=dict)
    round_trip_s: float = 0.0
    clock_ahead_s: float = 0.0
    user: str | None = None
    open_to_all: bool | None = None

    def text(self, name: str) -> str:
        """A word of INFO; empty where it is not told."""
        return str(self.info.get(name, ""))

    def count(self, name: str) -> int:
        """A number of INFO; 0 where it is not told."""
        try:
            return int(float(str(self.info.get(name, 0))))
        except ValueError:
            return 0


def server_facts(url: str, *, clock: Clock = _MACHINE) -> ServerFacts:
    """Ask the server at `url`; of a cluster, the first node of the address that answers.

    `clock` is what its clock is compared with.

    Raises:
        StoreUnavailable: it does not answer, or refuses us. Names no address: it may hold a
            password.
    """
    address = read_address(url)
    urls = [address.of_node(where) for where in address.seeds] or [address.url]
    for at, each in enumerate(urls, 1):
        try:
            return _facts(each, address.credentials, clock)
        except StoreUnavailable:
            if at == len(urls):
                raise
    raise AssertionError  # there is one at least


def _facts(url: str, credentials: FilePassword | None, clock: Clock) -> ServerFacts:
    client = Redis.from_url(
        url,
        credential_provider=credentials,
        socket_timeout=_TIMEOUT_S,
        socket_connect_timeout=_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        trips = sorted(_ping_s(client) for _ in range(5))
        before = clock.now().timestamp()
        seconds, microseconds = client.time()
        after = clock.now().timestamp()
        ahead = seconds + microseconds / 1e6 - (before + after) / 2
        return ServerFacts(
            info=dict(client.info("all")),
            settings=_settings(client),
            round_trip_s=trips[len(trips) // 2],
            clock_ahead_s=ahead,
            user=_user(client),
            open_to_all=_open_to_all(client),
        )
    except (RedisError, OSError) as error:
        raise StoreUnavailable(f"Redis did not answer: {type(error).__name__}") from None
    finally:
        client.close()


def _ping_s(client: Redis) -> float:
    started = time.perf_counter()
    client.ping()
    return time.perf_counter() - started


def _settings(client: Redis) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in _SETTINGS:
        try:
            told: Mapping[str, str] = client.config_get(name)  # type: ignore[assignment]  # likewise
        except RedisError:
            return {}  # CONFIG is denied to a user who only serves, as it should be
        found.update({str(key): str(value) for key, value in told.items()})
    return found


def _user(client: Redis) -> str | None:
    try:
        return str(client.execute_command("ACL", "WHOAMI").decode())  # type: ignore[no-untyped-call]
    except (RedisError, AttributeError):
        return None


def _open_to_all(client: Redis) -> bool | None:
    try:
        rules: Mapping[str, object] = client.acl_getuser("default")  # type: ignore[assignment]
    except RedisError:
        return None
    flags = rules.get("flags", ())
    listed = [str(flag) for flag in flags] if isinstance(flags, list) else []
    return "nopass" in listed and "on" in listed
