"""A seller's books written as text, ingested, and what the profile makes of them."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from core.ingest.shops import Shop

from oferta.events.dataset import Dataset
from oferta.profile.build import build_profiles
from oferta.profile.facts import FactKind
from oferta.profile.needs import NO_PEERS, Peers
from oferta.profile.settings import ProfileSettings

AS_OF = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
UTC_ZONE = ZoneInfo("UTC")
EVENTS = "customer_id,product_id,event_type,timestamp,channel\n"
EVENT = "c1,new-car-loan,view,2024-01-01,branch\n"
PRODUCTS = """product_id,family
new-car-loan,loan
used-car-loan,loan
van-lease,lease
comprehensive-insurance,insurance
gap-insurance,insurance
extended-warranty,service
maintenance-plan,service
p,
q,
"""


class Books:
    """The folder of one seller. Every table is given as CSV without what is always the same."""

    def __init__(self, folder: Path) -> None:
        (folder / "source").mkdir()
        self._shop = Shop(folder / "source", folder / "dataset")
        self._shop.write({"events.csv": EVENTS + EVENT, "products.csv": PRODUCTS})

    def write(self, **tables: str) -> "Books":
        """`events="..."` writes events.csv."""
        self._shop.write({f"{name}.csv": text for name, text in tables.items()})
        return self

    def declare(self, toml: str) -> "Books":
        """The source.toml."""
        self._shop.write({"source.toml": toml})
        return self

    def dataset(self) -> Dataset:
        """Ingested anew, whatever was there."""
        self._shop.ingest({}, replace=True, accept_shrink=True, max_rejected=1.0)
        return self._shop.dataset()

    def profiles(
        self,
        *,
        as_of: datetime = AS_OF,
        zone: ZoneInfo = UTC_ZONE,
        settings: ProfileSettings | None = None,
        attributes: Mapping[str, FactKind] | None = None,
        peers: Peers | None = NO_PEERS,
    ) -> dict[str, dict[str, object]]:
        """Customer -> facts; `evidence` is read. Peers are counted where they are None."""
        frame = build_profiles(
            self.dataset(),
            as_of=as_of,
            zone=zone,
            settings=settings,
            attributes=attributes,
            peers=peers,
        ).collect(engine="streaming")
        rows = {row.pop("customer_id"): row for row in frame.to_dicts()}
        for row in rows.values():
            row["evidence"] = json.loads(row["evidence"])
        return rows

    def profile(self, customer: str = "c1", **options: object) -> dict[str, object]:
        """One customer's facts."""
        return self.profiles(**options)[customer]  # type: ignore[arg-type]
