import doctest
from datetime import timedelta

import pytest

from oferta.errors import SplitRefused
from oferta.evaluation import cuts, splits
from oferta.evaluation.cuts import ColdCut, ColumnCut, LeaveOneOut, RandomCut, TimeCut, parse_cut


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("time:28d", TimeCut(timedelta(days=28))),
        ("time:36h", TimeCut(timedelta(hours=36))),
        ("column:part", ColumnCut("part")),
        ("column:part=valid", ColumnCut("part", "valid")),
        ("leave-one-out", LeaveOneOut("last")),
        ("leave-one-out:random", LeaveOneOut("random")),
        ("random:0.2", RandomCut(0.2)),
        ("cold-products:0.2", ColdCut("products", 0.2)),
        ("cold-customers:0.25", ColdCut("customers", 0.25)),
    ],
)
def test_every_form_is_read_and_written_back(text: str, cut: object):
    assert parse_cut(text) == cut
    assert parse_cut(str(cut)) == cut


@pytest.mark.parametrize(
    "text",
    [
        *("", "time", "time:0d", "time:28", "time:-1d", "random:1", "random:0", "random:2.0"),
        *("column:", "cold-products", "cold-customers:1", "cold-products:.0", "cold-offers:0.2"),
    ],
)
def test_what_is_no_split_is_refused_with_the_forms_that_are(text: str):
    with pytest.raises(SplitRefused, match="leave-one-out:last"):
        parse_cut(text)


@pytest.mark.parametrize("module", [cuts, splits])
def test_examples_in_the_docstrings_hold(module: object):
    found = doctest.testmod(module)  # type: ignore[arg-type] # a module
    assert found.attempted
    assert not found.failed
