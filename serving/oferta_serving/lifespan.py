"""What starts with a tenant's application and what stops with it, in which order."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    nullcontext,
)

from fastapi import FastAPI

from oferta_serving.ports import TenantPorts
from oferta_serving.services import Services

FIRST_READ_S = 2.0
"""How long a start waits for the live release before it serves what it has."""


def lifespan_of(
    services: Services, ports: TenantPorts, *, others: Sequence[FastAPI]
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """What the application of these services lives by, and the `others` within it."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await _first_read(services)
        following = _followers(services)
        try:
            async with AsyncExitStack() as stack:
                for other in others:
                    await stack.enter_async_context(other.router.lifespan_context(other))
                await stack.enter_async_context(_deciding(services))
                yield
        finally:
            for task in following:
                task.cancel()
            await asyncio.wait(following)
            await _close(services, ports)

    return lifespan


async def _first_read(services: Services) -> None:
    await services.releases.restore()
    try:
        async with asyncio.timeout(FIRST_READ_S):
            await asyncio.gather(services.releases.refresh(), services.consent.look())
    except TimeoutError:
        pass  # it goes on in the background


def _followers(services: Services) -> set[asyncio.Task[None]]:
    following = {
        asyncio.create_task(services.releases.follow()),
        asyncio.create_task(services.consent.follow()),
        asyncio.create_task(services.turnstile.watch()),
    }
    if services.watch is not None:
        following.add(asyncio.create_task(services.watch.follow()))
    return following


def _deciding(services: Services) -> AbstractAsyncContextManager[None]:
    return nullcontext() if services.deciding is None else services.deciding.following()


async def _close(services: Services, ports: TenantPorts) -> None:
    await services.releases.close()
    await services.consent.close()
    if services.erasing is not None:
        await services.erasing.close()
    if ports.events is not None:
        await ports.events.close()
    if ports.on_stop is not None:
        await ports.on_stop()
