"""A small seller who decides: rules in three files, a release with profiles, customers by name."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
from serving.worlds import NOON, ODD_ID, World, entry, listed

from oferta.profile.facts import FACTS as FACT
from oferta.scoring.reasons import REASONS
from oferta.store import codec
from oferta.store.contract import Pointer, Writer
from oferta.store.head import ManifestRecord, manifest_digest, manifest_record, pack_head
from oferta.store.keys import KeySpace, rest
from oferta.store.packing import pack_rows
from oferta.store.profile_packing import (
    PackedProfile,
    pack_evidence,
    pack_facts,
    pack_profiles,
    pack_propensities,
)
from oferta.store.release import CustomerRow

TODAY = NOON // 86_400
"""The day of these worlds, in whole days since 1970."""

FACTS = (
    "region",
    "income",
    "spending",
    "instalments",
    "risk_tier",
    "vulnerable",
    "consent_personalisation",
    "consent_marketing",
    "consent_email",
    "has_finance",
    "contract_end",
    "warranty_end",
    "payoff",
    "in_arrears",
    "has_vehicle",
    "market_value",
    "wished_amount",
)
"""The facts that profiles of these worlds hold, in their order."""

POLICY = """\
currency = "EUR"
time_zone = "UTC"

[channels.app]
direction = "inbound"

[channels.web]
direction = "inbound"

[channels.email]
direction = "outbound"
consent = "email"

[[caps]]
name = "thrice"
event = "decision"
scope = "offer"
limit = 3
period = "7d"

[[caps]]
name = "mails"
event = "decision"
scope = "channel"
of = ["email"]
limit = 1
period = "7d"

[[caps]]
name = "installers"
event = "impression"
scope = "offer"
of = ["charger"]
per = "total"
limit = 5
period = "7d"

[[weights]]
name = "at-the-charger"
when = "context_kwh > 0"
offers = ["charger"]
factor = 2.0
text = { en = "You are charging right now.", zh = "您正在充电。" }

[affordability]
share = 0.4

[[triggers]]
name = "warranty-ends"
when = "days_to_warranty_end BETWEEN 0 AND 60"
due = "warranty_end - 30"
once_per = "warranty_end"
offers = ["warranty"]
text = { en = "The warranty ends within 60 days.", zh = "质保将在60天内到期。" }
"""

CATALOGUE = """\
[[placements]]
id = "home"
channel = "app"
size = 3

[[placements]]
id = "charging-stop"
channel = "app"
size = 1
families = ["service"]
context = { kwh = "number", station = "text" }

[[placements]]
id = "web-home"
channel = "web"
size = 4

[[placements]]
id = "newsletter"
channel = "email"
size = 2

[[offers]]
id = "car-loan"
products = ["car-loan"]
family = "loan"
status = "approved"
channels = ["app", "web", "email"]
margin = "0.03 * amount"
eligibility = ["risk_tier IN ('A', 'B')"]
terms.kind = "equal_instalment"
terms.amount = { min = 2000, max = 30000, start = "COALESCE(wished_amount, 9000)" }
terms.months = [24, 36, 48, 60]
terms.start_months = 36
texts.name = { en = "Car loan", zh = "汽车贷款" }
texts.summary = { en = "A car in equal instalments.", zh = "等额还款购车。" }

[[offers]]
id = "roadside"
products = ["roadside"]
family = "service"
status = "approved"
channels = ["app", "web", "email"]
margin = "30"
terms.kind = "price"
texts.name = { en = "Roadside assistance", zh = "道路救援" }
texts.summary = { en = "Help within the hour.", zh = "一小时内抵达。" }

[[offers]]
id = "warranty"
products = ["warranty"]
family = "service"
status = "approved"
channels = ["app", "email"]
margin = "80"
eligibility = ["has_vehicle"]
terms.kind = "price"
terms.paid = "once"
texts.name = { en = "Warranty", zh = "延保" }
texts.summary = { en = "Two more years.", zh = "再延两年。" }

