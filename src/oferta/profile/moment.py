"""The instant as of which a profile is made, and the days that instants are in its zone."""

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

import polars as pl

from oferta.columns import INSTANT

DAY_US = 86_400_000_000
MONTH_DAYS = 30.4375
YEAR_DAYS = 365.25


@dataclass(frozen=True, slots=True)
class Moment:
    """An aware instant and the zone in which its day is counted.

    `latest`: the data ends here, so what the books say without a date was so by then; at an earlier
    moment it was not known yet.
    """

    as_of: datetime
    zone: ZoneInfo
    latest: bool = True

    @property
    def today(self) -> date:
        """The day of `as_of`."""
        return self.as_of.astimezone(self.zone).date()

    @property
    def instant(self) -> pl.Expr:
        """`as_of` as a literal of the tables' type."""
        return pl.lit(self.as_of, INSTANT)

    def day(self, at: pl.Expr) -> pl.Expr:
        """The local day of each instant."""
        return at.dt.convert_time_zone(self.zone.key).dt.date()

    def book_day(self, at: pl.Expr) -> pl.Expr:
        """The day that each time of the books is: of contracts, valuations, registrations.

        Books tell days, not hours, and a day that came without a zone is a midnight in UTC: it is
        that day in every zone. Any other time is its local day.
        """
        return pl.when(at == at.dt.truncate("1d")).then(at.dt.date()).otherwise(self.day(at))

    def last_day(self, end: pl.Expr) -> pl.Expr:
        """The last day before each first instant after, in the books."""
        whole = end == end.dt.truncate("1d")
        before = self.day(end.dt.offset_by("-1us"))
        return pl.when(whole).then(end.dt.date().dt.offset_by("-1d")).otherwise(before)

    def whole_months(self, since: pl.Expr) -> pl.Expr:
        """Calendar months from each time of the books to today, Int64: as many as fell due.

        From 10 March to 9 April none, to 10 April one.
        """
        day, today = self.book_day(since), self.today
        months = (today.year - day.dt.year()) * 12 + (today.month - day.dt.month().cast(pl.Int64))
        return months - (day.dt.day() > today.day).cast(pl.Int64)

    def age_days(self, at: pl.Expr) -> pl.Expr:
        """Days from each instant to `as_of`, with their fraction."""
        return (self.instant - at).dt.total_microseconds() / DAY_US
