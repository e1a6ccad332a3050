import ast
import hmac
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oferta.errors import SettingsInvalid
from oferta.store import keys
from oferta.store.key_secret import load_secret
from oferta.store.keys import TAGS, KeySpace

SECRET = b"0123456789abcdef-secret"

RACER = """
import sys, time
from pathlib import Path
from oferta.store.key_secret import load_secret
time.sleep(-time.time() % 0.5)  # all start at the next half second
for home in sys.argv[1:]:
    print(load_secret(Path(home)))
"""


def test_a_customer_is_hashed_with_hmac_sha256():
    expected = hmac.digest(SECRET, b"c\0" + "Ünal 7/8".encode(), "sha256")[:16]
    assert KeySpace(SECRET).digest("Ünal 7/8") == expected


def test_a_secret_longer_than_a_block_is_hashed_like_any_hmac():
    secret = bytes(range(200))
    assert KeySpace(secret).digest("c") == hmac.digest(secret, b"c\0c", "sha256")[:16]


@settings(max_examples=30)
@given(st.lists(st.text(min_size=1), max_size=30), st.integers(1, 4))
def test_many_customers_are_placed_as_each_alone(ids: list[str], per_tag: int):
    space = KeySpace(SECRET)
    digests = space.digests(ids)
    assert [row.tobytes() for row in digests] == [space.digest(each) for each in ids]
    numbers = keys.places(digests, per_tag).tolist()
    names = list(space.buckets(3, per_tag))
    assert [names[number] for number in numbers] == [
        space.bucket(3, per_tag, space.digest(each)) for each in ids
    ]
    assert keys.rests(digests).tolist() == [keys.rest(space.digest(each)) for each in ids]


def test_a_customers_slot_is_the_same_in_every_release():
    space = KeySpace(SECRET)
    digest = space.digest("c1")
    tags = {
        space.bucket(release, per_tag, digest).split(b"}")[0]
        for release in (1, 20)
        for per_tag in (1, 7, 16)
    }
    assert len(tags) == 1


def test_customers_spread_evenly_over_tags_and_buckets():
    digests = KeySpace(SECRET).digests(f"customer-{number}" for number in range(200_000))
    per_bucket = np.bincount(keys.places(digests, 3), minlength=TAGS * 3)
    assert len(per_bucket) == TAGS * 3
    # Mean 16.3; a Poisson spread has a deviation of 4.
    assert 3.8 < per_bucket.std() < 4.3
    assert per_bucket.max() < 50


def test_buckets_hold_about_sixteen_customers():
    assert [keys.buckets_per_tag(n) for n in (0, 5, 60_000, 300_000, 1_000_000)] == [1, 1, 1, 5, 15]


def test_another_secret_or_tenant_shares_no_key():
    first, second = KeySpace(SECRET), KeySpace(SECRET + b"!")
    assert first.key_check() != second.key_check()
    assert first.digest("c1") != second.digest("c1")
    tenants = [KeySpace(SECRET, tenant) for tenant in ("default", "bank-2")]
    for name in ("pointer", "fence", "releases"):
        assert len({getattr(tenant, name)() for tenant in tenants}) == 2
    assert tenants[0].key_check() != tenants[1].key_check()


def test_no_key_shows_who_the_customer_is():
    space = KeySpace(SECRET)
    assert b"alice" not in space.bucket(1, 5, space.digest("alice"))
    assert "alice" not in repr(space)
    assert SECRET.decode() not in repr(space)


@pytest.mark.parametrize("tenant", ["", "A", "a b", "a}", "{a", "x" * 33, "a\n"])
def test_a_tenant_that_could_break_a_key_is_refused(tenant: str):
    with pytest.raises(SettingsInvalid):
        KeySpace(SECRET, tenant)


def test_a_short_secret_is_refused():
    with pytest.raises(SettingsInvalid):
        KeySpace(b"short")


def test_the_secret_of_the_environment_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OFERTA_KEY_SECRET", "a secret from outside")
    assert load_secret(tmp_path) == b"a secret from outside"
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv("OFERTA_KEY_SECRET", "short")
    with pytest.raises(SettingsInvalid) as refused:
        load_secret(tmp_path)
    assert "short'" not in str(refused.value)


def test_a_secret_is_made_once_and_only_its_owner_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("OFERTA_KEY_SECRET", raising=False)
    made = load_secret(tmp_path / "home")
    assert load_secret(tmp_path / "home") == made
    assert load_secret(tmp_path / "other") != made
    (file,) = (tmp_path / "home").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_processes_that_start_together_agree_on_one_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("OFERTA_KEY_SECRET", raising=False)
    homes = [tmp_path / str(number) for number in range(20)]
    racers = [
        subprocess.Popen([sys.executable, "-c", RACER, *map(str, homes)], stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    assert len({racer.communicate()[0] for racer in racers}) == 1
    assert all([file.name for file in home.iterdir()] == ["key-secret"] for home in homes)


def test_keys_are_built_in_one_module_only():
    """A key built elsewhere, from text of outside, is how a customer reads another's row.

    So only the store speaks with Redis, and in the store templates with a colon or a brace stand in
    `keys.py` alone. The way out of the second rule: a function there.
    """
    store = Path(keys.__file__).parent
    found = [
        f"{file.name}:{line}"
        for file in sorted(store.glob("*.py"))
        for line in _key_templates(file)
        if file.name != "keys.py"
    ]
    assert found == []
    assert list(_key_templates(store / "keys.py")), "the rule no longer sees what it forbids"
    root = store.parents[2]
    applications = (root / "training", root / "serving", root / "src")
    speakers = {
        file.parent
        for application in applications
        for file in application.rglob("*.py")
        if re.search(r"^\s*(import|from) redis\b", file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert speakers == {store}


def _key_templates(file: Path) -> Iterator[int]:
    """Lines where bytes are formatted, or a formatted text is encoded, with a colon or brace."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.BinOp(left=ast.Constant(value=bytes(template)), op=ast.Mod()):
                pieces = [template.decode("latin-1")]
            case ast.Call(func=ast.Attribute(value=ast.JoinedStr(values=values), attr="encode")):
                pieces = [str(part.value) for part in values if isinstance(part, ast.Constant)]
            case _:
                continue
        if any(mark in piece for piece in pieces for mark in ":{"):
            yield node.lineno
