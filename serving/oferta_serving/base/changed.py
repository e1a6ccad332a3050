"""Customers for whom a what-if changes anything, as a file."""

from pathlib import Path

import polars as pl

from oferta.errors import OutputFailed


class ChangedCustomers:
    """Collects them batch by batch, and writes them at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: list[pl.DataFrame] = []

    def keep(self, frame: pl.DataFrame) -> None:
        """Take a batch, as `oferta.decisions.whatif.Keep`."""
        changed = (pl.col("change") != "same") | (pl.col("before_best") != pl.col("after_best"))
        self._kept.append(frame.filter(changed))

    def write(self) -> None:
        """Write the file.

        Raises:
            OutputFailed: it cannot be written.
        """
        try:
            pl.concat(self._kept).write_parquet(self._path)
        except OSError as error:
            raise OutputFailed(self._path, str(error)) from None
