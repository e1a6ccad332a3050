"""A tenant's state folder is one like any other, and its hashes are nobody else's."""

from pathlib import Path

import pytest

from oferta.errors import SettingsInvalid
from oferta.home import TENANT_VARIABLE, Owner, home_folder, owner_of, tenant_folder
from oferta.store.key_secret import SECRET_VARIABLE
from oferta.store.tenants import space_of


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET_VARIABLE, "a secret of the project")


def test_one_customer_of_two_tenants_has_hashes_and_keys_that_nothing_connects(tmp_path: Path):
    folders = [tenant_folder(tmp_path, name) for name in ("default", "dealer", "bank")]
    spaces = [space_of(folder) for folder in folders]
    digests = [space.digest("anna") for space in spaces]

    assert len(set(digests)) == len(digests)
    assert len({space.secret for space in spaces}) == len(spaces)
    for key in ("pointer", "fence", "releases", "consents", "key_check"):
        assert len({getattr(space, key)() for space in spaces}) == len(spaces)
    assert len({space.state(digests[0]) for space in spaces}) == len(spaces)
    assert spaces[0].secret == b"a secret of the project"  # the default tenant's is the project's


def test_a_tenant_s_folder_knows_whose_it_is_and_where_the_secret_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tenant_folder(tmp_path, "dealer")
    monkeypatch.setenv(TENANT_VARIABLE, "dealer")

    assert home_folder(tmp_path) == folder == tmp_path / "tenants" / "dealer"
    assert owner_of(folder) == Owner(tmp_path, "dealer")
    assert owner_of(tmp_path) == Owner(tmp_path, "default")
    monkeypatch.chdir(folder)
    assert owner_of(Path()) == Owner(tmp_path, "dealer")
    monkeypatch.delenv(SECRET_VARIABLE)
    assert space_of(folder).tenant == "dealer"
    assert (tmp_path / "key-secret").exists()
    assert not (folder / "key-secret").exists()


def test_a_folder_that_was_moved_is_refused_since_its_hashes_would_differ(tmp_path: Path):
    tenant_folder(tmp_path, "dealer").rename(tmp_path / "tenants" / "bank")

    with pytest.raises(SettingsInvalid, match="tenants/dealer"):
        space_of(tmp_path / "tenants" / "bank")


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "a b", "x" * 33, "a\n", "../default"])
def test_a_name_that_could_leave_the_folder_is_refused(tmp_path: Path, name: str):
    with pytest.raises(SettingsInvalid, match="a-z"):
        tenant_folder(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_only_looks_like_a_tenant_s_is_the_project_s_own(tmp_path: Path):
    folder = tmp_path / "tenants" / "acme"
    folder.mkdir(parents=True)

    assert owner_of(folder) == Owner(folder, "default")


def test_tenants_have_no_tenants(tmp_path: Path):
    folder = tenant_folder(tmp_path, "dealer")

    with pytest.raises(SettingsInvalid, match="own folder"):
        tenant_folder(folder, "bank")
