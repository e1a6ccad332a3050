"""A cluster's slots and addresses: whatever is written, said or redirected, and nothing is sent."""

from pathlib import Path

import pytest
from redis.crc import key_slot
from redis.exceptions import AskError, ClusterDownError, MovedError, ResponseError, TryAgainError

from oferta.store.address import read_address
from oferta.store.keys import KeySpace
from oferta.store.slots import (
    Range,
    Redirect,
    Where,
    by_slot,
    is_down,
    read_slots,
    redirect,
    slot_of,
)

SPACE = KeySpace(b"0123456789abcdef")
ANNA = SPACE.digest("anna")
HERE = Where("here", 7)


@pytest.mark.parametrize(
    ("command", "key"),
    [
        ((b"GET", b"a"), b"a"),
        ((b"MGET", b"{t}:a", b"{t}:b"), b"t"),
        ((b"EVALSHA", b"sha", b"2", b"{t}:a", b"{t}:b", b"value"), b"t"),
        ((b"EVAL", b"return 1", b"1", b"k"), b"k"),
        ((b"XREADGROUP", b"GROUP", b"g", b"c", b"BLOCK", b"9", b"STREAMS", b"k", b">"), b"k"),
        ((b"XGROUP", b"CREATE", b"k", b"g", b"0", b"MKSTREAM"), b"k"),
        ((b"XINFO", b"GROUPS", b"k"), b"k"),
        ((b"XACK", b"k", b"g", b"1-1"), b"k"),
    ],
)
def test_the_slot_of_a_command_is_that_of_its_key(command: tuple[bytes, ...], key: bytes):
    assert slot_of(command) == key_slot(key)


@pytest.mark.parametrize(
    "command",
    [
        (b"PING",),
        (b"WAIT", b"1", b"9"),
        (b"INFO", b"memory"),
        (b"EVAL", b"return 1", b"0"),
        (b"SAVE",),
    ],
)
def test_a_command_without_a_key_has_no_slot(command: tuple[bytes, ...]):
    assert slot_of(command) is None


def test_all_that_is_kept_of_a_customer_lies_in_one_slot():
    names = [SPACE.state(ANNA), SPACE.recent(ANNA), SPACE.consent(ANNA), SPACE.bucket(7, 3, ANNA)]
    names += [SPACE.profile(7, 9, ANNA), SPACE.event(ANNA, "e"), SPACE.request(ANNA, "r")]
    assert by_slot(names) == [names]
    assert len(by_slot([SPACE.events(shard) for shard in range(16)])) == 16


def test_replies_that_were_not_executed_say_where_to_go():
    assert redirect(MovedError("7 there:1"), asked=HERE) == Redirect(Where("there", 1), moved=True)
    assert redirect(AskError("7 there:1"), asked=HERE) == Redirect(Where("there", 1), asking=True)
    # A node that does not know its own name: the one that we asked by.
    assert redirect(MovedError("7 :1"), asked=HERE) == Redirect(Where("here", 1), moved=True)
    assert redirect(MovedError("7 ::1:6379"), asked=HERE) == Redirect(
        Where("::1", 6379), moved=True
    )
    assert redirect(TryAgainError("later"), asked=HERE) == Redirect(None)
    for answer in (b"OK", None, 7, ResponseError("ERR"), ClusterDownError("down")):
        assert redirect(answer, asked=HERE) is None
    assert is_down(ClusterDownError("The cluster is down"))
    assert not is_down(MovedError("7 there:1"))


def test_a_map_of_slots_names_primaries():
    reply = [
        [0, 99, [b"a", 1, b"id", []], [b"replica", 9, b"id"]],
        [100, 16383, [b"", 2, b"id"]],
        [50, 50, [None, 3, b"id"]],
        [51, 51, [b"?", 4, b"id"]],
    ]
    assert read_slots(reply, asked=HERE) == [
        Range(0, 99, Where("a", 1)),
        Range(100, 16383, Where("here", 2)),
        Range(50, 50, Where("here", 3)),
        Range(51, 51, Where("here", 4)),
    ]
    for wrong in ([], b"OK", None, [[0]], ResponseError("ERR This instance has cluster disabled")):
        with pytest.raises(ValueError, match=r"."):
            read_slots(wrong, asked=HERE)


def test_one_server_and_a_cluster_are_told_apart_by_their_address():
    one = read_address("redis://user:p%40ss@host:7/3?ssl_check_hostname=true")
    assert (one.cluster, one.seeds) == (False, ())
    assert one.url == "redis://user:p%40ss@host:7/3?ssl_check_hostname=true"
    assert read_address("unix:///run/a%20b.sock").url == "unix:///run/a%20b.sock"
    many = read_address("rediss://user:p%40ss@a:1,b,[::1]:3/0?cluster=true&protocol=3")
    assert many.cluster
    assert many.seeds == (Where("a", 1), Where("b", 6379), Where("::1", 3))
    assert many.of_node(Where("c", 9)) == "rediss://user:p%40ss@c:9/0?protocol=3"
    assert many.of_node(Where("::2", 9)) == "rediss://user:p%40ss@[::2]:9/0?protocol=3"
    assert "p%40ss" not in repr(many)


def test_a_password_file_is_read_for_every_connection(tmp_path: Path):
    path = tmp_path / "password"
    path.write_text("first\n")
    with_user = read_address(f"redis://ser%2Fve@host?password_file={path}")
    alone = read_address(f"redis://host?password_file={path}")
    assert with_user.credentials is not None
    assert alone.credentials is not None
    assert with_user.credentials.get_credentials() == ("ser/ve", "first")
    assert alone.credentials.get_credentials() == ("first",)
    path.write_text("second\n")
    assert with_user.credentials.get_credentials() == ("ser/ve", "second")
    assert with_user.url == "redis://host"


@pytest.mark.parametrize(
    "url",
    [
        "redis://a,b",
        "redis://a?cluster=perhaps",
        "redis://a/2?cluster=true",
        "redis://a:seven?cluster=true",
        "redis://a,,b?cluster=true",
        "unix:///run/redis.sock?cluster=true",
        "redis://user:hunter2@a?password_file=/run/secrets/redis",
        "redis+cluster://a",
        "http://a",
    ],
)
def test_an_address_that_says_nothing_is_refused_without_repeating_it(url: str):
    with pytest.raises(ValueError, match=r".") as refused:
        read_address(url)
    assert "hunter2" not in str(refused.value)
