"""When Redis is left alone, by a clock that the test moves."""

from oferta_serving.breaker import Breaker


class Hand:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


def breaker_at(clock: Hand) -> Breaker:
    return Breaker(open_after=5, probe_s=0.5, clock=clock)


def fail(breaker: Breaker, clock: Hand, times: int, *, every: float) -> None:
    for _ in range(times):
        breaker.failed()
        clock.at += every


def test_five_failures_in_a_row_open_it():
    clock = Hand()
    breaker = breaker_at(clock)
    fail(breaker, clock, 4, every=0.05)
    assert not breaker.is_open
    fail(breaker, clock, 1, every=0.05)
    assert breaker.is_open


def test_one_stall_that_fails_many_calls_at_once_does_not():
    clock = Hand()
    breaker = breaker_at(clock)
    fail(breaker, clock, 64, every=0.0001)
    assert not breaker.is_open


def test_a_success_starts_the_count_again():
    clock = Hand()
    breaker = breaker_at(clock)
    fail(breaker, clock, 4, every=0.05)
    breaker.succeeded()
    fail(breaker, clock, 4, every=0.05)
    assert not breaker.is_open


def test_every_other_call_failing_opens_it_too():
    clock = Hand()
    breaker = breaker_at(clock)
    for _ in range(12):
        breaker.succeeded()
        fail(breaker, clock, 1, every=0.06)
    assert breaker.is_open


def test_open_it_lets_one_probe_through_per_period_and_closes_on_success():
    clock = Hand()
    breaker = breaker_at(clock)
    fail(breaker, clock, 5, every=0.05)
    clock.at += 0.4
    assert not breaker.may_probe()
    clock.at += 0.1
    assert breaker.may_probe()
    assert not breaker.may_probe()
    breaker.succeeded()  # a request that was under way when it opened
    assert breaker.is_open
    breaker.recovered()
    assert not breaker.is_open
    assert breaker.may_probe()
