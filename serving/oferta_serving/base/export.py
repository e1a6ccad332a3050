"""Rows as files for other systems: Parquet, CSV or NDJSON, whole or not at all."""

import os
from pathlib import Path

import polars as pl

from oferta.errors import OutputFailed, SettingsInvalid
from oferta.events.csv_safety import safe_csv_cell

FORMATS = (".parquet", ".csv", ".ndjson")


def check_out(out: Path) -> None:
    """Before any work: whether the file can be written where it is wanted.

    Raises:
        SettingsInvalid: its ending names no known format, or its folder is missing.
    """
    if out.suffix not in FORMATS:
        raise SettingsInvalid(out, [f"the ending must be one of {', '.join(FORMATS)}"])
    if not out.parent.is_dir():
        raise SettingsInvalid(out, [f"{out.parent} is no folder: make it, or write elsewhere"])


def write_rows(rows: pl.DataFrame, out: Path) -> None:
    """Write `rows`; in CSV, text that a spreadsheet would run as a formula is made harmless.

    Raises:
        OutputFailed: the file could not be written; what was there before is whole.
    """
    draft = out.with_name(f".{out.name}.{os.getpid()}.draft")
    try:
        if out.suffix == ".parquet":
            rows.write_parquet(draft)
        elif out.suffix == ".ndjson":
            rows.write_ndjson(draft)
        else:
            texts = [name for name, dtype in rows.schema.items() if dtype == pl.String]
            rows.with_columns(safe_csv_cell(name) for name in texts).write_csv(draft)
        draft.replace(out)
    except OSError as error:
        raise OutputFailed(out, str(error)) from None
    finally:
        draft.unlink(missing_ok=True)
