"""The nightly loop: ingest, train, gate, publish, look at it; each a command of its own."""
