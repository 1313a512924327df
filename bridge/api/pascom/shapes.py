"""What pascom's elements look like: names, attributes and their order are those of its documentation."""

from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element

from bridge.api.answers import RequestError
from bridge.api.pascom.xml import add, new
from bridge.core.ids import FactNumber, Identity
from bridge.core.records import SectionState
from bridge.core.views import Json

NAMESPACE = "http://www.pascom.net/mobydick"
_STANZA_ERRORS = "urn:ietf:params:xml:ns:xmpp-stanzas"

_ENTRY_ATTRIBUTES = ("eventId", "eventType", "userId", "userName")
_ENTRY_ELEMENTS = (
    "id",
    "timestamp",
    "inbound",
    "internal",
    "duration",
    "connected",
    "deviceId",
    "deviceName",
    "locationId",
    "locationName",
    "name",
    "number",
    "prefix",
    "result",
    "resultDetails",
    "via",
    "viaDetails",
    "extension",
    "recordId",
)
_IDS = frozenset({"userId", "deviceId", "locationId"})
"""Numbers with pascom, 0 for none: its clients read them as such."""
_EVENT_ATTRIBUTES = ("eventType", "eventId", "ruleId", "permission", "identity", "file")
_EVENT_ELEMENTS = ("headchannel", "tailchannel")
_STATES = {str(SectionState.STORED): "n"}


def cmd(module: str, content: Element) -> Element:
    """`<cmd xmlns="http://www.pascom.net/mobydick" module="…">` around an answer or event."""
    element = new("cmd", {"xmlns": NAMESPACE, "module": module})
    element.append(content)
    return element


def success(offer: Element | None = None) -> Element:
    """base.Success; over HTTP with what pascom would send behind it."""
    element = new("Success")
    add(element, "message", text="Ok")
    if offer is not None:
        element.append(offer)
    return cmd("base", element)


def failure(code: str, message: str, details: Mapping[str, object]) -> Element:
    """base.Failure: pascom's `message` has it all in words, each wrong field too; our stable `code` is an attribute."""
    of_fields = details.items() if code == RequestError.code else ()
    fields = "; ".join(f"{name}: {what}" for name, what in of_fields)
    element = new("Failure", {"code": code})
    add(element, "message", text=f"{message}: {fields}" if fields else message)
    return cmd("base", element)


def journal_entry(item: Mapping[str, Any]) -> Element:
    """A JournalEntry."""
    said = {name: item[name] or (0 if name in _IDS else item[name]) for name in (*_ENTRY_ATTRIBUTES, *_ENTRY_ELEMENTS)}
    element = new("JournalEntry", {name: said[name] for name in _ENTRY_ATTRIBUTES})
    for name in _ENTRY_ELEMENTS:
        add(element, name, text=said[name])
    return element


def journal_list(items: Sequence[Mapping[str, Any]]) -> Element:
    """A JournalList."""
    element = new("JournalList")
    element.extend([journal_entry(item) for item in items])
    return cmd("journal", element)


def record_entry(entry: Mapping[str, Any]) -> Element:
    """A RecordEntry; without a JournalEntry while the call goes on. Durations are whole seconds, state n is stored."""
    element = new("RecordEntry", {"id": entry["id"]})
    if entry["journalEntry"] is not None:
        element.append(journal_entry(entry["journalEntry"]))
    for one in entry["records"]:
        attributes = {
            "duration": int((one["duration"] or 0) + 0.5),
            "ruleId": one["ruleId"],
            "file": one["file"],
            "state": _STATES.get(one["state"], one["state"]),
            "type": one["type"],
        }
        record = add(element, "Record", attributes)
        for audio in one["audioFiles"]:
            add(record, "AudioFile", {"format": audio["format"], "size": audio["size"]})
    return cmd("monitor", element)


def record_event(event: Mapping[str, Any]) -> Element:
    """A RecordEvent."""
    element = new("RecordEvent", {name: event[name] for name in _EVENT_ATTRIBUTES})
    for name in _EVENT_ELEMENTS:
        add(element, name, text=event[name])
    return element


def file_offer(offer: Json) -> Element:
    """An offer of a file: where it is to be had with a GET, without a token, and how to know that it is whole."""
    return new("FileOffer", offer)


def message(content: Element, to: Identity, number: FactNumber | None = None) -> Element:
    """A `<message>` around a cmd. `id` is the event's fact number: a client comes back with it as `?since=`."""
    attributes: dict[str, Any] = {"to": to, "from": "recbridge"}
    if number is not None:
        attributes["id"] = number
    element = new("message", attributes)
    element.append(content)
    return element


def iq(content: Element, stanza: Mapping[str, str], to: Identity, *, understood: bool) -> Element:
    """The `<iq>` that answers one: `stanza` are its id, and its xmlns where it has one.

    pascom answers a command that fails with type `result` and a base.Failure in it; `error` is for what is no command.
    """
    namespace = {"xmlns": stanza["xmlns"]} if "xmlns" in stanza else {}
    number = {"id": stanza["id"]} if "id" in stanza else {}
    element = new("iq", {**namespace, **number, "to": to, "type": "result" if understood else "error"})
    element.append(content)
    if not understood:
        add(add(element, "error", {"type": "modify"}), "bad-request", {"xmlns": _STANZA_ERRORS})
    return element
