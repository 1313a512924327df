"""Who may start, stop, pause and resume what in a running call, before anybody asks: `control` says it."""

from collections.abc import Callable, Collection, Mapping
from typing import Final

from bridge.core.calls import Call, Channel
from bridge.core.commands import Verb
from bridge.core.errors import ControlError
from bridge.core.ids import Identity
from bridge.core.live import Permitted
from bridge.core.recorder import Recorder
from bridge.core.stage import Asker, active_rules, users_on

_NOBODY: Final = Permitted()


class WhoMay:
    """Of one call, as it is now. Only a start depends on the channel: the rest is about the whole record.

    Control is asked only where there is something to stop, pause, resume or start: a wallboard of hundreds of calls is
    read several times a second.
    """

    def __init__(self, recorder: Recorder, call: Call) -> None:
        self._control, self._stretches = recorder.control, recorder.stretches_of(call)
        self._start: dict[int, Permitted] = {}
        control, pauses, demands = self._control, self._control.pauses, self._control.demands.in_call(call)
        active, paused = active_rules(recorder, call), pauses.who_paused(call)
        owners = frozenset(demand.owner for demand in demands.values())
        concerned = owners | paused | users_on(recorder, call) if active or paused else owners
        self._of_call: dict[Verb, Permitted] = {
            Verb.STOP: _permitted(owners, lambda asker: control.stoppable(call, asker)) if demands else _NOBODY,
            Verb.PAUSE: _permitted(concerned, lambda asker: pauses.pausable(call, asker)) if active else _NOBODY,
            Verb.RESUME: _permitted(concerned, lambda asker: pauses.resumable(call, asker)) if paused else _NOBODY,
        }

    def on(self, leg: Channel) -> Mapping[Verb, Permitted]:
        """Who may do what with this leg."""
        return {Verb.START: self._start_on(leg), **self._of_call}

    def _start_on(self, leg: Channel) -> Permitted:
        talk = leg.talk
        offered = next((one.offered for one in self._stretches if talk is not None and one.talk is talk), None)
        if talk is None or not offered:
            return _NOBODY
        if talk.number not in self._start:  # the same for all who talk with each other
            named = frozenset[Identity]().union(*(may for _, may in offered.values()))
            self._start[talk.number] = _permitted(named, lambda asker: self._control.startable(leg, asker))
        return self._start[talk.number]


def _permitted(users: Collection[Identity], ask: Callable[[Asker], object]) -> Permitted:
    """`users` are all who might be; `ask` raises ControlError for those who may not."""
    return Permitted(
        frozenset(one for one in users if _obeyed(ask, Asker(one, admin=False, by="api"))),
        _obeyed(ask, Asker(Identity(""), admin=True, by="api")),
    )


def _obeyed(ask: Callable[[Asker], object], asker: Asker) -> bool:
    try:
        ask(asker)
    except ControlError:
        return False
    return True
