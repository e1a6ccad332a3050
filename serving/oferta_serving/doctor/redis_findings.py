"""What is wrong with a Redis, by what it says of itself. Pure."""

import re
from collections.abc import Iterator
from typing import Final

from oferta.store.server_facts import ServerFacts
from oferta_serving.doctor.finding import Finding, advice, ok, unknown, wrong

MIN_VERSION: Final = (6, 2)
"""The scripts and commands need no newer one."""

MENDED: Final = {(6, 2): 20, (7, 2): 11, (7, 4): 6, (8, 0): 4, (8, 2): 2}
"""Of each line the first release without CVE-2025-49844 (a script may run code in the server)."""

SKEW_S: Final = 1.0
SLOW_S: Final = 0.01
FULL: Final = 0.8
"""Of `maxmemory`: a release is written beside the live one, so a fifth is little enough."""


def redis_findings(facts: ServerFacts, *, local: bool) -> Iterator[Finding]:
    """What one server is like; `local`: it is reached by a socket of this machine."""
    yield _version(facts)
    yield _policy(facts)
    yield _memory(facts)
    yield from _persistence(facts)
    yield _clock(facts)
    yield _speed(facts)
    yield _access(facts, local=local)
    if facts.count("connected_slaves") or facts.text("role") == "slave":
        yield _replicas(facts)
    if facts.count("cluster_enabled"):
        yield _coverage(facts)


def _version(facts: ServerFacts) -> Finding:
    said = facts.text("redis_version")
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", said)
    if found is None:
        return unknown("redis", "version", "The server does not tell its version.")
    major, minor, patch = (int(part) for part in found.groups())
    if (major, minor) < MIN_VERSION:
        return wrong("redis", "version", f"Redis {said}.", "oferta needs Redis 6.2 or later.")
    mended = MENDED.get((major, minor))
    old = patch < mended if mended is not None else (major, minor) < max(MENDED)
    if old:
        return advice(
            "redis",
            "version",
            f"Redis {said} is older than the releases that mend CVE-2025-49844.",
            "Distributions mend it under old numbers: see that the package has its last security "
            "update, or install a newer Redis.",
        )
    return ok("redis", "version", f"Redis {said}.")


def _policy(facts: ServerFacts) -> Finding:
    policy = facts.text("maxmemory_policy")
    if not policy:
        return unknown("redis", "eviction", "The server does not tell its eviction policy.")
    if policy != "noeviction":
        return wrong(
            "redis",
            "eviction",
            f"maxmemory-policy is {policy}: lists, consents and caps may vanish without an error.",
            "Set `maxmemory-policy noeviction` in redis.conf and by CONFIG SET.",
        )
    return ok("redis", "eviction", "maxmemory-policy is noeviction.")


def _memory(facts: ServerFacts) -> Finding:
    used, limit = facts.count("used_memory"), facts.count("maxmemory")
    if not limit:
        return advice(
            "redis",
            "memory",
            f"{_size(used)} used, no limit: a full machine would kill Redis.",
            "Set `maxmemory` to what the machine can spare: three releases and the events.",
        )
    said = f"{_size(used)} of {_size(limit)} used."
    if used > FULL * limit:
        return wrong("redis", "memory", said, "Raise `maxmemory`: the next release may not fit.")
    return ok("redis", "memory", said)


def _persistence(facts: ServerFacts) -> Iterator[Finding]:
    if facts.text("aof_enabled") != "1":
        yield advice(
            "redis",
            "persistence",
            "The append-only file is off: a restart forgets events and caps since the snapshot.",
            "Set `appendonly yes` and `appendfsync everysec`.",
        )
    elif facts.text("aof_last_write_status") not in {"", "ok"}:
        yield wrong(
            "redis",
            "persistence",
            "The append-only file cannot be written: writes are refused.",
            "See the disk that Redis writes to: it is full, or failing.",
        )
    else:
        yield ok("redis", "persistence", "The append-only file is on.")
    if facts.text("rdb_last_bgsave_status") == "err":
        yield wrong(
            "redis",
            "snapshot",
            "The last snapshot failed.",
            "See the disk and the memory of the machine of Redis (vm.overcommit_memory = 1).",
        )


def _clock(facts: ServerFacts) -> Finding:
    ahead = facts.clock_ahead_s
    if abs(ahead) > SKEW_S:
        return wrong(
            "redis",
            "clock",
            f"Its clock is {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} ours.",
            "Let both machines set their clocks by NTP.",
        )
    return ok("redis", "clock", f"Its clock and ours differ by {abs(ahead) * 1000:.0f} ms.")


def _speed(facts: ServerFacts) -> Finding:
    said = f"A round trip takes {facts.round_trip_s * 1000:.1f} ms."
    if facts.round_trip_s > SLOW_S:
        return advice(
            "redis",
            "distance",
            said,
            "An answer has 60 ms for Redis: put it nearer, or see what keeps it busy (SLOWLOG).",
        )
    return ok("redis", "distance", said)


def _access(facts: ServerFacts, *, local: bool) -> Finding:
    if local:
        return ok("redis", "access", "Reached by a socket, which its folder's rights guard.")
    if facts.open_to_all is None:
        said = "the default user" if facts.user in {None, "default"} else f"user {facts.user}"
        return ok("redis", "access", f"We are {said}, who may not look at users.")
    if facts.open_to_all:
        return advice(
            "redis",
            "access",
            "The default user needs no password and may do everything.",
            "On a network, give oferta users of its own: docs/redis.md has their rules.",
        )
    return ok("redis", "access", "The default user is closed or needs a password.")


def _replicas(facts: ServerFacts) -> Finding:
    if facts.text("role") == "slave":
        return wrong(
            "redis",
            "role",
            "This server is a replica: nothing can be written.",
            "Point OFERTA_REDIS_URL at the primary.",
        )
    return ok("redis", "replicas", f"{facts.count('connected_slaves')} connected.")


def _coverage(facts: ServerFacts) -> Finding:
    told = facts.settings.get("cluster-require-full-coverage")
    if told is None:
        return unknown("redis", "coverage", "We may not ask for the cluster's settings.")
    if told != "no":
        return wrong(
            "redis",
            "coverage",
            "cluster-require-full-coverage is on: one lost primary stops all others.",
            "Set `cluster-require-full-coverage no` on every node.",
        )
    return ok("redis", "coverage", "One lost primary does not stop the others.")


def _size(count: int) -> str:
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:  # noqa: PLR2004 - the step from one unit to the next
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
