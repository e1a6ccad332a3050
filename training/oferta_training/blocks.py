"""Scored customers on their way to files: blocks that are joined into parts."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from oferta.scoring.topk import TopK


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Whole customers from `start` on: their lists as rows of SCORES, and as numbers."""

    start: int
    rows: pl.DataFrame
    best: TopK
    chance: NDArray[np.float32]


def parts(blocks: Iterable[Block], part_rows: int) -> Iterator[Block]:
    """The blocks joined into ones of `part_rows` rows at most, where none is larger."""
    waiting: list[Block] = []
    for block in blocks:
        if waiting and sum(len(each.rows) for each in waiting) + len(block.rows) > part_rows:
            yield _joined(waiting)
            waiting = []
        waiting.append(block)
    if waiting:
        yield _joined(waiting)


def _joined(blocks: list[Block]) -> Block:
    best = [each.best for each in blocks]
    return Block(
        blocks[0].start,
        pl.concat([each.rows for each in blocks]),
        TopK(
            np.concatenate([each.products for each in best]),
            np.concatenate([each.scores for each in best]),
        ),
        np.concatenate([each.chance for each in blocks]),
    )