[[offers]]
id = "charger"
products = ["charger"]
family = "service"
status = "approved"
channels = ["app", "web"]
margin = "500"
terms.kind = "price"
terms.paid = "once"
texts.name = { en = "Home charger", zh = "家用充电桩" }
texts.summary = { en = "Charge at home.", zh = "在家充电。" }

[[offers]]
id = "not-yet"
products = ["roadside"]
family = "service"
status = "draft"
channels = ["app"]
margin = "1"
terms.kind = "price"
texts.name = { en = "Draft", zh = "草稿" }
texts.summary = { en = "Not yet.", zh = "尚未推出。" }
"""

RATE_CARD = """\
valid_from = 2026-01-01
currency = "EUR"

[[credit]]
products = ["car-loan"]
months = [[6, 24], [25, 60]]
amount = [[1000, 50000]]
loan_to_value = [[0, 2.0]]
rates.A = [4.9, 5.4]
rates.B = [5.9, 6.4]
fees = [{ name = "arrangement", percent = 1.0, least = 50, most = 300, paid = "start" }]

[[price]]
products = ["roadside"]
months = [1]
monthly = [6.50]

[[price]]
products = ["warranty"]
once = 480

[[price]]
products = ["charger"]
once = 1200
"""

EVIDENCE = b'{"attributes":{"income":{"value":3200,"source":"crm","observed_at":"2026-12-01"}}}'


@dataclass(frozen=True)
class RuleSet:
    """The files of one seller, on disk."""

    folder: Path

    @property
    def settings(self) -> dict[str, str]:
        """The section `[decisions]` of a settings file."""
        return {
            "policy": str(self.folder / "policy.toml"),
            "catalogue": str(self.folder / "catalogue"),
            "rate_cards": str(self.folder / "rate_cards"),
        }

    def replace(self, name: str, old: str, new: str) -> None:
        """Change a file as an editor does: a new one in the place of the old."""
        path = self.folder / name
        text = path.read_text()
        assert old in text
        draft = path.with_suffix(".draft")
        draft.write_text(text.replace(old, new))
        draft.replace(path)


def write_rules(folder: Path) -> RuleSet:
    for name, text in (
        ("policy.toml", POLICY),
        ("catalogue/all.toml", CATALOGUE),
        ("rate_cards/2026.toml", RATE_CARD),
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return RuleSet(folder)


def consenting(**facts: object) -> dict[str, object]:
    """Somebody who may be offered anything, but for what `facts` say."""
    plain = {
        "region": "north",
        "income": 3200.0,
        "spending": 1200.0,
        "instalments": 100.0,
        "risk_tier": "A",
        "vulnerable": False,
        "consent_personalisation": True,
        "consent_marketing": True,
        "consent_email": True,
        "has_vehicle": True,
        "market_value": 15_000.0,
        "in_arrears": False,
    }
    return {**plain, **facts}


CUSTOMERS: Mapping[str, Mapping[str, object]] = {
    "anna": consenting(),
    "bela": consenting(risk_tier="D", has_vehicle=False),
    "cleo": consenting(consent_personalisation=False, consent_email=False),
    "dora": consenting(vulnerable=True),
    "emil": consenting(in_arrears=True),
    ODD_ID: consenting(consent_email=False),
}
CHANCES = {"car-loan": 0.05, "roadside": 0.2, "warranty": 0.1, "charger": 0.04}


def seller(customers: Mapping[str, Mapping[str, object]] = CUSTOMERS) -> World:
    """What a release of this seller holds besides the profiles."""
    products = [entry(product, base_rate=chance / 2) for product, chance in CHANCES.items()]
    return World(
        catalogue=tuple(products),
        popular=listed(range(len(products))),
        segments={},
        customers={name: CustomerRow(None, listed([1, 0])) for name in customers},
    )


def publish_seller(
    store: Writer,
    space: KeySpace,
    customers: Mapping[str, Mapping[str, object]] = CUSTOMERS,
    *,
    created_at: float = NOON - 3600,
    profile_at: float | None = None,
    with_profiles: bool = True,
    world: World | None = None,
) -> int:
    """Write the seller's release, or one of another `world`, and make it live; its number."""
    release = store.reserve_fence()
    world = replace(world or seller(customers), created_at=created_at)
    plain = world.head(release, space)
    manifest = plain.manifest
    if with_profiles:
        manifest = replace(
            manifest,
            profile_buckets_per_tag=1,
            profile_facts=FACTS,
            profile_at=created_at if profile_at is None else profile_at,
        )
    head = replace(plain, manifest=manifest)
    mark = codec.stamp(manifest)
    products = len(world.catalogue)
    lists: dict[bytes, dict[int, CustomerRow]] = {key: {} for key in space.buckets(release, 1)}
    profiles: dict[bytes, list[PackedProfile]] = {key: [] for key in space.profiles(release, 1)}
    for name, facts in customers.items():
        digest = space.digest(name)
        lists[space.bucket(release, 1, digest)][rest(digest)] = world.customers[name]
        profiles[space.profile(release, 1, digest)].append(_packed(digest, facts, products))
    records = [(key, pack_rows(mark, rows, products=products)) for key, rows in lists.items()]
    if with_profiles:
        width = codec.width(products)
        records += [
            (key, pack_profiles(mark, sorted(some), position_bytes=width))
            for key, some in profiles.items()
        ]
    parts, size, digest_of_head = pack_head(head)
    records += [(space.head(release, part), record) for part, record in enumerate(parts)]
    stored = manifest_record(
        ManifestRecord(
            manifest=manifest,
            rows=len(records),
            row_bytes=0,
            head_parts=len(parts),
            head_bytes=size,
            head_sha256=digest_of_head,
        )
    )
    records.append((space.manifest(release), stored))
    store.put(records, ttl_s=3600)
    assert store.swap(Pointer(release, None, release, NOON, manifest_digest(stored)))
    return release


