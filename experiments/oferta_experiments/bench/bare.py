"""The anchor of the HTTP rows: a FastAPI handler that reads one key and returns its bytes."""

import os

import redis.asyncio
from fastapi import FastAPI, Response

app = FastAPI(openapi_url=None)
_store = redis.asyncio.Redis.from_url(os.environ["OFERTA_BENCH_REDIS"])


@app.get("/bare/{customer_id}")
async def bare(customer_id: str) -> Response:
    """The bytes stored for the customer, as JSON."""
    return Response(await _store.get(f"bare:{customer_id}"), media_type="application/json")
