"""Which of what Asterisk says of keys are presses, each once."""

from datetime import timedelta
from itertools import permutations

import pytest

from bridge.core import messages as m
from bridge.core.ids import Uniqueid
from bridge.core.presses import Presses
from tests.core.pbx import START

LEG = Uniqueid("1.1")
OTHER = Uniqueid("1.2")


def acts(*happens: tuple[float, str], until_s: float = 20.0) -> int:
    """How often the record key acts: `happens` are seconds and a digit, or UE for the feature map's UserEvent."""
    presses, acted = Presses(), 0
    for at_s, what in (*happens, (until_s, "")):
        at = START + timedelta(seconds=at_s)
        due = presses.wake_at()
        if due is not None and due <= at:
            acted += len(presses.due(due))
        if what == "UE":
            acted += presses.toggled(m.RecordToggled(at, LEG))
        elif what:
            presses.digit(m.DigitPressed(at, LEG, what))
    assert presses.wake_at() is None
    return acted


@pytest.mark.parametrize("order", [one for one in permutations(["*", "3", "UE"]) if one.index("*") < one.index("3")])
@pytest.mark.parametrize("apart_s", [0.0, 0.1, 0.4])
def test_a_press_that_is_said_by_digits_and_by_user_event_acts_once(order: tuple[str, ...], apart_s: float) -> None:
    assert acts(*((number * apart_s, what) for number, what in enumerate(order))) == 1


@pytest.mark.parametrize("late_s", [0.49, 0.5, 0.51, 1.9])
def test_a_user_event_that_comes_after_its_digits_acted_is_the_same_press(late_s: float) -> None:
    assert acts((0, "*"), (0.1, "3"), (0.1 + late_s, "UE")) == 1


@pytest.mark.parametrize("late_s", [0.1, 1.9])
def test_digits_that_come_after_their_user_event_are_the_same_press(late_s: float) -> None:
    assert acts((0, "UE"), (late_s - 0.1, "*"), (late_s, "3")) == 1


def test_either_alone_is_a_press() -> None:
    assert acts((0, "*"), (0.3, "3")) == 1
    assert acts((0, "UE")) == 1


def test_presses_one_after_another_are_all_taken() -> None:
    assert acts(*((number, "UE") for number in range(10))) == 10
    assert acts(*((number * 1.0 + later, key) for number in range(10) for later, key in ((0, "*"), (0.1, "3")))) == 10
    both = ((0, "*"), (0.1, "3"), (0.2, "UE"))
    assert acts(*((number * 1.0 + later, what) for number in range(10) for later, what in both)) == 10


def test_a_press_by_digits_alone_counts_soon_after_one_that_was_said_twice() -> None:
    assert acts((0, "*"), (0.1, "3"), (0.2, "UE"), (1.0, "*"), (1.1, "3")) == 2


@pytest.mark.parametrize(
    "keys",
    [
        [(0, "*"), (3.0, "3")],
        [(0, "3"), (0.1, "*")],
        [(0, "*"), (0.1, "2"), (0.2, "3")],
        [(0, "*"), (0.1, "2"), (0.2, "6")],
        [(0, "3"), (0.1, "3")],
    ],
)
def test_other_digits_and_slow_ones_are_none(keys: list[tuple[float, str]]) -> None:
    assert acts(*keys) == 0


def test_the_last_star_counts() -> None:
    assert acts((0, "*"), (2.5, "*"), (5.0, "3")) == 1


def test_digits_of_two_channels_make_no_press() -> None:
    presses = Presses()
    presses.digit(m.DigitPressed(START, LEG, "*"))
    presses.digit(m.DigitPressed(START, OTHER, "3"))
    assert presses.wake_at() is None


def test_a_channel_turns_the_flags_once() -> None:
    presses = Presses()
    assert [presses.flags_toggled(m.CallRecordToggled(START, leg)) for leg in (LEG, LEG, OTHER)] == [True, False, True]


def test_nothing_is_kept_of_a_channel_that_is_gone() -> None:
    presses = Presses()
    for digit in "*3*":
        presses.digit(m.DigitPressed(START, LEG, digit))
    presses.flags_toggled(m.CallRecordToggled(START, LEG))
    presses.gone(LEG)
    assert presses.wake_at() is None
    presses.digit(m.DigitPressed(START, LEG, "3"))
    assert presses.due(START + timedelta(seconds=9)) == []
