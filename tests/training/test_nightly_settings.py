"""What `oferta nightly` is given: a nightly.toml, or a source; a slip of the pen is neither."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from oferta.errors import InputError, SettingsInvalid
from oferta_training.cli import app
from oferta_training.nightly.settings import load_nightly


def test_a_misspelt_source_is_refused_with_the_nearest_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = tmp_path / "nightly.toml"
    file.write_text('sourc = "x"\n')
    with pytest.raises(SettingsInvalid, match="did you mean 'source'"):
        load_nightly(file, {})
    monkeypatch.setenv("OFERTA_HOME", str(tmp_path / "home"))
    planned = CliRunner().invoke(app, ["nightly", str(file), "--dry-run"])
    assert isinstance(planned.exception, InputError)  # the command ends with 2


def test_a_folder_is_a_source(tmp_path: Path):
    (tmp_path / "source.toml").write_text("")
    assert load_nightly(tmp_path, {}).source == tmp_path
