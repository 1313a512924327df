"""Whether a talk is the consultation before an attended transfer."""

from bridge.core.calls import Channel, Talk
from bridge.core.journal import user_of
from bridge.core.people import People, User
from bridge.core.tracker import CallTracker


def is_consultation(talk: Talk, tracker: CallTracker, people: People) -> bool:
    """Whether one of the parties has left somebody waiting in order to have this talk.

    With Asterisk's own feature (`*2`) it has held the one who waits, who is alone in the Asterisk bridge that both were
    in: so stays the parker, too, for some seconds, but nobody held it (measured). A phone that transfers by itself
    holds its first leg and dials on a second one: whether a transfer follows is not known yet, so asking back with the
    caller on hold is a consultation too. A call that comes in meanwhile is not.
    """
    return any(
        _left_alone(party, talk, tracker) or _held_by(party, talk, tracker, people) for party in talk.parties.values()
    )


def _left_alone(party: Channel, talk: Talk, tracker: CallTracker) -> bool:
    """The others of this talk came later than the one who waits: a swap back to the first is none."""
    for uniqueid in party.talked_with:
        if uniqueid in talk.parties:
            return False
        other = tracker.channels.get(uniqueid)
        if other is not None and other.talk is None and party.uniqueid in other.left_by:
            return True
    return False


def _held_by(party: Channel, talk: Talk, tracker: CallTracker, people: People) -> bool:
    user = None if party.dialed else user_of(party, people)
    if user is None:
        return False
    return any(
        held is not party and held.talk is not None and held.talk is not talk and _is(user, held, people)
        for held in tracker.holding.values()
    )


def _is(user: User, leg: Channel, people: People) -> bool:
    other = user_of(leg, people)
    return other is not None and other.identity == user.identity
