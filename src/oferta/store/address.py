"""The address of Redis, as it is written: one server, or a cluster; where its password lies.

    redis://localhost:6379/0
    unix:///run/redis.sock
    rediss://serve@redis.example:6380/0?password_file=/run/secrets/redis
    redis://node1:7000,node2:7000,node3:7000/?cluster=true

All that redis-py understands works, and two words besides: `cluster=true`, and `password_file`,
which is read for every new connection, so that a password may change while we run.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

from redis.connection import parse_url
from redis.credentials import CredentialProvider

from oferta.store.slots import Where

PORT: Final = 6379
_TRUTH: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


class FilePassword(CredentialProvider):
    """A password that lies in a file, read anew for every connection."""

    def __init__(self, path: Path, user: str | None) -> None:
        self._path = path
        self._user = user

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """User and password, or the password alone.

        Raises:
            OSError: the file cannot be read.
        """
        password = self._path.read_text(encoding="utf-8").strip()
        return (password,) if self._user is None else (self._user, password)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        """See `get_credentials`. The file is a line long: not worth a thread."""
        return self.get_credentials()


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """One Redis, or a cluster. Has no readable form: it may hold a password.

    Attributes:
        url: for redis-py, of the one server, or of the cluster's first.
        cluster: whether it is a cluster.
        seeds: where a cluster's nodes are asked for; empty where it is none.
        credentials: user and password, where they are read from a file.
    """

    url: str
    cluster: bool
    seeds: tuple[Where, ...]
    credentials: FilePassword | None

    def __repr__(self) -> str:
        return f"Address(cluster={self.cluster})"

    def of_node(self, where: Where) -> str:
        """The address of one node of the cluster, with all else that was given."""
        parts = urlsplit(self.url)
        user, at, _ = parts.netloc.rpartition("@")
        host = f"[{where.host}]" if ":" in where.host else where.host
        return _joined(parts, f"{user}{at}{host}:{where.port}", parts.query)


def read_address(url: str) -> Address:
    """What a written address says.

    Raises:
        ValueError: it says nothing that we understand. Repeats nothing of it.
    """
    parts = urlsplit(url)
    words = dict(parse_qsl(parts.query, keep_blank_values=True))
    cluster = _truth(words.pop("cluster", "false"))
    file = words.pop("password_file", None)
    user, at, hosts = parts.netloc.rpartition("@")
    credentials = None
    if file is not None:
        name, colon, _ = user.partition(":")
        if colon:
            raise ValueError("a password and a password_file are given: one is enough")
        credentials = FilePassword(Path(file), unquote(name) or None)
        user = at = ""
    listed = hosts.split(",")
    if len(listed) > 1 and not cluster:
        raise ValueError("several hosts are a cluster's: add ?cluster=true")
    seeds = tuple(map(_where, listed)) if cluster else ()
    plain = _joined(parts, f"{user}{at}{listed[0]}", urlencode(words))
    options = parse_url(plain)  # type: ignore[no-untyped-call]  # redis-py has no types here
    if cluster and ("path" in options or options.get("db", 0) != 0):
        raise ValueError("a cluster has hosts, no socket, and no database but 0")
    return Address(plain, cluster, seeds, credentials)


def _truth(word: str) -> bool:
    if word.lower() not in _TRUTH:
        raise ValueError("cluster is true or false")
    return _TRUTH[word.lower()]


def _where(text: str) -> Where:
    try:
        parts = urlsplit(f"//{text}")
        port = parts.port
    except ValueError:
        raise ValueError("a host's port is no number") from None
    if not parts.hostname:
        raise ValueError("a host is missing")
    return Where(parts.hostname, port or PORT)


def _joined(parts: SplitResult, hosts: str, query: str) -> str:
    # Not urlunsplit, which drops the slashes of a socket's address.
    return f"{parts.scheme}://{hosts}{parts.path}" + (f"?{query}" if query else "")
