"""The shop that every test of ingest starts from."""

from pathlib import Path

import pytest
from core.ingest.shops import Shop


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    source = tmp_path / "source"
    source.mkdir()
    return Shop(source, tmp_path / "dataset")
