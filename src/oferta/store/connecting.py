"""From settings to a store: the Redis that was named, else the embedded one."""

import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from redis.asyncio import BlockingConnectionPool

from oferta.errors import SettingsInvalid
from oferta.home import owner_of
from oferta.store.address import read_address
from oferta.store.keys import KeySpace
from oferta.store.local import LocalServer
from oferta.store.redis import RedisReader, RedisWriter
from oferta.store.tenants import space_of

URL_VARIABLE = "OFERTA_REDIS_URL"

_EXAMPLES = (
    "redis://localhost:6379/0, unix:///run/redis.sock or "
    "redis://node1:6379,node2:6379/?cluster=true"
)


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Which store. `redis_url` None: the embedded server under `home`, a tenant's or their own."""

    home: Path
    redis_url: str | None = None

    @classmethod
    def from_environment(cls, home: Path) -> "StoreSettings":
        """The store of OFERTA_REDIS_URL, else the embedded one under `home`."""
        return cls(home, os.environ.get(URL_VARIABLE) or None)


@dataclass(frozen=True, slots=True)
class Store:
    """A connected store. Nothing is sent before it is used; close it, or use it as a context."""

    reader: RedisReader
    writer: RedisWriter
    space: KeySpace
    url: str
    server: LocalServer | None

    def close(self) -> None:
        """Leave the store. The reader, where it was used, is closed first, by its own loop."""
        self.writer.close()
        if self.server is not None:
            self.server.leave()

    async def aclose(self) -> None:
        """Close the reader too, from the loop that used it, then leave."""
        await self.reader.close()
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def connect(settings: StoreSettings) -> Store:
    """The store of these settings; starts the embedded server where no other is named.

    A named server need not be there: a reader comes up without it and heals when it returns.

    Raises:
        SettingsInvalid: the address is none that Redis understands, or the key secret is too short.
        StoreUnavailable: the embedded server cannot be started.
    """
    space = space_of(settings.home)
    server = None
    url = settings.redis_url
    if url is None:
        server = LocalServer.join(owner_of(settings.home).top)
        url = server.url
    else:
        _check_url(url)
    return Store(RedisReader(url, space), RedisWriter(url, space), space, url, server)


def _check_url(url: str) -> None:
    try:
        address = read_address(url)
        # Words that redis-py does not know come to light where it makes something of them.
        BlockingConnectionPool.from_url(address.url).make_connection()  # type: ignore[no-untyped-call]  # redis-py has no types here
    except ValueError as error:
        # Never the address itself: it may carry a password.
        raise SettingsInvalid(URL_VARIABLE, [f"{error}; for example {_EXAMPLES}"]) from None
    except TypeError as error:
        word = str(error).rpartition(" ")[2]
        raise SettingsInvalid(URL_VARIABLE, [f"no connection takes the word {word}"]) from None
    if address.credentials is not None:
        try:
            address.credentials.get_credentials()
        except (OSError, UnicodeDecodeError) as error:
            problem = f"the password_file cannot be read: {type(error).__name__}"
            raise SettingsInvalid(URL_VARIABLE, [problem]) from None
