"""Bad requests: callers without a key.

The numbers are those of the project's list of faults.
"""

import hashlib
from pathlib import Path

from serving.conftest import RealRedis, make_app, serving
from serving.refusals import BATCH, MARK, RECOMMENDATIONS, refused
from serving.worlds import shop

from oferta_serving.apikeys import ApiKeys


def test_with_keys_every_route_under_v1_needs_one(redis_process: RealRedis, tmp_path: Path):
    """Fault 57, as far as keys go."""
    redis_process.publish(shop())
    app = make_app(
        redis_process, tmp_path, api_keys=ApiKeys([hashlib.sha256(b"right-key").digest()])
    )
    with serving(app) as client:
        refused(client.get(RECOMMENDATIONS), 401, "key.missing")
        wrong = client.get(RECOMMENDATIONS, headers={"X-API-Key": MARK})
        refused(wrong, 401, "key.invalid")
        both = [("X-API-Key", "right-key"), ("X-API-Key", "right-key")]
        refused(client.get(RECOMMENDATIONS, headers=both), 401, "key.invalid")
        refused(client.post(BATCH, json={"customer_ids": ["a"]}), 401, "key.missing")
        refused(client.get("/v1/no-such-route"), 401, "key.missing")
        refused(client.get(RECOMMENDATIONS + "?X-API-Key=right-key"), 401, "key.missing")
        right = client.get(RECOMMENDATIONS, headers={"X-API-Key": "right-key"})
        assert right.status_code == 200
        assert client.get("/health/ready").status_code == 200
