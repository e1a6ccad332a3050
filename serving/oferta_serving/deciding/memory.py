"""How long a customer's state must be remembered."""

from typing import Final

from oferta.policy.contact import CustomerState
from oferta.policy.file import Policy

_DAY: Final = 86_400


def remember_s(policy: Policy, state: CustomerState, *, at: float) -> int:
    """Seconds from `at` until nothing of the state can matter any more, and a day.

    That is the longest period of any cap after the last of its contacts can be heard of, the
    longest cool-down, or the last silence's end, whichever comes last.
    """
    longest = max((cap.period.total_seconds() for cap in policy.caps), default=0.0)
    held = max((contact.held_until - at for contact in state.contacts), default=0.0)
    silent = max((silence.until - at for silence in state.silences), default=0.0)
    cool = policy.cool_down
    cooled = max(cool.decline, cool.later, cool.complaint, cool.accept).total_seconds()
    return round(max(longest + max(held, 0.0), cooled, silent)) + _DAY
