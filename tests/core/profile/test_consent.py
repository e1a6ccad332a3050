"""Consent as facts: the newest word counts, at one instant the no."""

from datetime import UTC, datetime

import pytest
from core.profile.books import Books

HEADER = "customer_id,purpose,channel,state,at\n"


def told(books: Books, *rows: str, **options: object):
    text = HEADER + "".join(f"c1,{row}\n" for row in rows)
    profile = books.write(consent=text).profile(**options)
    return {
        name.removeprefix("consent_"): value
        for name, value in profile.items()
        if name.startswith("consent_") and value is not None
    }


def test_what_was_never_said_is_unknown(books: Books):
    assert books.profile()["consent_personalisation"] is None
    assert told(books, "marketing,,in,2025-01-01") == {"marketing": True}


def test_the_newest_word_counts(books: Books):
    rows = "personalisation,,in,2025-01-01", "personalisation,,out,2025-06-01"
    assert told(books, *rows) == {"personalisation": False}
    assert told(books, *rows, as_of=datetime(2025, 3, 1, tzinfo=UTC)) == {"personalisation": True}
    assert told(books, *rows, "personalisation,,in,2025-07-01") == {"personalisation": True}


def test_at_one_instant_the_no_stands_whichever_way_it_was_said(books: Books):
    # The channel as purpose and the purpose with a channel: two keys, one fact.
    rows = ("email,,out,2025-01-01", "marketing,email,in,2025-01-01")
    assert told(books, *rows) == {"email": False}
    assert told(books, *reversed(rows)) == {"email": False}


@pytest.mark.parametrize("channel", ["email", "sms", "push", "phone"])
def test_marketing_by_a_channel_is_the_channels(books: Books, channel: str):
    rows = f"marketing,{channel},out,2025-01-01", "marketing,,in,2025-01-01"
    assert told(books, *rows) == {channel: False, "marketing": True}


def test_a_no_of_a_clock_that_is_ahead_counts_from_when_it_was_read(books: Books):
    rows = "email,,in,2026-02-28", "email,,out,2031-01-01"
    assert told(books, *rows) == {"email": False}
    assert told(books, *rows, as_of=datetime(2026, 2, 28, 12, tzinfo=UTC)) == {"email": True}


def test_a_purpose_or_channel_of_the_sellers_own_is_no_fact(books: Books):
    assert told(books, "research,,in,2025-01-01", "marketing,fax,in,2025-01-01") == {}
