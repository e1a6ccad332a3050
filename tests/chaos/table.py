"""What a chaos test counted, as a section of docs/chaos.md."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

VARIABLE: Final = "OFERTA_CHAOS_TABLE"
"""The file that is written; where it is not set, the counts are only printed."""

_TITLE: Final = """# What the chaos tests counted

Real Redis processes, real kills, on the machine that wrote this file. Each section has the command
that counted it, with its sizes; `make chaos` writes all of them anew at full size.
"""


def record(name: str, rows: Mapping[str, str | int | float], command: str) -> None:
    """Print the counts, and put them in place of the section `name`, with the command that counts.

    `rows`: what was counted, in words, and how much.
    """
    lines = [f"## {name}", "", f"`{command}`", "", "| counted | |", "| --- | ---: |"]
    lines += [f"| {what} | {_said(value)} |" for what, value in rows.items()]
    section = "\n".join(lines) + "\n"
    print(f"\n{section}")  # noqa: T201 - what was counted is the result
    named = os.environ.get(VARIABLE)
    if named:
        path = Path(named)
        text = path.read_text(encoding="utf-8") if path.exists() else _TITLE
        path.write_text(_replaced(text, section, f"## {name}"), encoding="utf-8")


def _replaced(text: str, section: str, heading: str) -> str:
    head, *sections = text.split("\n## ")
    parts = [part if part.startswith("## ") else f"## {part}" for part in sections]
    kept = [part.strip() + "\n" for part in parts if part.split("\n", 1)[0].strip() != heading]
    return "\n".join([head.strip() + "\n", *sorted([*kept, section])])


def _said(value: str | float) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
