"""Settings: every key in the file, every mistake named, nobody let in by accident."""

import hashlib
from pathlib import Path

import pytest

from oferta.errors import SettingsInvalid
from oferta.settings import parse, read_toml
from oferta_serving.apikeys import ApiKeys
from oferta_serving.problems import RequestRefused
from oferta_serving.settings import (
    API_KEYS_VARIABLE,
    ServingSettings,
    check_reach,
    load_settings,
    read_environment,
)

FILE = Path(__file__).parents[2] / "serving" / "serving.toml"
HASH = hashlib.sha256(b"right-key").hexdigest()
SOME_KEY = ApiKeys([bytes.fromhex(HASH)])


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
def test_without_keys_only_this_machine_may_be_served(host: str):
    with pytest.raises(SettingsInvalid, match=API_KEYS_VARIABLE):
        check_reach(host, ApiKeys([]))
    check_reach(host, SOME_KEY)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_without_keys_this_machine_is_served(host: str):
    check_reach(host, ApiKeys([]))


def test_keys_come_from_the_environment_or_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    file = tmp_path / "keys"
    file.write_text(f"{HASH.upper()}  # the app's\n\n# nobody's\n{'0' * 64}\n")
    for text in (f"{'0' * 64}, {HASH}", f"@{file}"):
        monkeypatch.setenv(API_KEYS_VARIABLE, text)
        keys = read_environment().api_keys
        keys.check(b"right-key")
        with pytest.raises(RequestRefused):
            keys.check(b"wrong-key")
        with pytest.raises(RequestRefused):
            keys.check(None)


def test_a_key_that_is_no_hash_is_refused_without_being_shown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(API_KEYS_VARIABLE, f"{HASH},my-plain-key")
    with pytest.raises(SettingsInvalid, match="entry 2") as caught:
        read_environment()
    assert "my-plain-key" not in str(caught.value)
