"""Whether the tables of a consent ledger agree with its entries, which are what was said.

Answers ask the table of words in force, not the entries: altered, it would let a refusal go
unheeded while every entry is as it was written.
"""

import sqlite3
from typing import Final

_IN_FORCE: Final = """
SELECT customer_id, subject, state, at, seq FROM (
    SELECT *, row_number() OVER (
        PARTITION BY customer_id, subject
        ORDER BY at DESC, state = 'out' DESC, CASE state WHEN 'out' THEN -seq ELSE seq END
    ) AS place FROM (
        SELECT customer_id, state, at, seq,
            CASE WHEN purpose = 'marketing' AND channel IS NOT NULL
                 THEN channel ELSE purpose END AS subject
        FROM entries WHERE purpose <> 'erasure'
            AND customer_id NOT IN (SELECT tombstone FROM forgotten)
    )
) WHERE place = 1
"""
"""The newest word of each subject; of two of one instant the no; as the trigger decides."""

_WORDS: Final = "SELECT customer_id, subject, state, at, seq FROM words"

_CHECKS: Final = (
    ("words in force that no entry says", f"{_WORDS} EXCEPT {_IN_FORCE}"),
    ("words that entries say and are not in force", f"{_IN_FORCE} EXCEPT {_WORDS}"),
    (
        "customers marked as forgotten without an entry that says so",
        (
            "SELECT tombstone, seq FROM forgotten EXCEPT"
            " SELECT customer_id, seq FROM entries WHERE purpose = 'erasure'"
        ),
    ),
    (
        "entries of who was forgotten, without the mark",
        (
            "SELECT customer_id, seq FROM entries WHERE purpose = 'erasure' EXCEPT"
            " SELECT tombstone, seq FROM forgotten"
        ),
    ),
    (
        "customers who came back without having been forgotten",
        "SELECT tombstone, seq FROM returned EXCEPT SELECT tombstone, seq FROM forgotten",
    ),
    (
        "erasures that are done, of customers who were not forgotten",
        (
            "SELECT id FROM erasures WHERE finished_at IS NOT NULL"
            " AND tombstone NOT IN (SELECT tombstone FROM forgotten)"
        ),
    ),
    (
        "erasures half marked as done",
        (
            "SELECT id FROM erasures WHERE (finished_at IS NULL) <> (receipt IS NULL)"
            " OR (finished_at IS NULL) <> (subject IS NOT NULL)"
        ),
    ),
    (
        "lowest numbers, of which there is one",
        "SELECT 1 WHERE (SELECT count(*) FROM floor WHERE seq >= 0) <> 1",
    ),
)


def disagreeing(file: sqlite3.Connection) -> list[str]:
    """What of the tables is not as the entries have it, in words and counts; nobody is named.

    Raises:
        sqlite3.Error: the file cannot be read.
    """
    found: list[str] = []
    for said, query in _CHECKS:
        (rows,) = file.execute(f"SELECT count(*) FROM ({query})").fetchone()  # noqa: S608 - constants
        if rows:
            found.append(f"{said}: {rows:,}")
    return found
