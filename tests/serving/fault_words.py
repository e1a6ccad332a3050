"""What each of the faults 41 to 100 is, and what happens then, in a line."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

Words = tuple[str, str]
"""The fault; what happens."""

API: Final[Mapping[int | str, Words]] = MappingProxyType(
    {
        41: (
            "an id too long, empty, `.` or `..`, with control characters",
            "422 without the id; every id that ingest takes round-trips",
        ),
        42: ("a lone surrogate, as `\\ud800`", "422"),
        43: ("`NaN` or `Infinity` in JSON", "400"),
        44: ("numbers of hundreds of digits", "422"),
        45: ("a key twice in a JSON object", "400"),
        46: ('`true`, `"12"`, `1_0`, `5.0` or ` 5` for an integer', "422"),
        47: ("an unknown parameter or field", "422 with the nearest name"),
        48: ("a parameter twice, as `n=5&n=999`", "400"),
        49: ("a number out of its bounds", "422 with the bounds"),
        50: (
            "an unknown channel, placement, category, segment or tenant",
            "422 or 404, never all of them",
        ),
        51: ("an unknown customer", "200, everybody's list in the shape of any other, `cold`"),
        52: (
            "a batch of none, of too many, with duplicates, with bad rows",
            "422, 413; duplicates once; a bad row is named, the others are served",
        ),
        53: ("broken JSON, nesting of 100,000, other encodings", "400 at once"),
        54: (
            "a body of 64 MB, without an end, with a lying length, drip by drip",
            "413 while it streams, 408 after 5 s",
        ),
        55: ("no or another content type, compressed bodies", "415, 406"),
        56: ("a URL or header of 100 kB, a thousand headers", "414, 431"),
        57: (
            "no key, an expired, a revoked, another's, one in the URL",
            "401, 403, 404, 400; compared in constant time, written to the audit log",
        ),
        58: ("JSON web tokens of all kinds", "no token is believed"),
        59: ("an event id again, with the same body or another", "200 `duplicate`; 409"),
        60: ("an event of the future, a year old, in the wrong unit", "422, and never counted"),
        61: (
            "an event for a product that is not on sale",
            "202 `parked`; applied when it appears, else a dead letter",
        ),
        62: ("a decision that is unknown or somebody else's", "422, the same for both"),
        63: ("a flood from one key", "429 with `Retry-After`; others notice nothing"),
        64: (
            "an opt-out twice, of nobody known, while Redis is away",
            "200, once it is on the disk of the ledger",
        ),
        65: (
            "an erasure during a publish or a training",
            "what they write of the customer is left out, or removed by the next run",
        ),
        66: (
            "other methods, old or pipelined HTTP, pairs that smuggle",
            "405; what is ambiguous is refused and the connection closed",
        ),
        67: (
            "a caller that goes away in the middle",
            "reads end with it, and nobody gets another's answer",
        ),
        68: ("administration over HTTP", "there is none; every route asks for its scope"),
    }
)
"""Of the API."""

OPERATION: Final[Mapping[int | str, Words]] = MappingProxyType(
    {
        69: (
            "Redis hangs, drips, resets, cuts replies",
            "everybody's list within 60 ms, 5 ms once the breaker is open; it heals in 2 s",
        ),
        70: (
            "Redis is killed, and loads its file for long",
            "as if it were away, until it has loaded",
        ),
        71: (
            "Redis comes back empty",
            "`L3`, an alarm, `oferta publish --if-missing`; never a release without customers",
        ),
        72: ("Redis is full", "reads go on; writes are 503; a publish stops before the swap"),
        73: ("Redis's disk is full", "reads go on, writes are 503; it heals by itself"),
        74: ("a primary became a replica", "who its name leads to by then is asked, once"),
        75: ("a replica is behind", "replicas are never asked"),
        76: ("slots of a cluster move", "followed; else the ladder"),
        77: (
            "passwords change, rights are missing",
            "the new one is used without a refusal; a line in the log a minute",
        ),
        78: ("a certificate is over, or of another host", "refused, never plain"),
        79: ("an evicting policy is set", "an alarm within half a minute, and no publish"),
        80: ("`FLUSHALL` by accident", "as 71; the users that we document may not do it"),
        81: (
            "a key of another type, or another program's",
            "the row counts as missing, and is counted",
        ),
        82: ("flipped bits in a record", "the release before, then everybody's list; never served"),
        83: (
            "Redis's file is torn at its end, or damaged in the middle",
            "cut off and loaded; refused, with what to do",
        ),
        "83b": (
            "a disk fails under Redis, or under the ledger",
            "Redis ends and is away; consent is 503, and nothing is acknowledged",
        ),
        84: (
            "a publisher is killed at any step",
            "the live release stays whole; the next run removes the rest",
        ),
        85: ("two publishers; one wakes late", "the later number wins, the other ends with 3"),
        86: ("scores of an older dataset than the live one's", "refused: `skew.catalogue`"),
        87: ("rows are missing or damaged before the swap", "no swap"),
        88: (
            "a release far worse than the live one",
            "stopped; `--override` wants a reason and keeps it",
        ),
        89: (
            "no publish for days",
            "served and flagged `stale`; after two weeks nothing is offered",
        ),
        90: (
            "the tracking server is down, slow or full",
            "serving never asks it",
        ),
        91: ("a stored model was altered", "refused: another hash"),
        92: ("a folder of scores is unfinished, altered or another's", "not read"),
        93: ("a worker dies", "replaced; its connections fail once"),
        94: ("no file descriptors are left", "it waits, serves again, and names the limit"),
        95: ("the clock jumps by a day", "no time limit hangs on it"),
        96: (
            "nobody reads the log, its pipe is closed",
            "lines are lost and counted, answers are not",
        ),
        97: (
            "a misspelt or impossible setting",
            "it does not start; all mistakes at once, no secret among them",
        ),
        98: ("old and new programs over one Redis", "update serving first, then publish"),
        99: ("going back after a new schema", "there is none to go back from"),
        100: ("one customer's row makes the scorer fail", "the run ends, the live release stays"),
    }
)
"""Of operation."""
