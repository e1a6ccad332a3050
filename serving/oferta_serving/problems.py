"""What a request is refused with: a row of the table of problems in one shape (RFC 9457).

A problem names the rule that was broken, and where one of *our* names is known (a parameter, a
field), that name. What was sent is not repeated, with two exceptions that the caller needs to find
the mistake: the name of a field that there is not, and the expression of a filter. Codes are stable
and may be matched by programs.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final

import orjson

from oferta.errors import InputError
from oferta_serving.problem_table import PROBLEMS

MEDIA_TYPE = "application/problem+json"

_FIELD_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
"""What may be repeated as the name of a field: it can hold neither markup nor a sentence."""


@dataclass(frozen=True, slots=True)
class ItemError:
    """What is wrong with one position of a list in the body.

    Attributes:
        facts: further members of the problem, as `where`, `nearest` or `allowed`.
    """

    index: int
    code: str
    facts: Mapping[str, object] = field(default_factory=dict)


class RequestRefused(InputError):
    """A request that is not served: `code` is a row of `PROBLEMS`.

    Attributes:
        where: the parameter or field that is meant.
        bounds: least and most, for a number out of range.
        errors: per position, for a list.
        near: the name of ours that is nearest to one that nothing has.
        headers: more response headers, as `Allow`.
        facts: further members of the problem.
    """

    def __init__(
        self,
        code: str,
        where: str | None = None,
        *,
        bounds: tuple[int, int] | None = None,
        errors: Sequence[ItemError] = (),
        near: str | None = None,
        headers: Sequence[tuple[bytes, bytes]] = (),
        facts: Mapping[str, object] | None = None,
    ) -> None:
        self.code = code
        self.where = where
        self.bounds = bounds
        self.errors = tuple(errors)
        self.near = near
        self.headers = tuple(headers)
        self.facts = dict(facts or {})
        about = "" if where is None else f"{where}: "
        hint = PROBLEMS[code].remedy if near is None else f"Did you mean '{near}'?"
        super().__init__(f"{about}{PROBLEMS[code].title} [{code}]. {hint}")

    @property
    def status(self) -> int:
        """The HTTP status that goes with the code."""
        return PROBLEMS[self.code].status


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Which of our names is meant by `name`, if one is near it."""
    return next(iter(get_close_matches(name[:128], list(known), n=1)), None)


def unknown_field(
    names: Iterable[str], known: Iterable[str], *, inside: str | None = None
) -> RequestRefused | None:
    """The refusal of the first of `names` that is not `known`; None: all are.

    `inside` is the field that holds them. A name that is no identifier is not repeated.
    """
    fields = sorted(known)
    unknown = next((name for name in names if name not in fields), None)
    if unknown is None:
        return None
    if not _FIELD_NAME.fullmatch(unknown):
        return RequestRefused("body.unknown_field", inside)
    where = unknown if inside is None else f"{inside}.{unknown}"
    return RequestRefused("body.unknown_field", where, near=nearest(unknown, fields))


def problem_fields(code: str, where: str | None = None) -> dict[str, object]:
    """The problem as RFC 9457 members; `type` is a name, not an address that must resolve."""
    row = PROBLEMS[code]
    fields: dict[str, object] = {
        "type": f"urn:oferta:problem:{code}",
        "title": row.title,
        "status": row.status,
        "detail": row.remedy,
        "code": code,
    }
    if where is not None:
        fields["where"] = where
    return fields


def problem_row(error: ItemError) -> dict[str, object]:
    """What became of a position of a list that was refused."""
    return {
        "index": error.index,
        "status": PROBLEMS[error.code].status,
        "problem": {**problem_fields(error.code), **error.facts},
    }


def problem_body(refused: RequestRefused, request_id: str) -> bytes:
    """The problem as the bytes of the answer."""
    fields = problem_fields(refused.code, refused.where)
    if refused.bounds is not None:
        fields["bounds"] = list(refused.bounds)
    if refused.near is not None:
        fields["nearest"] = refused.near
    if refused.errors:
        fields["errors"] = [
            {"index": one.index, "code": one.code, **one.facts} for one in refused.errors
        ]
    fields |= refused.facts
    fields["request_id"] = request_id
    return orjson.dumps(fields)


def problem_headers(refused: RequestRefused, length: int) -> list[tuple[bytes, bytes]]:
    """The headers that go with `problem_body`, the request id aside."""
    return [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(length).encode()),
        (b"cache-control", b"no-store"),
        *refused.headers,
    ]
