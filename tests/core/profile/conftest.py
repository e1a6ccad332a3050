"""The books that every test of profiles starts from."""

from pathlib import Path

import pytest
from core.profile.books import Books


@pytest.fixture
def books(tmp_path: Path) -> Books:
    return Books(tmp_path)
