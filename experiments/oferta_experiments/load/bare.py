"""The anchor: handlers of FastAPI and Redis that do the one thing nobody can leave out."""

import os

import redis.asyncio
from fastapi import FastAPI, Request, Response

app = FastAPI(openapi_url=None)
_store = redis.asyncio.Redis.from_url(os.environ["OFERTA_LOAD_REDIS"])


@app.get("/bare/{key}")
async def read(key: str) -> Response:
    """The bytes stored under the key, as JSON: a list."""
    return Response(await _store.get(f"bare:{key}"), media_type="application/json")


@app.post("/bare/decisions")
async def decide(request: Request) -> Response:
    """The body read, a record of a decision's size written, and an answer's bytes read."""
    await request.body()
    await _store.set("bare:record", _RECORD)
    return Response(await _store.get("bare:decision"), media_type="application/json")


@app.post("/bare/events")
async def append(request: Request) -> Response:
    """The body appended to a stream."""
    await _store.xadd("bare:events", {"e": await request.body()}, maxlen=10_000, approximate=True)
    return Response(b'{"accepted":1}', media_type="application/json", status_code=202)


_RECORD = b"x" * 6000
