"""The fuzz targets on some hundred inputs each: `make fuzz` runs them for longer."""

import struct

import pytest
from fuzz.targets import TARGETS, Target, attempt
from hypothesis import given, settings
from hypothesis import strategies as st

from oferta.errors import RecordCorrupt

QUICK = [name for name in TARGETS if name != "csv"]


@pytest.mark.parametrize("name", QUICK)
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_bytes_raise_anything_else(name: str, data: st.DataObject):
    target = TARGETS[name]
    seed = data.draw(st.sampled_from(target.seeds))
    mutated = bytearray(seed)
    for at, value in data.draw(
        st.lists(st.tuples(st.integers(0, 63), st.integers(0, 255)), max_size=4)
    ):
        if at < len(mutated):
            mutated[at] = value
    attempt(target, bytes(mutated) + data.draw(st.binary(max_size=200)))


@settings(max_examples=40, deadline=None)
@given(tail=st.binary(max_size=80))
def test_no_csv_raises_anything_else(tail: bytes):
    target = TARGETS["csv"]
    attempt(target, target.seeds[0] + tail)
    attempt(target, tail)


@pytest.mark.parametrize("name", TARGETS)
def test_the_seeds_are_taken(name: str):
    for seed in TARGETS[name].seeds:
        attempt(TARGETS[name], seed)


def test_a_decoder_that_trusts_its_bytes_is_found():
    trusting = Target(lambda data: struct.unpack_from("<I", data, 4), (RecordCorrupt,))
    with pytest.raises(struct.error):
        attempt(trusting, b"12")
