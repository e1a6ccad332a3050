"""docs/evaluation.md says what the command does, all of it."""

import doctest
from pathlib import Path

import typer.main

from oferta.evaluation.cuts import FORMS
from oferta.evaluation.metrics import NAMES
from oferta_training.cli import app

PAGE = Path(__file__).parents[2] / "docs" / "evaluation.md"


def test_every_metric_flag_and_split_is_explained():
    text = PAGE.read_text(encoding="utf-8")
    command = typer.main.get_command(app).commands["evaluate"]  # type: ignore[attr-defined] # a group
    flags = [
        max(option.opts, key=len)
        for option in command.params
        if option.opts[0].startswith("-") and option.name not in {"home", "help"}
    ]
    assert len(flags) > 15
    missing = [flag for flag in flags if flag not in text]
    missing += [name for name in NAMES if f"`{name}@k`" not in text]
    missing += [form.split("=")[0] for form in FORMS if form.split("=")[0] not in text]
    assert not missing


def test_the_worked_example_is_right():
    found = doctest.testfile(str(PAGE), module_relative=False)
    assert found.attempted
    assert not found.failed
