"""Settings: every key in the file, every mistake named, nobody let in by accident."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from oferta.errors import SettingsInvalid
from oferta.settings import parse, read_toml
from oferta_serving.access.keyfile import KeyFile
from oferta_serving.settings import ServingSettings, check_reach, load_settings

FILE = Path(__file__).parents[2] / "serving" / "serving.toml"


def test_the_file_shows_every_setting_with_its_default():
    shown = read_toml(FILE)
    files = {name: shown["decisions"].pop(name) for name in ("policy", "catalogue", "rate_cards")}
    assert parse(shown, ServingSettings, place=FILE) == ServingSettings()
    assert shown == ServingSettings().model_dump(exclude_none=True)
    assert "# base = " in FILE.read_text()
    assert all((FILE.parent / name).exists() for name in files.values())


def test_files_to_decide_by_are_named_together_and_found_beside_the_settings(tmp_path: Path):
    config = tmp_path / "etc" / "serving.toml"
    config.parent.mkdir()
    config.write_text('[decisions]\npolicy = "p.toml"\ncatalogue = "/c"\nrate_cards = "../r"')
    found = load_settings(config, {"port": 9000})

    assert found.port == 9000
    assert found.decisions.policy == tmp_path / "etc" / "p.toml"
    assert found.decisions.catalogue == Path("/c")
    assert found.decisions.rate_cards == tmp_path / "etc" / ".." / "r"
    assert found.decisions.base is None
    with pytest.raises(SettingsInvalid, match="catalogue and rate_cards missing"):
        parse({"decisions": {"policy": "p.toml"}}, ServingSettings, place="serving.toml")


def test_a_misspelt_setting_names_the_nearest():
    with pytest.raises(SettingsInvalid, match=r"limits\.body_byte: .*did you mean 'body_bytes'"):
        parse({"limits": {"body_byte": 5}}, ServingSettings, place="serving.toml")


def test_numbers_out_of_bounds_are_refused():
    with pytest.raises(SettingsInvalid, match="refresh_ms"):
        parse({"store": {"refresh_ms": 5000}}, ServingSettings, place="serving.toml")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "example.org"])  # noqa: S104
def test_without_keys_only_this_machine_may_be_served(host: str, tmp_path: Path):
    with pytest.raises(SettingsInvalid, match="oferta keys create"):
        check_reach(host, tmp_path)
    KeyFile(tmp_path).create(
        "app", scopes=("serve",), tenant="default", lives=None, now=datetime.now(UTC)
    )
    check_reach(host, tmp_path)


def test_where_keys_were_made_and_their_file_is_gone_nothing_is_served(tmp_path: Path):
    """Behind a proxy everybody comes from this machine: all would have all scopes."""
    file = KeyFile(tmp_path)
    make = partial(
        file.create, scopes=("serve",), tenant="default", lives=None, now=datetime.now(UTC)
    )
    make("app")
    file.path.unlink()
    for host in ("127.0.0.1", "0.0.0.0"):  # noqa: S104
        with pytest.raises(SettingsInvalid, match=r"restore it.*oferta keys create") as refused:
            check_reach(host, tmp_path)
        assert str(file.path) in str(refused.value)
    make("anew")
    check_reach("127.0.0.1", tmp_path)


def test_keys_of_an_older_program_are_remembered_too(tmp_path: Path):
    file = KeyFile(tmp_path)
    file.remember()
    check_reach("127.0.0.1", tmp_path)  # there were none
    file.path.write_text('{"version": 1, "keys": []}')
    file.remember()
    file.path.unlink()
    with pytest.raises(SettingsInvalid, match="restore it"):
        check_reach("127.0.0.1", tmp_path)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_without_keys_this_machine_is_served(host: str, tmp_path: Path):
    check_reach(host, tmp_path)


@pytest.mark.parametrize(
    ("host", "docs", "shown"),
    [
        ("127.0.0.1", None, True),
        ("0.0.0.0", None, False),  # noqa: S104
        ("0.0.0.0", True, True),  # noqa: S104
        ("127.0.0.1", False, False),
    ],
)
def test_the_documentation_is_shown_to_strangers_only_if_so_decided(
    host: str, docs: bool | None, shown: bool
):
    assert ServingSettings(host=host, docs=docs).shows_docs is shown
