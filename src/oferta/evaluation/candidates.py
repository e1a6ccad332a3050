"""A file of candidates: what alone is ranked."""

from pathlib import Path

import polars as pl

from oferta.errors import SourceRefused

_REMEDY = "Give a Parquet, CSV or NDJSON file."


def read_candidates(path: Path) -> pl.DataFrame:
    """`path` as a frame; CSV columns are texts.

    Raises:
        SourceRefused: no such file, or not one that can be read.
    """
    if not path.is_file():
        raise SourceRefused("file.missing", path, "no such file", remedy=_REMEDY)
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        if path.suffix in {".ndjson", ".jsonl"}:
            return pl.read_ndjson(path)
        return pl.read_csv(path, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SourceRefused("file.unreadable", path, str(error), remedy=_REMEDY) from None
