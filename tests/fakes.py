"""Stand-ins that keep the real ones' promises."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from bridge.core.access import Token
from bridge.core.accounts import Account, Span, TalkAccount, account_of
from bridge.core.asked import Asked, AskedCall, AskedTalk, KeptRules, Matches
from bridge.core.cdr_lists import CdrDays, CdrFacets, CdrPart, CdrSearch, CdrWalk
from bridge.core.cdrs import CdrNumber, CdrNumbers, CdrPage, CdrQuery, KeptCdr
from bridge.core.errors import StoreError
from bridge.core.exports import ALL_STATUSES, Export, ExportId, ExportStatus
from bridge.core.ids import CallId, FactNumber, Identity, RecordId, RuleId, SectionKey, TalkId
from bridge.core.kept import KeptCall
from bridge.core.people import UserFlags
from bridge.core.records import Cdr, Demand, Fact, FactKind, NumberedEntry, NumberedFact, Pause, Section, journal_fact
from bridge.core.retention import Hold
from bridge.core.sections import FINAL
from bridge.core.settings import Settings
from bridge.core.store import (
    AddCdr,
    AddJournalEntry,
    AppendFact,
    Change,
    EndCall,
    EndDemand,
    EndPause,
    Intent,
    JoinTalks,
    Mark,
    PutAsked,
    PutCall,
    PutDemand,
    PutExport,
    PutHold,
    PutPause,
    PutRules,
    PutSection,
    PutSettings,
    PutSpan,
    PutTalk,
    PutUserFlags,
)
from tests.models import cdr_lists as cdr_list_model
from tests.models import cdrs as cdr_model

_AWAY = {
    FactKind.ASTERISK_LOST,
    FactKind.ASTERISK_CONNECTED,
    FactKind.RECBRIDGE_STARTED,
    FactKind.RECBRIDGE_STOPPED,
}


def _bytes(text: str) -> bytes:
    """What SQLite compares: a text's bytes, not its characters."""
    return text.encode("utf-8", "surrogateescape")


class MemoryIntents:
    """An intents file that forgets when the process ends. While `broken` is set every call raises it."""

    def __init__(self) -> None:
        self.broken: OSError | None = None
        self.kept: list[Intent] = []

    def append(self, intents: Sequence[Intent]) -> None:
        self._check()
        self.kept += intents

    def read(self, offset: int, most: int) -> tuple[Sequence[Intent], int]:
        self._check()
        some: list[Intent] = []
        for intent in self.kept[offset:]:
            some.append(intent)
            if sum(len(one.changes) for one in some) >= most:
                break
        return some, offset + len(some)

    def clear(self) -> None:
        self._check()
        self.kept = []

    def _check(self) -> None:
        if self.broken is not None:
            raise self.broken


