"""Docs cannot rot: what they name exists, and what exists is named."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from pydantic import BaseModel

from oferta.cli import app, load_commands
from oferta.settings import Settings
from oferta_training.job import Job

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES += sorted(ROOT.glob("*/README.md"))
TEXT = {page: page.read_text(encoding="utf-8") for page in PAGES}


def commands() -> list[str]:
    load_commands()
    return sorted(typer.main.get_command(app).commands)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", TEXT[page])
    missing = [
        link
        for link in links
        if not link.startswith("http") and not (page.parent / link).resolve().exists()
    ]
    assert missing == []


def test_every_command_is_documented() -> None:
    text = "\n".join(TEXT.values())
    assert [name for name in commands() if f"oferta {name}" not in text] == []


def test_every_documented_command_exists() -> None:
    named = {
        match
        for text in TEXT.values()
        for match in re.findall(r"^(?:\$ )?oferta ([a-z][a-z-]*)", text, flags=re.MULTILINE)
    }
    assert named - set(commands()) == set()


@pytest.mark.parametrize("name", commands())
def test_every_command_helps_with_an_example(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "oferta", name, "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Example" in done.stdout
    assert f"oferta {name}" in done.stdout


def test_help_imports_nothing_heavy() -> None:
    """The first minute decides: `oferta --help` must answer at once."""
    program = (
        "import sys; sys.argv = ['oferta', '--help']\n"
        "from oferta.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'polars', 'numpy', 'mlflow', 'implicit', 'pydantic', 'fastapi', 'redis'}\n"
        "sys.exit(str(sorted(heavy & set(sys.modules))) if heavy & set(sys.modules) else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def _keys(kind: type[BaseModel]) -> Iterator[str]:
    for name, field in kind.model_fields.items():
        yield name
        if isinstance(field.annotation, type) and issubclass(field.annotation, Settings):
            yield from _keys(field.annotation)


def test_every_key_of_a_job_is_documented() -> None:
    text = TEXT[ROOT / "docs" / "training.md"] + TEXT[ROOT / "docs" / "profile.md"]
    keys = set(_keys(Job)) - {"candidates"}  # the command's alone: a job that states it is refused
    assert [key for key in keys if f"`{key}`" not in text and f"{key}]" not in text] == []


def test_the_readme_names_every_make_target_it_uses() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    used = {
        name
        for text in TEXT.values()
        for name in re.findall(r"(?:^|`)make ([a-z]+)", text, flags=re.MULTILINE)
    }
    assert used - targets == set()
