"""What the timeline of a finished call says, as JSON: times are epoch milliseconds, durations seconds.

A party is named by its channel's uniqueid. What is not known (calls from before it was kept, a person who was erased)
is null, '' or an empty list; nothing is made up.
"""

from typing_extensions import TypedDict


class LaneItem(TypedDict):
    """What a party did from when to when; a party's stretches follow each other, with nothing twice.

    `state`: ringing, waiting (its channel is there, and talks with nobody), talking, held (another party has put it on
    hold), holding (it has put the others on hold), parked.
    """

    state: str
    startedAt: int
    endedAt: int


class TimelineParty(TypedDict):
    """A real leg. `status` is Asterisk's DIALSTATUS of one that was rung, else ''; `talkedS` without what was held."""

    uniqueid: str
    channel: str
    identity: str
    name: str
    number: str
    outside: bool
    dialed: bool
    startedAt: int
    answeredAt: int | None
    endedAt: int
    status: str
    talkedS: float
    lane: list[LaneItem]


class PresenceItem(TypedDict):
    """That a party (uniqueid) was in a talk, from when to when."""

    party: str
    startedAt: int
    endedAt: int


class TimelineTalk(TypedDict):
    """A stretch in which two or more parties were connected; `id` is what sections and gaps call it by."""

    id: str
    startedAt: int
    endedAt: int
    parties: list[PresenceItem]


class TimelineSection(TypedDict):
    """A recording that the reader may see.

    `talk` is '' of what was recorded before a talk. `startedAt` is when the file begins, `offsetS` the same counted
    from the timeline's beginning; of one that never began it is when it was requested. `durationS` is the file's, null
    where there is none to be played. `left` and `right` are the parties (uniqueids) that a stereo file has on either
    side; of mono both are empty. `leg` is the party whose channel was recorded. `playable`: the file is there and was
    looked into. `ruleName` is '' where the rule is not in force any more.
    """

    recordId: str
    ruleId: int
    ruleName: str
    file: int
    talk: str
    state: str
    type: str
    identity: str
    startedAt: int
    endedAt: int | None
    offsetS: float
    durationS: float | None
    stereo: bool
    left: list[str]
    right: list[str]
    leg: str
    channels: int | None
    sampleRate: int | None
    sizeBytes: int | None
    sha256: str | None
    playable: bool
    deleted: bool
    deletedAt: int | None
    reason: str | None
    tags: list[str]


class TimelineEvent(TypedDict):
    """Something that somebody did, or that happened to a party.

    `kind`: transferred, held, unheld, parked, unparked, started, stopped, paused, resumed, refused. `identity` is the
    user who did it ('' unknown). `party` is who transferred, or has put the others on hold, or was parked; null for
    what was done to a recording by API. `how`: blind or attended (transferred); api, phone or pause_at_most (started to
    refused). Of a transfer `transferred` is the party that was sent on, `target` the one that it was sent to where that
    is known, and `number` what was dialled. `ruleIds` are those that were started, stopped, paused or resumed. `code`
    says why something was refused, `verb` what.
    """

    at: int
    kind: str
    identity: str
    party: str | None
    how: str
    transferred: str | None
    target: str | None
    number: str
    ruleIds: list[int]
    verb: str
    code: str


class PauseItem(TypedDict):
    """A rule paused, from when to when, by whom. Only where the rule would else have recorded."""

    ruleId: int
    startedAt: int
    endedAt: int
    identity: str


class GapItem(TypedDict):
    """Talk that a rule did not record, and the reason, as coverage has it (`bridge.core.accounts.Reason`).

    `ruleId` is null where no rule had to do with the talk. `fault`: it should have been recorded.
    """

    ruleId: int | None
    talk: str
    startedAt: int
    endedAt: int
    reason: str
    fault: bool


class TimelineItem(TypedDict):
    """A finished call, from its beginning to its end."""

    startedAt: int
    endedAt: int
    parties: list[TimelineParty]
    talks: list[TimelineTalk]
    sections: list[TimelineSection]
    events: list[TimelineEvent]
    pauses: list[PauseItem]
    gaps: list[GapItem]
