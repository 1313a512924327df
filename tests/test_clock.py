"""Time that does not go back while something lasts."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.clock import SteadyClock

NOON = datetime(2026, 8, 1, 12, tzinfo=UTC)


class Machine:
    """A machine's two clocks."""

    def __init__(self) -> None:
        self.wall = NOON
        self.uptime_s = 100.0
        self.clock = SteadyClock(lambda: self.wall, lambda: self.uptime_s)

    def passes(self, seconds: float) -> datetime:
        self.wall += timedelta(seconds=seconds)
        self.uptime_s += seconds
        return self.clock()

    def is_set(self, by_s: float) -> datetime:
        self.wall += timedelta(seconds=by_s)
        return self.clock()


def test_it_is_the_machines_time() -> None:
    machine = Machine()
    assert machine.passes(5) == NOON + timedelta(seconds=5)
    assert machine.is_set(3600) == NOON + timedelta(seconds=3605)


def test_set_back_it_goes_on_as_time_passes() -> None:
    machine = Machine()
    machine.passes(5)
    assert machine.is_set(-3600) == NOON + timedelta(seconds=5)
    assert machine.passes(10) == NOON + timedelta(seconds=15)
    assert machine.clock.ahead == timedelta(hours=1)


def test_it_catches_up_when_told_or_when_the_machines_clock_is_put_right() -> None:
    machine = Machine()
    machine.is_set(-3600)
    assert machine.is_set(3600) == NOON
    assert machine.clock.ahead == timedelta(0)
    machine.is_set(-3600)
    machine.clock.catch_up()
    assert machine.passes(1) == NOON - timedelta(seconds=3599)


def test_after_a_restart_it_goes_on_from_what_was_seen_last_while_that_lasts() -> None:
    machine = Machine()
    machine.clock.go_on_from(NOON + timedelta(hours=1))
    assert machine.clock.ahead == timedelta(hours=1)
    assert machine.passes(5) == NOON + timedelta(hours=1, seconds=5)
    machine.clock.catch_up()
    assert machine.passes(5) == NOON + timedelta(seconds=10)


def test_after_a_restart_it_is_the_machines_time_where_that_is_later() -> None:
    machine = Machine()
    machine.clock.go_on_from(NOON - timedelta(hours=1))
    assert machine.passes(5) == NOON + timedelta(seconds=5)
    assert machine.clock.ahead == timedelta(0)


def test_a_small_step_back_is_stood_still_for() -> None:
    machine = Machine()
    machine.passes(5)
    assert machine.is_set(-0.4) == NOON + timedelta(seconds=5)
    assert machine.passes(1) == NOON + timedelta(seconds=5.6)


@given(st.lists(st.tuples(st.floats(0, 1e4), st.floats(-1e5, 1e5)), max_size=30))
def test_it_never_goes_back_and_timers_never_stand_still(steps: list[tuple[float, float]]) -> None:
    machine = Machine()
    last = machine.clock()
    for passes_s, by_s in steps:
        before = machine.clock()
        now = machine.passes(passes_s)
        assert (now - before).total_seconds() == pytest.approx(passes_s, abs=1.1)
        assert last <= before <= now
        last = machine.is_set(by_s)
        assert last >= now
