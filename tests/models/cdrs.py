"""Finished calls as they are searched, the obvious way: look at each of them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bridge.core.cdrs import NAME_PART, CdrFilter, CdrNumber, CdrOrder, CdrPage, CdrQuery, KeptCdr, recording_name
from bridge.core.ids import Identity
from bridge.core.records import CallStatus, Cdr, Section, SectionState

RECORDINGS = (SectionState.CLOSED, SectionState.STORED)
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def to_bytes(text: str) -> bytes:
    """What a store compares: a text's bytes. One that no bytes can be is like nothing that is kept."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return b"\xff" * 100


def kept(number: int, cdr: Cdr, sections: Sequence[Section]) -> KeptCdr:
    found = [section for section in sections if section.state in RECORDINGS]
    found.sort(key=lambda one: (one.started_at or one.requested_at, to_bytes(one.record_id), one.rule_id, one.file))
    return KeptCdr(CdrNumber(number), cdr, tuple(found))


def _folded(text: str) -> bytes:
    return to_bytes(text.casefold().replace("\n", " "))


def recordings_heard(one: KeptCdr, heard_by: Sequence[Identity] | None) -> Sequence[Section]:
    return [
        section
        for section in one.sections
        if heard_by is None or section.owner in heard_by or set(section.participants) & set(heard_by)
    ]


def _is_found(text: str, one: KeptCdr, heard: Sequence[Section]) -> bool:
    cdr = one.cdr
    texts = [cdr.source_name, cdr.source_number, cdr.destination_name, cdr.destination_number, cdr.dialed]
    if len(_folded(text)) >= NAME_PART:
        texts += [recording_name(one.number, section) for section in heard]
    return any(_folded(text) in _folded(among) for among in texts)


def _is_number(wanted: str, number: str) -> bool:
    text = wanted.removeprefix("_")
    open_start, open_end = text != wanted, text.endswith("_")
    tests: Mapping[tuple[bool, bool], Callable[[bytes, bytes], bool]] = {
        (False, False): lambda kept, part: kept == part,
        (True, False): bytes.endswith,
        (False, True): bytes.startswith,
        (True, True): bytes.__contains__,
    }
    return tests[open_start, open_end](to_bytes(number), to_bytes(text.removesuffix("_")))


def _peer(cdr: Cdr, identity: Identity) -> str:
    return cdr.dialed if identity == cdr.source_identity else cdr.source_number


def _last_with_peers(calls: Sequence[KeptCdr], seen_by: Sequence[Identity] | None) -> set[CdrNumber]:
    last: dict[tuple[Identity, str], CdrNumber] = {}
    for one in calls:
        for identity in one.cdr.participants:
            if seen_by is None or identity in seen_by:
                last[identity, _peer(one.cdr, identity)] = one.number
    return set(last.values())


def fits(wanted: CdrFilter, one: KeptCdr) -> bool:
    """All conditions but the one that is about several calls."""
    cdr, heard = one.cdr, recordings_heard(one, wanted.heard_by)
    return (
        (cdr.status is wanted.status if wanted.status is not None else cdr.status is not CallStatus.BLOCKED)
        and (wanted.since is None or cdr.started_at >= wanted.since)
        and (wanted.until is None or cdr.started_at < wanted.until)
        and (not wanted.search or _is_found(wanted.search, one, heard))
        and (wanted.direction is None or cdr.direction == wanted.direction)
        and (wanted.number is None or any(_is_number(wanted.number, it) for it in _numbers(cdr)))
        and all(any(tag in section.tags for section in heard) for tag in wanted.tags)
        and (wanted.identities is None or bool(set(wanted.identities) & set(cdr.participants)))
        and (wanted.numbers is None or one.number in wanted.numbers)
        and (wanted.after is None or one.number >= wanted.after)
        and (wanted.recorded is None or bool(heard) == wanted.recorded)
        and (wanted.call_id is None or cdr.call_id == wanted.call_id)
        and (wanted.dialed is None or cdr.dialed == wanted.dialed)
        and (wanted.context is None or cdr.context == wanted.context)
        and (wanted.inside is None or _is_inside(wanted.inside, cdr))
        and (wanted.queue is None or cdr.queue == wanted.queue)
        and (wanted.user is None or wanted.user in cdr.participants)
        and (not wanted.name or any(_folded(wanted.name) in _folded(it) for it in _names(cdr)))
        and (wanted.min_talked_s is None or cdr.talked_s >= wanted.min_talked_s)
        and (wanted.max_talked_s is None or cdr.talked_s <= wanted.max_talked_s)
        and set(wanted.call_tags) <= tags_of(one, heard)
    )


def tags_of(one: KeptCdr, heard: Sequence[Section]) -> set[str]:
    return {*one.tags, *(tag for section in heard for tag in section.tags)}


def _names(cdr: Cdr) -> tuple[str, str]:
    return cdr.source_name, cdr.destination_name


def _is_inside(extensions: Sequence[str], cdr: Cdr) -> bool:
    reached = cdr.destination_identity is not None and cdr.dialed == cdr.destination_number
    return cdr.dialed != "" and (reached or cdr.direction == "internal" or cdr.dialed in extensions)


def _numbers(cdr: Cdr) -> tuple[str, str]:
    return cdr.source_number, cdr.destination_number


def _value(order: CdrOrder, cdr: Cdr) -> Any:
    """What is missing comes before all that is there."""
    duration_s = None if cdr.answered_at is None else (cdr.ended_at - cdr.answered_at).total_seconds()
    return {
        CdrOrder.START: cdr.started_at,
        CdrOrder.END: cdr.ended_at,
        CdrOrder.ANSWER: cdr.answered_at or _LONG_AGO,
        CdrOrder.DURATION: (duration_s is not None, duration_s or 0.0),
        CdrOrder.DIRECTION: to_bytes(cdr.direction),
        CdrOrder.SOURCE: to_bytes(cdr.source_number),
        CdrOrder.DESTINATION: to_bytes(cdr.destination_number),
        CdrOrder.SOURCE_NAME: to_bytes(cdr.source_name),
        CdrOrder.DESTINATION_NAME: to_bytes(cdr.destination_name),
        CdrOrder.DIALED: to_bytes(cdr.dialed),
        CdrOrder.CONTEXT: to_bytes(cdr.context),
        CdrOrder.CALL: to_bytes(cdr.call_id),
        CdrOrder.TALKED: cdr.talked_s,
    }[order]


def page(calls: Sequence[KeptCdr], query: CdrQuery) -> CdrPage:
    """What `bridge.core.store.Store.cdrs` answers, all calls given in the order of their numbers."""
    wanted, visible_to = query.wanted, query.visible_to
    visible = [one for one in calls if visible_to is None or set(visible_to) & set(one.cdr.participants)]
    found = [one for one in visible if fits(wanted, one)]
    if wanted.distinct_peer:
        last = _last_with_peers(calls, wanted.identities if wanted.identities is not None else visible_to)
        found = [one for one in found if one.number in last]
    found.sort(key=lambda one: (_value(query.order, one.cdr), one.number), reverse=query.newest_first)
    start = max(query.offset, 0)
    end = None if query.limit is None else start + max(query.limit, 0)
    return CdrPage(found[start:end], len(visible), len(found))
