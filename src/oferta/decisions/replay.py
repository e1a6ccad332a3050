"""A decision made again from its record: the proof that the receipt says what happened."""

from dataclasses import fields
from typing import NamedTuple

from oferta.decisions.decide import decide
from oferta.decisions.decision import Decision
from oferta.decisions.engine import Engine
from oferta.decisions.record import Record


class Difference(NamedTuple):
    """A field of a decision that came out differently."""

    field: str
    recorded: object
    replayed: object


def replay(engine: Engine, record: Record) -> Decision:
    """The decision on what the record holds.

    Equal to the recorded one where the engine is of the same policy, catalogue and rate card.
    """
    return decide(engine, record.request, record.known)


def differences(recorded: Decision, replayed: Decision) -> tuple[Difference, ...]:
    """The fields in which two decisions differ; empty: they are equal."""
    return tuple(
        Difference(field.name, before, after)
        for field in fields(Decision)
        if (before := getattr(recorded, field.name)) != (after := getattr(replayed, field.name))
    )