def _packed(digest: bytes, facts: Mapping[str, object], products: int) -> PackedProfile:
    chances = np.array(list(CHANCES.values()), np.float32)
    propensities = pack_propensities(
        np.arange(len(CHANCES), dtype=np.uint32),
        chances,
        chances,
        reasons=np.full(len(CHANCES), REASONS.index("bought_together"), np.uint8),
        because=np.full(len(CHANCES), 0xFFFFFFFF, np.uint32),
        position_bytes=codec.width(products),
    )
    values = [facts.get(name) for name in FACTS]
    return PackedProfile(
        rest(digest),
        pack_facts(values),  # type: ignore[arg-type] # facts are plain values
        pack_evidence(EVIDENCE),
        propensities.tobytes(),
    )


def write_base(folder: Path, customers: Mapping[str, Mapping[str, object]] = CUSTOMERS) -> Path:
    """The seller's scores of everybody, as batch scoring leaves them."""
    (folder / "base").mkdir(parents=True)
    names = sorted(customers)
    chances = np.tile(np.array(list(CHANCES.values()), np.float32), (len(names), 1))
    wide = pl.Series("probability", chances.ravel()).reshape(chances.shape)
    kinds = {"number": pl.Float64(), "text": pl.String(), "boolean": pl.Boolean()}
    facts = {name: [customers[each].get(name) for each in names] for name in FACTS}
    pl.DataFrame(
        {"customer_id": names, **facts, "probability": wide, "score": wide.alias("score")},
        schema_overrides={name: kinds.get(FACT[name].kind, pl.Float64()) for name in FACTS},
    ).with_columns(
        pl.col(name).cast(pl.Int32).cast(pl.Date) for name in FACTS if FACT[name].kind == "date"
    ).write_parquet(folder / "base" / "part-00000.parquet")
    pl.DataFrame(
        {"product_id": list(CHANCES), "base_rate": [chance / 2 for chance in CHANCES.values()]}
    ).write_parquet(folder / "products.parquet")
    made = datetime.fromtimestamp(NOON - 7200, UTC).isoformat()
    base = {"parts": ["base/part-00000.parquet"], "as_of": made, "by_product": True}
    manifest = {"base": base, "created_at": made, "model": "ease/3", "customers": len(names)}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder
