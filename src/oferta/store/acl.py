"""Redis users, each with the rights of one kind of process and no others.

    python -m oferta.store.acl        writes serving/redis/users.acl and users-6.2.acl

Redis 7 knows keys that may only be read; 6.2 does not, so there a user may write them with the
commands it has. No user may list keys, empty the store, change its settings or run its debugger.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

RELEASES: Final = ("pointer", "fence", "releases", "m:*", "h:*", "s:*", "r:*", "p:*", "o:*", "v:*")
"""Key families of releases (`keys`), as what follows the slot tag."""

DEEDS: Final = ("e", "w", "x", "i:*", "y:*")
"""Of events, on their way and applied."""

CUSTOMERS: Final = ("c:*", "d:*", "q:*", "k:*", "l", "g:*", "consents")
"""Of decisions and consents."""

COUNTS: Final = ("t:*", "u:*", "n:*", "b:*")
"""Of totals, keys of the API, and bundles."""

_PASSWORD: Final = "#SHA256-OF-THE-PASSWORD"  # noqa: S105 - what stands in the place of one
_HELLO: Final = "hello auth select ping asking cluster|slots evalsha eval wait"
_READ: Final = "get mget exists"


@dataclass(frozen=True, slots=True)
class User:
    """A user of Redis.

    Attributes:
        what: which processes are this user, for people.
        writes: the key families that it reads and writes.
        reads: those that it only reads.
        commands: what it may do, scripts' commands included, as Redis names them.
    """

    name: str
    what: str
    writes: tuple[str, ...]
    reads: tuple[str, ...]
    commands: str


USERS: Final = (
    User(
        "serve",
        "oferta serve",
        (*CUSTOMERS, *DEEDS, *COUNTS, "r:*", "p:*", "o:*"),
        RELEASES,
        f"{_HELLO} {_READ} set getrange unlink expire pexpire pttl time hset hmget hgetall zadd "
        "zrem zcount zrange zremrangebyscore pfadd pfcount xadd xlen xrange xdel xinfo|groups "
        "xpending xack xgroup|create xtrim info acl|whoami",
    ),
    User(
        "publish",
        "oferta publish, rollback, releases, nightly",
        RELEASES,
        (),
        f"{_HELLO} {_READ} set incr unlink hset hgetall hdel info",
    ),
    User(
        "events",
        "oferta consume, replay-dead",
        (*DEEDS, "archive"),
        (*RELEASES, "g:*"),  # who was forgotten, and who they were in a session
        f"{_HELLO} {_READ} set getrange pexpire pttl time xadd xlen xrange xdel xack xclaim "
        "xpending xreadgroup xgroup|create xinfo|groups xtrim",
    ),
    User(
        "privacy",
        "oferta erase, export-customer",
        (*CUSTOMERS, *DEEDS, *COUNTS, "r:*", "p:*", "o:*"),
        RELEASES,
        f"{_HELLO} {_READ} set getrange unlink pexpire pttl time hgetall hset zrange zrem xrange "
        "xdel xadd xlen xack xinfo|groups xpending",
    ),
)


def users_acl(*, read_only_keys: bool) -> str:
    """The file of users; `read_only_keys`: for Redis 7.0 and later."""
    return "\n".join(_lines(read_only_keys=read_only_keys)) + "\n"


def _lines(*, read_only_keys: bool) -> Iterator[str]:
    # Redis takes no comments here, and does not start before every password is a SHA-256.
    yield "user default off"
    yield f"user operator on {_PASSWORD} ~* &* +@all"
    for user in USERS:
        keys = [f"~{{*}}:{family}" for family in user.writes]
        read = [family for family in user.reads if family not in user.writes]
        keys += [f"{'%R' if read_only_keys else ''}~{{*}}:{family}" for family in read]
        rights = " ".join(f"+{command}" for command in user.commands.split())
        yield f"user {user.name} on {_PASSWORD} resetchannels {' '.join(keys)} -@all {rights}"


def main() -> None:
    """Write both files."""
    folder = Path("serving/redis")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "users.acl").write_text(users_acl(read_only_keys=True), encoding="utf-8")
    (folder / "users-6.2.acl").write_text(users_acl(read_only_keys=False), encoding="utf-8")


if __name__ == "__main__":
    main()
