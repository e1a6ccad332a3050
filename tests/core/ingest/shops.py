"""A source folder written from text, ingested, opened."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from oferta.clock import FixedClock
from oferta.events.dataset import Dataset, open_dataset
from oferta.events.guards import IngestOptions
from oferta.events.ingest import ingest
from oferta.events.report import IngestReport
from oferta.progress import Silent

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CLOCK = FixedClock(NOW)
HEADER = "customer_id,product_id,event_type,timestamp\n"


@dataclass(frozen=True, slots=True)
class Shop:
    """A source folder and the dataset made from it."""

    source: Path
    out: Path

    def write(self, files: Mapping[str, str | bytes]) -> None:
        for name, content in files.items():
            path = self.source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def ingest(
        self, files: Mapping[str, str | bytes] | None = None, /, **options: object
    ) -> IngestReport:
        self.write(files or {})
        report = ingest(
            self.source,
            self.out,
            options=IngestOptions(**options),  # type: ignore[arg-type]
            clock=CLOCK,
            progress=Silent(),
        )
        for counts in report.tables.values():
            assert counts.derived or counts.read == (
                counts.accepted + counts.rejected_rows + counts.deduplicated
            )
        return report

    def dataset(self) -> Dataset:
        return open_dataset(self.out, home=self.out, clock=CLOCK, progress=Silent())

    def events(
        self, files: Mapping[str, str | bytes], /, **options: object
    ) -> list[dict[str, object]]:
        self.ingest(files, **options)
        return self.dataset().events().collect().to_dicts()
