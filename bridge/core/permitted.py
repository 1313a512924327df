"""Who may start, stop, pause and resume what in a running call, before anybody asks: `control` says it."""

from collections.abc import Callable, Collection, Mapping

from bridge.core.calls import Call, Channel
from bridge.core.commands import Verb
from bridge.core.errors import ControlError
from bridge.core.ids import Identity
from bridge.core.live import Permitted
from bridge.core.recorder import Recorder
from bridge.core.stage import Asker, users_on


class WhoMay:
    """Of one call, as it is now. Only a start depends on the channel: the rest is about the whole record."""

    def __init__(self, recorder: Recorder, call: Call) -> None:
        self._control, self._stretches = recorder.control, recorder.stretches_of(call)
        control = self._control
        owners = frozenset(demand.owner for demand in control.demands.in_call(call).values())
        on_call = users_on(recorder, call)
        self._of_call: Mapping[Verb, Permitted] = {
            Verb.STOP: _permitted(owners, lambda asker: control.stoppable(call, asker)),
            Verb.PAUSE: _permitted(owners | on_call, lambda asker: control.pauses.pausable(call, asker)),
            Verb.RESUME: _permitted(
                owners | on_call | control.pauses.who_paused(call), lambda asker: control.pauses.resumable(call, asker)
            ),
        }

    def on(self, leg: Channel) -> Mapping[Verb, Permitted]:
        """Who may do what with this leg."""
        stretch = next((one for one in self._stretches if leg.talk is not None and one.talk is leg.talk), None)
        named = frozenset[Identity]().union(*(may for _, may in stretch.offered.values())) if stretch else frozenset()
        return {Verb.START: _permitted(named, lambda asker: self._control.startable(leg, asker)), **self._of_call}


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
