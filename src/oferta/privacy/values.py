"""Protected attributes in what a column holds, whatever it is called.

Values are looked at as text, whole columns at once; what is coded (1 and 2, hashes, letters without
a meaning) says nothing here, and only the name can give it away.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping

import polars as pl

from oferta.privacy import words
from oferta.privacy.findings import Attribute

_MOST_KINDS = 2000  # a vocabulary has fewer; more are looked at by their form alone
_MOST = 0.9  # of the rows: what a clerk typed into the wrong field must not hide a column
_FEW = 0.1
_EVERY = 0.98  # single letters mean much else
_NEEDS_MORE: frozenset[Attribute] = frozenset({"national origin"})  # two could be anything
_LAST_BIRTH_YEAR, _FIRST_BIRTH_YEAR = 2015, 1900  # customers are born between
_SPAN_OF_LIVES = 35  # years between the oldest and the youngest of many customers
_YEARS_ENOUGH, _AGES_ENOUGH = 15, 30
_YOUNGEST, _OLDEST, _SPAN_OF_AGES = 14, 115, 40
_THREE, _TWO = 3, 2


_LETTERS = tuple(frozenset(pair) for pair in ("mf", "mw", "hf", "hm", "km", "vm"))
_MARITAL = frozenset("msdw")
_MARITAL_LETTERS = frozenset("msdwpcru")
_SEX_LETTERS = frozenset("mfwhkv")
_BAND = re.compile(r"(\d{1,3})(?:-|\u2013|\u2014|~|至|to)(\d{1,3})(?:岁|yrs?|years)?")
_OPEN_BAND = re.compile(
    r"(?:<=?|>=?|under|over|below|above|upto)?\d{1,3}\+?(?:andover|andolder|岁?以上|岁?以下|plus)?"
)
_AGE_ENDS = frozenset({16, 18, 25, 26, 30, 35, 36, 40, 45, 46, 50, 55, 56, 60, 65})
_DECADE = re.compile(r"\d[05]后")
_DATE = re.compile(
    r"(?:(\d{4})[-/.年]?\d{1,2}[-/.月]?\d{1,2}日?|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}))(?:[t ].*)?"
)
_CHINESE_ID = re.compile(r"\d{6}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dx]")


def attributes_of(values: pl.Series) -> Iterator[tuple[Attribute, str]]:
    """What the values say the column holds, each with words on what was seen."""
    known = values.drop_nulls()
    if isinstance(known.dtype, pl.Date | pl.Datetime):
        yield from _of_years(known.dt.year(), "dates")
        return
    counts = _counted(known)
    if not counts:
        return
    if len(counts) <= _MOST_KINDS:
        yield from _of_words(counts)
    yield from _of_forms(counts)
    numbers = _whole_numbers(known)
    if numbers is not None:
        yield from _of_years(numbers, "years")
        yield from _of_ages(numbers)


def _counted(known: pl.Series) -> Mapping[str, int]:
    """Plain value -> rows; of a column with very many values, those of some rows."""
    if known.dtype.is_nested() or known.dtype == pl.Binary:
        return {}
    text = known.cast(pl.String)
    if text.n_unique() > _MOST_KINDS:
        text = text.gather_every(max(1, len(text) // _MOST_KINDS))
    counts: dict[str, int] = {}
    for value, rows in text.value_counts().iter_rows():
        plain = _plain(value)
        if plain:
            counts[plain] = counts.get(plain, 0) + rows
    return counts


def _plain(value: str) -> str:
    text = unicodedata.normalize("NFKD", value.replace("ł", "l").replace("Ł", "l").casefold())
    return " ".join("".join(one for one in text if not unicodedata.combining(one)).split()).rstrip(
        "."
    )


def _of_words(counts: Mapping[str, int]) -> Iterator[tuple[Attribute, str]]:
    kinds, rows = set(counts), sum(counts.values())
    if _sexes(counts):
        yield "sex", _seen(counts, words.WOMEN | words.MEN | _SEX_LETTERS)
    letters = kinds >= _MARITAL or kinds - words.NOBODY | (kinds & {"d"}) == _MARITAL - {"w"}
    if letters and _rows(counts, _MARITAL_LETTERS | words.NOBODY) >= _EVERY * rows:
        yield "marital status", _seen(counts, _MARITAL_LETTERS)
    for attribute, core in words.CORE.items():
        said = core | words.WEAK.get(attribute, frozenset())
        if not kinds & core or len(kinds & said) < (_THREE if attribute in _NEEDS_MORE else _TWO):
            continue
        if _rows(counts, said | words.NOBODY) >= _MOST * rows:
            yield attribute, _seen(counts, said)


def _sexes(counts: Mapping[str, int]) -> bool:
    kinds, rows = set(counts), sum(counts.values())
    if kinds & words.WOMEN and kinds & words.MEN:
        both = words.WOMEN | words.MEN | words.THIRD | words.NOBODY | {"m", "f"}
        return _rows(counts, both) >= _MOST * rows
    if counts.get("d", 0) > _FEW * rows:  # few are neither; many is a rhythm: daily, weekly...
        return False
    return any(
        pair <= kinds and _rows(counts, pair | words.NOBODY) >= _EVERY * rows for pair in _LETTERS
    )


def _of_forms(counts: Mapping[str, int]) -> Iterator[tuple[Attribute, str]]:
    rows = sum(counts.values())
    if _rows_like(counts, _CHINESE_ID) >= _MOST * rows:
        yield "age", "its values are identity numbers, which hold the birth date"
        yield "sex", "its values are identity numbers, which hold the sex"
    if len(counts) >= _TWO and _rows_like(counts, _DECADE) >= _MOST * rows:
        yield "age", _seen(counts, frozenset(counts))
    if _are_age_bands(counts):
        yield "age", _seen(counts, frozenset(counts))
    years = [
        (int(found[1] or found[2]), number)
        for value, number in counts.items()
        if (found := _DATE.fullmatch(value))
    ]
    if years and sum(number for _, number in years) >= _MOST * rows:
        yield from _of_years(pl.Series([year for year, _ in years]), "dates")


def _are_age_bands(counts: Mapping[str, int]) -> bool:
    """Bands of two digits that end where ages are cut: 18-24, 25-34, 65+."""
    tight = {value.replace(" ", ""): rows for value, rows in counts.items()}
    bands = [band for value in tight if (band := _BAND.fullmatch(value))]
    ends = {int(band[1]) for band in bands} | {int(band[2]) + 1 for band in bands}
    if bands and all(value.endswith(("岁", "岁以上", "岁以下")) for value in tight):
        return True
    banded = _rows_like(tight, _BAND) + _rows_like(tight, _OPEN_BAND) + _rows(counts, words.NOBODY)
    return (
        len(bands) >= _TWO
        and len(ends & _AGE_ENDS) >= _THREE
        and max(ends) <= _OLDEST
        and banded >= _MOST * sum(counts.values())
    )


def _whole_numbers(known: pl.Series) -> pl.Series | None:
    if known.dtype.is_integer():
        return known
    if known.dtype.is_float():
        whole = known.filter(known.is_finite())
        return whole.cast(pl.Int64) if len(whole) and (whole == whole.round()).all() else None
    if known.dtype == pl.String:
        numbers = known.str.strip_chars().cast(pl.Int64, strict=False)
        return numbers.drop_nulls() if numbers.null_count() <= 0.02 * len(known) else None
    return None


def _of_years(years: pl.Series, what: str) -> Iterator[tuple[Attribute, str]]:
    """Births spread over lives and stop before the young: openings and registrations do not."""
    if not len(years):
        return
    born = years.is_between(_FIRST_BIRTH_YEAR, _LAST_BIRTH_YEAR)
    if int(born.sum()) < _MOST * len(years):
        return
    kept = years.filter(born)
    low, high = kept.quantile(0.01), kept.quantile(0.99)
    if low is None or high is None or kept.n_unique() < _YEARS_ENOUGH:
        return
    if high - low >= _SPAN_OF_LIVES:
        yield "age", f"its {what}, most from {low:.0f} to {high:.0f}, are spread as births are"


def _of_ages(numbers: pl.Series) -> Iterator[tuple[Attribute, str]]:
    lived = numbers.is_between(_YOUNGEST, _OLDEST)
    if not len(numbers) or int(lived.sum()) < _MOST * len(numbers):
        return
    kept = numbers.filter(lived)
    low, middle, high = (kept.quantile(part) for part in (0.01, 0.5, 0.99))
    if low is None or middle is None or high is None or kept.n_unique() < _AGES_ENOUGH:
        return
    if high - low >= _SPAN_OF_AGES and low + 5 <= middle <= high - 10:
        yield "age", f"its whole numbers, most from {low:.0f} to {high:.0f}, are spread as ages are"


def _rows(counts: Mapping[str, int], kinds: frozenset[str]) -> int:
    return sum(rows for kind, rows in counts.items() if kind in kinds)


def _rows_like(counts: Mapping[str, int], form: re.Pattern[str]) -> int:
    return sum(rows for kind, rows in counts.items() if form.fullmatch(kind))


def _seen(counts: Mapping[str, int], kinds: frozenset[str]) -> str:
    some = sorted(set(counts) & kinds, key=lambda kind: (-counts[kind], kind))[:4]
    return f"its values are {', '.join(repr(kind) for kind in some)}"
