"""A folder that appears whole or not at all, and says of itself that it is simulated."""

import json
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import polars as pl

from oferta.errors import SettingsInvalid

SIMULATED: Final = "simulated: no person, company or figure in this file is real"
WORLD_FILE: Final = "world.json"
TRUTH: Final = "truth"


@contextmanager
def new_folder(out: Path, *, replace: bool) -> Iterator[Path]:
    """A folder to fill, which becomes `out` when the block ends and vanishes when it fails.

    Raises:
        SettingsInvalid: `out` holds something and `replace` is false, or holds no world.
    """
    holds = out.exists() and (not out.is_dir() or any(out.iterdir()))
    if holds and not replace:
        raise SettingsInvalid("--out", [f"{out} is not empty: name another, or add --replace"])
    if holds and not (out / TRUTH / WORLD_FILE).is_file():
        raise SettingsInvalid("--out", [f"{out} holds no simulated world; it was not touched"])
    out.parent.mkdir(parents=True, exist_ok=True)
    building = out.parent / f".{out.name}.building-{secrets.token_hex(4)}"
    try:
        building.mkdir()
        yield building
        old = out.parent / f".{out.name}.old-{secrets.token_hex(4)}"
        if out.exists():
            out.rename(old)
        building.rename(out)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def write_table(frame: pl.DataFrame, folder: Path, name: str, part: int | None = None) -> None:
    """`name.parquet`, or a part of the folder `name/`."""
    path = folder / f"{name}.parquet"
    if part is not None:
        (folder / name).mkdir(parents=True, exist_ok=True)
        path = folder / name / f"part-{part:05d}.parquet"
    frame.write_parquet(path, metadata={"oferta.source": SIMULATED})


def write_notes(folder: Path, *, source: str, facts: dict[str, object]) -> None:
    """`source.toml`, `README.md` and `truth/world.json`."""
    (folder / "source.toml").write_text(source, encoding="utf-8")
    (folder / TRUTH / WORLD_FILE).write_text(
        json.dumps({"simulated": True, **facts}, indent=2) + "\n", encoding="utf-8"
    )
    lines = [
        "# SIMULATED data",
        "",
        "An invented auto-finance seller, made by `oferta world`. No person, company, make or",
        "figure in this folder is real, and nothing in it tells anything about any market.",
        "",
        *(f"- {name}: {value}" for name, value in facts.items()),
        "",
        "`oferta ingest` takes this folder as it is. `truth/` holds what no seller knows: true",
        "tastes, sensitivities, risks and answers. It is for judging, never for training.",
        "",
    ]
    (folder / "README.md").write_text("\n".join(lines), encoding="utf-8")