class MemoryStore:
    """A store that forgets when the process ends. While `broken` is set every call raises it."""

    def __init__(self) -> None:
        self.broken: StoreError | None = None
        self._facts: list[NumberedFact] = []
        self._last = 0
        self._taken = Mark(0, 0)
        self._told: Sequence[NumberedFact] = ()
        self._sections: dict[SectionKey, Section] = {}
        self._journal: list[NumberedEntry] = []
        self._cdrs: list[Cdr] = []
        self._cdr_of: dict[SectionKey, int] = {}
        self._demands: dict[tuple[RecordId, RuleId], Demand] = {}
        self._pauses: dict[tuple[RecordId, Identity], Pause] = {}
        self._flags: dict[Identity, UserFlags] = {}
        self._holds: dict[str, Hold] = {}
        self._calls: dict[CallId, KeptCall] = {}
        self._talks: dict[TalkId, TalkAccount] = {}
        self._spans: dict[tuple[TalkId, int], Span] = {}
        self._rules: list[KeptRules] = []
        self._asked: dict[tuple[TalkId, datetime], Asked] = {}
        self._tokens: dict[str, Token] = {}
        self._settings = Settings()
        self._exports: dict[ExportId, Export] = {}

    def _check(self) -> None:
        if self.broken is not None:
            raise self.broken

    def _append(self, fact: Fact) -> NumberedFact:
        self._last += 1
        numbered = NumberedFact(FactNumber(self._last), fact)
        self._facts.append(numbered)
        return numbered

    async def commit(self, changes: Sequence[Change], mark: Mark | None = None) -> Sequence[NumberedFact]:
        self._check()
        if mark is not None and mark <= self._taken:
            return self._told if mark == self._taken else ()
        facts = self._commit(changes)
        if mark is not None and changes:
            self._taken, self._told = mark, facts
        return facts

    async def taken(self) -> Mark:
        self._check()
        return self._taken

    def _commit(self, changes: Sequence[Change]) -> Sequence[NumberedFact]:
        facts = []
        for change in changes:
            match change:
                case AppendFact(fact):
                    facts.append(self._append(fact))
                case AddJournalEntry(entry):
                    facts.append(self._append(journal_fact(entry)))
                    self._journal.append(NumberedEntry(facts[-1].number, entry))
                case PutSection(section):
                    self._sections[section.key] = section
                case AddCdr(cdr):
                    self._cdrs.append(cdr)
                case PutDemand(demand):
                    self._demands[demand.record_id, demand.rule_id] = demand
                case EndDemand(record_id, rule_id):
                    self._demands.pop((record_id, rule_id), None)
                case PutPause(pause):
                    self._pauses[pause.record_id, pause.by] = pause
                case EndPause(record_id, by):
                    self._pauses.pop((record_id, by), None)
                case PutSettings(settings):
                    self._settings = settings
                case PutExport(export):
                    self._exports[export.id] = export
                case PutUserFlags(identity, flags):
                    self._flags[identity] = flags
                case PutHold(hold):
                    self._holds[hold.id] = hold
                case PutCall(call):
                    self._calls[call.call_id] = call
                case EndCall(call_id):
                    self._calls.pop(call_id, None)
                case PutTalk(talk):
                    self._talks[talk.talk_id] = talk
                case PutSpan(span):
                    self._spans[span.talk_id, span.number] = span
                case PutRules(rules):
                    if not self._rules or self._rules[-1].digest != rules.digest:
                        self._rules.append(replace(rules, number=len(self._rules) + 1))
                case PutAsked(asked):
                    self._asked[asked.talk_id, asked.at] = replace(asked, rules=len(self._rules) or None)
                case JoinTalks(call_id, gone):
                    for talk in [talk for talk in self._talks.values() if talk.call_id == gone]:
                        self._talks[talk.talk_id] = replace(talk, call_id=call_id)
        self._link()
        return facts

    async def facts_after(self, number: FactNumber, limit: int) -> Sequence[NumberedFact]:
        self._check()
        return [fact for fact in self._facts if fact.number > number][: max(limit, 0)]

    async def fact_bounds(self) -> tuple[FactNumber, FactNumber]:
        self._check()
        if not self._facts:
            return FactNumber(1), FactNumber(0)
        return self._facts[0].number, self._facts[-1].number

    async def section(self, key: SectionKey) -> Section | None:
        self._check()
        return self._sections.get(key)

    async def sections_of(self, record_id: RecordId) -> Sequence[Section]:
        self._check()
        return [section for key, section in sorted(self._sections.items()) if key.record_id == record_id]

    async def open_sections(self) -> Sequence[Section]:
        self._check()
        return [section for section in self._sections.values() if section.state not in FINAL]

    async def demands(self) -> Sequence[Demand]:
        self._check()
        return sorted(self._demands.values(), key=lambda one: (one.since, _bytes(one.record_id), one.rule_id))

    async def pauses(self) -> Sequence[Pause]:
        self._check()
        return sorted(self._pauses.values(), key=lambda one: (one.since, _bytes(one.record_id), _bytes(one.by)))

    async def running_calls(self) -> Sequence[KeptCall]:
        self._check()
        return sorted(self._calls.values(), key=lambda one: (one.began_at, one.call_id))

    async def open_talks(self) -> Sequence[TalkAccount]:
        self._check()
        found = [talk for talk in self._talks.values() if talk.ended_at is None]
        return sorted(found, key=lambda talk: (talk.began_at, talk.talk_id))

    async def open_spans(self) -> Sequence[Span]:
        opened = {talk.talk_id for talk in await self.open_talks()}
        return [span for key, span in sorted(self._spans.items()) if key[0] in opened]

    async def accounts(
        self, since: datetime, until: datetime, limit: int, after: Account | None = None
    ) -> Sequence[Account]:
        self._check()
        calls = sorted(enumerate(self._cdrs, start=1), key=lambda one: (one[1].ended_at, one[0]))
        last = None if after is None else (after.cdr.ended_at, after.number)
        page = [
            (number, cdr)
            for number, cdr in calls
            if since <= cdr.ended_at < until and (last is None or (cdr.ended_at, number) > last)
        ]
        return [self._account(number, cdr) for number, cdr in page[: max(limit, 0)]]

    def _account(self, number: int, cdr: Cdr) -> Account:
        earlier = [
            one.ended_at
            for at, one in enumerate(self._cdrs, start=1)
            if one.call_id == cdr.call_id and (one.ended_at, at) < (cdr.ended_at, number)
        ]
        talks = [
            talk
            for talk in sorted(self._talks.values(), key=lambda talk: (talk.began_at, talk.talk_id))
            if talk.call_id == cdr.call_id and talk.ended_at is not None and talk.began_at <= cdr.ended_at
            if not any(at >= talk.began_at for at in earlier)
        ]
        ids = {talk.talk_id for talk in talks}
        sections = sorted(self._sections.values(), key=lambda one: (one.talk_id, one.requested_at, one.key))
        return Account(
            number,
            cdr,
            talks,
            [span for key, span in sorted(self._spans.items()) if key[0] in ids],
            [account_of(one) for one in sections if one.talk_id and one.talk_id in ids],
        )

    def _asked_talk(self, talk: TalkAccount, spans: Sequence[Span]) -> AskedTalk:
        asked = tuple(one for key, one in sorted(self._asked.items()) if key[0] == talk.talk_id)
        return AskedTalk(talk, tuple(span for span in spans if span.talk_id == talk.talk_id), asked)

    async def asked_calls(
        self, since: datetime, until: datetime, limit: int, after: AskedCall | None = None
    ) -> Sequence[AskedCall]:
        last = None if after is None else Account(after.number, after.cdr, (), (), ())
        return [
            AskedCall(one.number, one.cdr, tuple(self._asked_talk(talk, one.spans) for talk in one.talks))
            for one in await self.accounts(since, until, limit, last)
        ]

    async def asked_call(self, number: CdrNumber) -> AskedCall | None:
        self._check()
        if not 1 <= number <= len(self._cdrs):
            return None
        one = self._account(number, self._cdrs[number - 1])
        return AskedCall(number, one.cdr, tuple(self._asked_talk(talk, one.spans) for talk in one.talks))

    async def asked_running(self, call_id: CallId) -> Sequence[AskedTalk]:
        self._check()
        ends = [cdr.ended_at for cdr in self._cdrs if cdr.call_id == call_id]
        talks = sorted(self._talks.values(), key=lambda talk: (talk.began_at, talk.talk_id))
        spans = [span for _, span in sorted(self._spans.items())]
        running = [one for one in talks if one.call_id == call_id and not any(at >= one.began_at for at in ends)]
        return [self._asked_talk(talk, spans) for talk in running]

    async def cdrs_named(self, name: str) -> Sequence[CdrNumber]:
        self._check()
        named = [cdr.call_id == name or name in cdr.record_ids for cdr in self._cdrs]
        return [CdrNumber(number) for number, it_is in enumerate(named, start=1) if it_is]

    async def kept_rules(self, number: int) -> KeptRules | None:
        self._check()
        return next((one for one in self._rules if one.number == number), None)

    async def rules_in_force(self) -> KeptRules | None:
        self._check()
        return self._rules[-1] if self._rules else None

    async def rule_matches(self, since: datetime) -> Mapping[RuleId, Matches]:
        self._check()
        calls: dict[RuleId, set[CallId]] = {}
        seconds: dict[RuleId, float] = {}
        for span in self._spans.values():
            talk = self._talks[span.talk_id]
            if span.rule_id is None or talk.began_at < since:
                continue
            calls.setdefault(span.rule_id, set()).add(talk.call_id)
            ended_at = span.ended_at or talk.ended_at
            if span.reason is None and ended_at is not None:
                lasted_s = (ended_at - span.began_at).total_seconds()
                seconds[span.rule_id] = seconds.get(span.rule_id, 0.0) + lasted_s
        return {one: Matches(len(of), seconds.get(one, 0.0)) for one, of in calls.items()}

    async def away_facts(self, since: datetime, until: datetime) -> Sequence[NumberedFact]:
        self._check()
        away = [one for one in self._facts if one.fact.kind in _AWAY]
        first = max((one.fact.at for one in away if one.fact.at <= since), default=None)
        return [one for one in away if (first is None or one.fact.at >= first) and one.fact.at < until]

    async def holds(self) -> Sequence[Hold]:
        self._check()
        return sorted(self._holds.values(), key=lambda one: (one.set_at, _bytes(one.id)))

    async def user_flags(self) -> Mapping[Identity, UserFlags]:
        self._check()
        return dict(self._flags)

    async def file_numbers(self, since: datetime) -> Mapping[tuple[RecordId, RuleId], int]:
        self._check()
        highest: dict[tuple[RecordId, RuleId], int] = {}
        for section in self._sections.values():
            if section.requested_at >= since:
                key = (section.record_id, section.rule_id)
                highest[key] = max(highest.get(key, 0), section.file)
        return highest

    async def journal(self, identity: Identity | None, limit: int) -> Sequence[NumberedEntry]:
        self._check()
        found = [one for one in reversed(self._journal) if identity is None or one.entry.identity == identity]
        return found[: max(limit, 0)]

    async def journal_of_record(self, record_id: RecordId) -> Sequence[NumberedEntry]:
        self._check()
        calls = {cdr.call_id for cdr in self._cdrs if record_id in cdr.record_ids}
        return [one for one in self._journal if one.entry.record_id == record_id or one.entry.call_id in calls]

    async def add_token(self, token: Token) -> None:
        self._check()
        if token.id in self._tokens:
            raise StoreError(f"there is a token {token.id} already")
        self._tokens[token.id] = token

    async def token(self, token_id: str) -> Token | None:
        self._check()
        return self._tokens.get(token_id)

    async def end_token(self, token_id: str) -> bool:
        self._check()
        there = self._tokens.pop(token_id, None) is not None
        for one in [one.id for one in self._tokens.values() if one.made_with == token_id]:
            await self.end_token(one)
        return there

    async def settings(self) -> Settings:
        self._check()
        return self._settings

    def _kept_cdrs(self) -> list[KeptCdr]:
        sections: dict[int, list[Section]] = {}
        for key, section in self._sections.items():
            if key in self._cdr_of:
                sections.setdefault(self._cdr_of[key], []).append(section)
        return [cdr_model.kept(number, cdr, sections.get(number, [])) for number, cdr in enumerate(self._cdrs, start=1)]

    def _link(self) -> None:
        """A section belongs to the first call that wrote into its record and ended after it was asked for."""
        for key, section in self._sections.items():
            for number, cdr in enumerate(self._cdrs, start=1):
                if section.record_id in cdr.record_ids and section.requested_at <= cdr.ended_at:
                    self._cdr_of.setdefault(key, number)

    async def identities(self) -> Sequence[Identity]:
        self._check()
        return sorted({one for cdr in self._cdrs for one in cdr.participants}, key=_bytes)

    async def cdr(self, number: CdrNumber) -> KeptCdr | None:
        self._check()
        return next((one for one in self._kept_cdrs() if one.number == number), None)

    async def cdrs(self, query: CdrQuery) -> CdrPage:
        self._check()
        return cdr_model.page(self._kept_cdrs(), query)

    async def cdr_numbers(self, query: CdrQuery) -> CdrNumbers:
        page = await self.cdrs(query)
        most = max((len(cdr_model.recordings_heard(one, query.wanted.heard_by)) for one in page.items), default=0)
        return CdrNumbers([one.number for one in page.items], most, page.total, page.filtered)

    async def cdr_part(self, walk: CdrWalk) -> CdrPart:
        self._check()
        return cdr_list_model.part(self._kept_cdrs(), walk)

    async def cdr_facets(self, search: CdrSearch) -> CdrFacets:
        self._check()
        return cdr_list_model.facets(self._kept_cdrs(), search)

    async def cdr_days(self, search: CdrSearch, zone: ZoneInfo) -> CdrDays:
        self._check()
        return cdr_list_model.days(self._kept_cdrs(), search, zone)

    async def exports(
        self, statuses: Collection[ExportStatus] = ALL_STATUSES, asked_until: datetime | None = None
    ) -> Sequence[Export]:
        self._check()
        found = [one for one in self._exports.values() if one.status in statuses]
        found = [one for one in found if asked_until is None or one.asked_at <= asked_until]
        return sorted(found, key=lambda one: (one.asked_at, one.id))

    async def export(self, export_id: ExportId) -> Export | None:
        self._check()
        return self._exports.get(export_id)

    def forget_facts(self, up_to: int) -> None:
        """As retention does."""
        self._facts = [fact for fact in self._facts if fact.number > up_to]
