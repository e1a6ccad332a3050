"""How many files and sockets this process may have open: raised as far as it may be, told if few.

Without any left no connection is accepted: callers wait in the kernel's queue until others close.
"""

import resource
from typing import Final

import structlog

CLIENTS: Final = 256
"""Connections of callers that there should be room for."""

WIRES: Final = 4
"""Pools of connections to Redis: lists, decisions, events, rates."""

log = structlog.get_logger()


def allow(connections: int) -> None:
    """Raise the limit to what the system allows; say so where that is little.

    Args:
        connections: of one pool to Redis.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    wanted = WIRES * connections + CLIENTS
    if hard != resource.RLIM_INFINITY and hard < wanted:
        log.warning(
            "open_files.few",
            limit=hard,
            wanted=wanted,
            remedy="Raise it (ulimit -n, LimitNOFILE=): callers will have to wait to be accepted.",
        )
