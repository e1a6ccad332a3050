"""The tables of the consent ledger, and the triggers that keep it append-only.

The triggers are the file's, so they hold for whoever opens it, whatever program it is.
"""

from typing import Final

APPLICATION_ID: Final = 0x4F465243
"""`OFRC`, in the file's header: another program's database is refused."""

VERSION: Final = 1

SCHEMA: Final = """
CREATE TABLE entries (
    seq INTEGER PRIMARY KEY,
    customer_id TEXT NOT NULL,      -- of who was forgotten: their tombstone
    purpose TEXT NOT NULL,
    channel TEXT,
    state TEXT NOT NULL CHECK (state IN ('in', 'out')),
    at INTEGER NOT NULL,            -- microseconds of the epoch, as received_at
    received_at INTEGER NOT NULL,
    source TEXT,                    -- null of who was forgotten, as proof and salt
    proof TEXT,
    policy_version TEXT,
    salt BLOB,
    link BLOB NOT NULL              -- SHA-256 over the link before, the salt and the entry
);
CREATE INDEX entries_by_customer ON entries (customer_id);

CREATE TABLE forgotten (
    tombstone TEXT NOT NULL,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (tombstone, seq)
) WITHOUT ROWID;

-- Who became a customer anew, and which erasure that ended.
CREATE TABLE returned (
    tombstone TEXT NOT NULL,
    seq INTEGER NOT NULL,
    reason TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (tombstone, seq)
) WITHOUT ROWID;

-- The next entry's number is above this: higher numbers were given before a backup was restored.
CREATE TABLE floor (seq INTEGER NOT NULL);
INSERT INTO floor VALUES (0);

-- What is in force: made of the entries, by the trigger below.
CREATE TABLE words (
    customer_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    state TEXT NOT NULL,
    at INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (customer_id, subject)
) WITHOUT ROWID;
CREATE INDEX words_by_subject ON words (subject, state);

CREATE TRIGGER entries_in_force AFTER INSERT ON entries
WHEN NEW.purpose <> 'erasure'
BEGIN
    INSERT INTO words (customer_id, subject, state, at, seq)
    VALUES (
        NEW.customer_id,
        CASE WHEN NEW.purpose = 'marketing' AND NEW.channel IS NOT NULL
             THEN NEW.channel ELSE NEW.purpose END,
        NEW.state, NEW.at, NEW.seq
    )
    ON CONFLICT (customer_id, subject) DO UPDATE
    SET state = excluded.state, at = excluded.at, seq = excluded.seq
    WHERE excluded.at > at OR (excluded.at = at AND excluded.state = 'out');
END;

CREATE TRIGGER entries_in_order BEFORE INSERT ON entries
WHEN NEW.seq <= (SELECT coalesce(max(seq), 0) FROM entries)
BEGIN SELECT RAISE(ABORT, 'the consent ledger is append-only'); END;

CREATE TRIGGER entries_stay BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'the consent ledger is append-only'); END;

CREATE TRIGGER entries_as_they_are BEFORE UPDATE ON entries
WHEN NOT (
    NEW.customer_id IN (SELECT tombstone FROM forgotten)
    AND NEW.source IS NULL AND NEW.proof IS NULL AND NEW.salt IS NULL
    AND NEW.seq = OLD.seq AND NEW.purpose = OLD.purpose AND NEW.channel IS OLD.channel
    AND NEW.state = OLD.state AND NEW.at = OLD.at AND NEW.received_at = OLD.received_at
    AND NEW.policy_version IS OLD.policy_version AND NEW.link = OLD.link
)
BEGIN SELECT RAISE(ABORT, 'the consent ledger is append-only'); END;

-- Requests to be forgotten (`oferta.privacy.erasures`).
CREATE TABLE erasures (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    tombstone TEXT NOT NULL,
    reason TEXT NOT NULL,
    requested_at REAL NOT NULL,     -- epoch seconds, as finished_at
    subject TEXT,                   -- JSON: who it is; null once it is done
    finished_at REAL,
    receipt TEXT
);
CREATE UNIQUE INDEX erasures_open ON erasures (tombstone) WHERE finished_at IS NULL;
CREATE TABLE erasure_places (
    erasure TEXT NOT NULL,
    place TEXT NOT NULL,
    erased INTEGER NOT NULL,
    state TEXT NOT NULL,
    trouble TEXT,                   -- why it is not done yet
    at REAL NOT NULL,
    PRIMARY KEY (erasure, place)
) WITHOUT ROWID;

CREATE TRIGGER forgotten_stay BEFORE DELETE ON forgotten
BEGIN SELECT RAISE(ABORT, 'the consent ledger is append-only'); END;
CREATE TRIGGER forgotten_as_they_are BEFORE UPDATE ON forgotten
BEGIN SELECT RAISE(ABORT, 'the consent ledger is append-only'); END;
"""

GUARDS: Final = """
-- Words in force are changed by the entries alone: a word is what a newer entry says of it.
CREATE TRIGGER IF NOT EXISTS words_are_said BEFORE INSERT ON words
WHEN NOT EXISTS (
    SELECT 1 FROM entries WHERE seq = NEW.seq AND customer_id = NEW.customer_id
        AND state = NEW.state AND at = NEW.at
        AND CASE WHEN purpose = 'marketing' AND channel IS NOT NULL
                 THEN channel ELSE purpose END = NEW.subject
)
BEGIN SELECT RAISE(ABORT, 'the consent ledger is append-only'); END;

CREATE TRIGGER IF NOT EXISTS words_as_they_are BEFORE UPDATE ON words
WHEN NEW.customer_id <> OLD.customer_id OR NEW.subject <> OLD.subject OR NEW.at < OLD.at
    OR (NEW.at = OLD.at AND NEW.state <> 'out')
    OR NOT EXISTS (
        SELECT 1 FROM entries WHERE seq = NEW.seq AND customer_id = NEW.customer_id
            AND state = NEW.state AND at = NEW.at
            AND CASE WHEN purpose = 'marketing' AND channel IS NOT NULL
                     THEN channel ELSE purpose END = NEW.subject
    )
BEGIN SELECT RAISE(ABORT, 'the consent ledger is append-only'); END;

CREATE TRIGGER IF NOT EXISTS words_stay BEFORE DELETE ON words
WHEN EXISTS (SELECT 1 FROM entries WHERE customer_id = OLD.customer_id)
BEGIN SELECT RAISE(ABORT, 'the consent ledger is append-only'); END;

CREATE TRIGGER IF NOT EXISTS floor_rises BEFORE UPDATE ON floor WHEN NEW.seq < OLD.seq
BEGIN SELECT RAISE(ABORT, 'the consent ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS floor_stays BEFORE DELETE ON floor
BEGIN SELECT RAISE(ABORT, 'the consent ledger is append-only'); END;

CREATE TRIGGER IF NOT EXISTS erasures_stay BEFORE DELETE ON erasures
BEGIN SELECT RAISE(ABORT, 'the consent ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS erasures_as_they_are BEFORE UPDATE ON erasures
WHEN NEW.id <> OLD.id OR NEW.tombstone <> OLD.tombstone OR NEW.reason <> OLD.reason
    OR NEW.requested_at <> OLD.requested_at
    OR (OLD.finished_at IS NOT NULL AND (NEW.finished_at IS NULL OR NEW.subject IS NOT NULL))
BEGIN SELECT RAISE(ABORT, 'the consent ledger is append-only'); END;
"""
"""Triggers for the tables made of entries; ledgers that were made without get them as they open."""

LAST_GUARD: Final = "erasures_as_they_are"
"""Where this one is, all are: they are made at once."""
