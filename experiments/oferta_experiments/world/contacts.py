"""Who may be written to: consent as customers gave and took it back."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.random import Generator

from oferta_experiments.world.arrays import Flags, Ints
from oferta_experiments.world.people import People
from oferta_experiments.world.state import ALWAYS

PURPOSES: Final = ("personalisation", "marketing", "email", "sms", "push", "phone")
_GIVEN: Final = np.array([0.9, 0.8, 0.72, 0.55, 0.5, 0.4])
_WITHDRAWN: Final = 0.07
_NEVER_ASKED: Final = 0.04
BY_CHANNEL: Final = {"email": "email", "sms": "sms", "push": "push", "call_centre": "phone"}
"""The purpose that a channel needs besides marketing; the others need none."""


@dataclass(frozen=True, slots=True)
class Consents:
    """`(n, purposes)` each: whether it was given, was ever asked, and the day it was taken back."""

    given: Flags
    asked: Flags
    withdrawn: Ints

    def on(self, purpose: str, day: int) -> Flags:
        """`(n,)` who agrees to `purpose` on `day`."""
        place = PURPOSES.index(purpose)
        return self.given[:, place] & (self.withdrawn[:, place] > day)


def draw_consents(people: People, *, days: tuple[int, int], rng: Generator) -> Consents:
    """What each customer agreed to when they joined, and took back within `days`."""
    shape = (len(people), len(PURPOSES))
    given = rng.random(shape) < _GIVEN
    # A channel without marketing at all is a no.
    given[:, 2:] &= given[:, 1:2]
    asked = np.repeat(rng.random((len(people), 1)) >= _NEVER_ASKED, len(PURPOSES), axis=1)
    given &= asked
    withdrawn = rng.integers(days[0], days[1], shape)
    withdrawn = np.maximum(withdrawn, people.joined[:, None] + 1)
    taken_back = given & (rng.random(shape) < _WITHDRAWN) & (withdrawn < days[1])
    return Consents(given, asked, np.where(taken_back, withdrawn, ALWAYS))
