"""The docs of studies name every setting, and every command with its options."""

from collections.abc import Iterator
from pathlib import Path

import typer
from pydantic import BaseModel

from oferta.evaluation.protocol import Protocol
from oferta_experiments.commands.study import app
from oferta_experiments.study.spec import Budget, StudySpec, VariantSpec
from oferta_training.guards import Guards

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "studies.md").read_text(encoding="utf-8")


def keys(kind: type[BaseModel]) -> Iterator[str]:
    for name, field in kind.model_fields.items():
        if field.annotation not in {Protocol, Guards, Budget}:
            yield name


def test_every_setting_of_a_study_is_documented() -> None:
    named = {*keys(StudySpec), *keys(VariantSpec), *keys(Budget)}
    assert [key for key in sorted(named) if f"`{key}`" not in TEXT and f"[{key}]" not in TEXT] == []


def test_every_command_of_studies_is_documented() -> None:
    listed = typer.main.get_command(app).commands  # type: ignore[attr-defined] # it is a group
    assert [name for name in listed if f"oferta study {name}" not in TEXT] == []
    for command in listed.values():
        assert f"Example: oferta study {command.name}" in str(command.help)
