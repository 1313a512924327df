"""The timelines of calls that a scene has played to their end."""

from bridge.core.access import Reader, Role, Scope
from bridge.core.accounts import Account, account_of
from bridge.core.coverage import stretches
from bridge.core.ids import Identity
from bridge.core.messages import MixMonitorStarted, MixMonitorStopped, parse
from bridge.core.people import People
from bridge.core.rules import parse_rules
from bridge.core.timeline import KINDS, Kept, timeline
from bridge.core.timeline_items import TimelineItem, TimelineParty
from bridge.replay import read_messages
from tests.captures.folder import FIXTURES
from tests.core.scene import TRUNKS, Scene, directory

ROOT = Reader(Identity("root"), Role.ADMIN, frozenset(Scope))


def captured(name: str) -> Scene:
    """A capture of `fixtures/`, played."""
    path = FIXTURES / name
    users = (path / "users.yml").read_text("utf-8")
    scene = Scene(rules=(path / "rules.yml").read_text("utf-8"), users=users)
    scene.recorder.use_rules(parse_rules([("r", scene.rules)], directory(users)), People(directory(users), TRUNKS))
    for message in read_messages((path / "events.ami").read_bytes(), str(path)):
        event = parse(message, message.received_at)
        if event is not None and not isinstance(event, MixMonitorStarted | MixMonitorStopped):
            scene.pbx.now = max(scene.pbx.now, event.at)
            scene.take(event, event.at)
    return scene


def kept(scene: Scene) -> Kept:
    """What is kept of its only call that talked."""
    (cdr,) = (one for one in scene.cdrs if one.talked_s)
    talks = [talk for talk in scene.talks.values() if talk.call_id == cdr.call_id]
    known = {talk.talk_id for talk in talks}
    sections = [one for one in scene.sections.values() if one.record_id in cdr.record_ids]
    joined = {one.data["joined"] for one in scene.facts if one.kind == "call.joined"}
    return Kept(
        cdr=cdr,
        sections=sections,
        parties=scene.parties[cdr.call_id],
        talks=talks,
        stretches=stretches(
            Account(
                1,
                cdr,
                talks,
                [span for span in scene.spans.values() if span.talk_id in known],
                [account_of(one) for one in sections if one.talk_id in known],
            ),
            [],
        ),
        facts=[one for one in scene.facts if one.kind in KINDS and one.call_id in {cdr.call_id, *joined}],
    )


def told(scene: Scene, reader: Reader = ROOT) -> TimelineItem:
    """The timeline of its only call that talked."""
    return timeline(kept(scene), reader, {})


def party(item: TimelineItem, channel: str) -> TimelineParty:
    """The first party whose channel begins so."""
    return next(one for one in item["parties"] if one["channel"].startswith(channel))


def states(item: TimelineItem, channel: str, least_ms: int = 30) -> list[str]:
    """What a party did, one after the other, but for what was over at once."""
    return [one["state"] for one in party(item, channel)["lane"] if one["endedAt"] - one["startedAt"] >= least_ms]


def events(item: TimelineItem) -> list[tuple[str, str]]:
    """What happened, and who did it."""
    return [(one["kind"], one["identity"]) for one in item["events"]]
