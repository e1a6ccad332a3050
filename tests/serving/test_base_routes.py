"""Audiences and triggers over HTTP: whoever is listed may really be asked."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from serving.conftest import RealRedis, make_app, serving
from serving.decision_worlds import (
    CUSTOMERS,
    TODAY,
    consenting,
    publish_seller,
    write_base,
    write_rules,
)
from serving.decisions import FEEDBACK, ask, made
from serving.refusals import refused

from oferta.store.redis import RedisWriter
from oferta_serving.base.fired import fired_triggers
from oferta_serving.deciding import schemas
from oferta_serving.deciding.totals import MAX_AGE_S

EVERYBODY = {
    **CUSTOMERS,
    **{f"w{day}": consenting(warranty_end=TODAY + day) for day in range(0, 100, 9)},
    **{f"n{number}": consenting(consent_email=False) for number in range(7)},
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def desk(
    redis_process: RealRedis, home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """The small seller with the scores of everybody."""
    folder = tmp_path_factory.mktemp("seller")
    writer = RedisWriter(redis_process.url, redis_process.space)
    publish_seller(writer, redis_process.space, EVERYBODY)
    writer.close()
    settings = {**write_rules(folder).settings, "base": str(write_base(folder / "s", EVERYBODY))}
    with serving(make_app(redis_process, home, decisions=settings)) as client:
        yield client


@pytest.fixture(autouse=True)
def clean(nobody_spoken_to: None) -> None:
    del nobody_spoken_to


def audience(desk: httpx.Client, offer: str, **query: object) -> dict:
    answer = desk.get(f"/v1/offers/{offer}/audience", params=query)  # type: ignore[arg-type] # plain
    assert answer.status_code == 200, answer.text
    schemas.AudienceAnswer.model_validate_json(answer.content, strict=True)
    return answer.json()


def due(desk: httpx.Client, **query: object) -> dict:
    answer = desk.get("/v1/triggers", params=query)  # type: ignore[arg-type] # plain
    assert answer.status_code == 200, answer.text
    schemas.TriggersAnswer.model_validate_json(answer.content, strict=True)
    return answer.json()


def names(answer: dict) -> list[str]:
    return [member["customer_id"] for member in answer["members"]]


def test_every_member_asked_again_as_a_dry_run_gets_the_offer(desk: httpx.Client):
    found = audience(desk, "warranty", channel="email")

    # Neither who did not agree, nor the vulnerable, those in arrears, those without a car.
    assert set(names(found)) == {"anna", *(name for name in EVERYBODY if name[0] == "w")}
    assert [member["rank"] for member in found["members"]] == list(range(1, 13 + 1))
    for name in names(found):
        answer = ask(desk, name, channel="email", placements=[], offers=["warranty"], dry_run=True)
        assert made(answer) == ["warranty"]


def test_limits_caps_and_declines_are_counted(desk: httpx.Client):
    """Five places for the charger, one of them taken."""
    answer = ask(desk, "w9", offers=["charger"])
    row = {"decision_id": answer["decision_id"], "offer_id": "charger"}
    desk.post(FEEDBACK, json={**row, "type": "impression"})
    desk.post(FEEDBACK, json={**row, "type": "decline"})
    time.sleep(MAX_AGE_S)  # a process remembers counts for so long
    found = audience(desk, "charger")

    assert len(found["members"]) == 4
    assert "w9" not in names(found)
    codes = {one["code"] for one in found["refused"]}
    assert {"cap.total", "silence.decline"} <= codes
    first = audience(desk, "roadside", limit=3)
    assert (len(first["members"]), first["more"]) == (3, True)


def test_triggers_are_due_once_with_the_offer_to_make(desk: httpx.Client, home: Path):
    found = due(desk)

    days = [0, 9, 18, 27, 36, 45, 54]
    assert [one["customer_id"] for one in found["triggers"]] == [f"w{day}" for day in days]
    first = found["triggers"][0]
    assert (first["due"], first["once_per"]) == ("2026-12-16", "2027-01-15")
    assert (first["offer_id"], first["trigger"]) == ("warranty", "warranty-ends")
    assert first["text"]["zh"] == "质保将在60天内到期。"
    assert due(desk)["triggers"] == found["triggers"]  # looking does not take

    by_mail = due(desk, channel="email")["triggers"]
    assert {one["channel"] for one in by_mail} == {"email"}
    assert [one["trigger_id"] for one in by_mail] == [
        one["trigger_id"] for one in found["triggers"]
    ]

    before = due(desk, due_before="2027-01-01", limit=2)
    assert [one["customer_id"] for one in before["triggers"]] == ["w0", "w9"]
    assert (before["found"], before["more"]) == (2, False)
    with fired_triggers(home) as fired:  # as `oferta triggers` does
        fired.remember([one["trigger_id"] for one in found["triggers"][:3]])
    assert [one["customer_id"] for one in due(desk)["triggers"]] == [f"w{d}" for d in days[3:]]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/offers/warrantee/audience", 404, "offer.unknown"),
        ("/v1/offers//audience", 422, "id.empty"),
        ("/v1/offers/%ff/audience", 422, "id.encoding"),
        ("/v1/offers/warranty/audience?limit=0", 422, "parameter.out_of_range"),
        ("/v1/offers/warranty/audience?limit=1001", 422, "parameter.out_of_range"),
        ("/v1/offers/warranty/audience?limit=x", 422, "parameter.integer"),
        ("/v1/offers/warranty/audience?limit=1&limit=2", 400, "parameter.repeated"),
        ("/v1/offers/warranty/audience?never-repeat-this=1", 422, "parameter.unknown"),
        ("/v1/offers/warranty/audience?channel=emial", 422, "channel.unknown"),
        ("/v1/offers/warranty/audience?channel=E%20M", 422, "name.invalid"),
        ("/v1/triggers?due_before=tomorrow", 422, "day.invalid"),
        ("/v1/triggers?due_before=2027-02-30", 422, "day.invalid"),
        ("/v1/triggers?due_before=20270228", 422, "day.invalid"),
        ("/v1/triggers?channel=emial", 422, "channel.unknown"),
        ("/v1/triggers?channel=E%20M", 422, "name.invalid"),
        ("/v1/triggers?before=2027-02-28", 422, "parameter.unknown"),
    ],
)
def test_a_wrong_question_is_refused(desk: httpx.Client, path: str, status: int, code: str):
    refused(desk.get(path), status, code)


def test_without_scores_the_routes_say_so(redis_process: RealRedis, tmp_path: Path):
    rules = write_rules(tmp_path / "rules").settings
    with serving(make_app(redis_process, tmp_path / "home", decisions=rules)) as bare:
        refused(bare.get("/v1/offers/warranty/audience"), 503, "base.unavailable")
        refused(bare.get("/v1/triggers"), 503, "base.unavailable")
    with serving(make_app(redis_process, tmp_path / "home")) as plain:
        refused(plain.get("/v1/offers/warranty/audience"), 404, "decisions.not_configured")
        refused(plain.get("/v1/triggers"), 404, "decisions.not_configured")
