"""Which events a WebSocket's client wants as XML: pascom's event.AddSubscription and event.RemoveSubscription."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from xml.etree.ElementTree import Element

from bridge.api.answers import RequestError
from bridge.api.pascom import shapes
from bridge.api.pascom.xml import add, new, split_name
from bridge.core.access import Reader, Role
from bridge.core.records import NumberedFact
from bridge.core.views import Json

_MOST = 100
_MOST_FILTERS = 20
_LONGEST = 256

_EVENTS = {"monitor": "RecordEvent", "journal": "JournalEntry"}
"""The types of events that there are."""
_ALSO_CALLED = {("journal", "JournalEvent"): "JournalEntry"}
"""pascom's documentation has both names."""
_SILENT = frozenset({"archive", "base", "event", "location", "mobile", "phone", "phonebook", "queue", "redirect"})
_SILENT |= {"xmppuser"}
"""pascom's other modules: its clients subscribe to them, too, and hear nothing from here."""
_MODULE_OF = {kind: module for module, kind in _EVENTS.items()}


class TooManySubscriptionsError(RequestError):
    """A WebSocket has as many subscriptions as it may have; nothing was added."""

    code = "too-many-subscriptions"


class SubscriptionScope(StrEnum):
    """Of whose events: what concerns oneself, or all that one may see."""

    USER = "user"
    SUPERVISOR = "supervisor"


@dataclass(frozen=True, slots=True)
class Subscription:
    """Events of `type` (`*`: any) whose attributes or child elements are as `filters` says, each of them."""

    module: str
    type: str
    scope: SubscriptionScope
    filters: tuple[tuple[str, str], ...] = ()

    def wants(self, event: Element, module: str, own: bool, reader: Reader) -> bool:
        """Whether this event is to be sent: one that the reader may see, and that is its own where `own` says so."""
        if self.module != module or self.type not in {"*", event.tag}:
            return False
        if not own if self.scope is SubscriptionScope.USER else reader.role is Role.USER:
            return False
        return all(_value_in(event, name) == wanted for name, wanted in self.filters)


class Subscriptions:
    """Those of one WebSocket, at most 100 of 20 filters each, and how its events are written.

    As JSON, all of them, until the client asks for XML: with `?format=xml` for all that there are, and by its first
    AddSubscription or RemoveSubscription for those that it subscribed to.
    """

    def __init__(self, *, xml: bool) -> None:
        self._xml = xml
        self._chosen: dict[Subscription, None] | None = None

    @property
    def as_xml(self) -> bool:
        """Whether events are written as XML."""
        return self._xml or self._chosen is not None

    def add(self, more: Sequence[Subscription]) -> None:
        """Want these, too. Raises TooManySubscriptionsError, and changes nothing."""
        chosen = {**(self._chosen or {}), **dict.fromkeys(more)}
        if len(chosen) > _MOST:
            raise TooManySubscriptionsError(f"a WebSocket may have {_MOST} subscriptions")
        self._chosen = chosen

    def remove(self, fewer: Sequence[Subscription]) -> None:
        """Want these no more; those that were not there do no harm."""
        self._chosen = {one: None for one in self._chosen or () if one not in fewer}

    def listed(self) -> Element:
        """event.SubscriptionList."""
        element = new("SubscriptionList")
        for one in self._chosen or ():
            attributes = {"module": one.module, "type": one.type, "scope": one.scope}
            child = add(element, "Subscription", attributes)
            for name, equals in one.filters:
                add(child, "AttributeFilter", {"name": name, "equals": equals})
        return shapes.cmd("event", element)

    def message(self, numbered: NumberedFact, item: Json, reader: Reader) -> Element | None:
        """The `<message>` for an event that the reader may see, once however many want it; None where none does."""
        module = _MODULE_OF.get(item["type"])
        if module is None:
            return None
        event = shapes.record_event(item["data"]) if module == "monitor" else shapes.journal_entry(item["data"])
        own = reader.identity in numbered.fact.audience
        if self._chosen is not None and not any(one.wants(event, module, own, reader) for one in self._chosen):
            return None
        return shapes.message(shapes.cmd(module, event), reader.identity, numbered.number)


def subscriptions_in(command: Element) -> tuple[list[Subscription], list[str]]:
    """The subscriptions that a command names, and all that is wrong with them."""
    found: list[Subscription] = []
    problems: list[str] = []
    for number, child in enumerate(command, 1):
        where = f"Subscription {number}"
        if _name(child) != "Subscription":
            problems.append(f"{where}: there should be Subscription elements alone")
            continue
        wrong, subscription = _read(child)
        problems += [f"{where}: {words}" for words in wrong]
        if subscription is not None:
            found.append(subscription)
    if not len(command):
        problems.append("Subscription: at least one is needed")
    return found, problems


def _read(element: Element) -> tuple[list[str], Subscription | None]:
    problems: list[str] = []
    module, kind, scope = element.get("module", ""), element.get("type", ""), element.get("scope", "user")
    kind = _ALSO_CALLED.get((module, kind), kind)
    if not module:
        problems.append("module: it is missing")
    elif module not in _EVENTS and module not in _SILENT:
        problems.append(f"module: it should be one of {', '.join(sorted(_EVENTS.keys() | _SILENT))}")
    if not kind:
        problems.append("type: it is missing; * is any")
    elif len(kind) > _LONGEST:
        problems.append(f"type: it should have at most {_LONGEST} characters")
    elif kind != "*" and kind != _EVENTS.get(module, kind):
        problems.append(f"type: of this module it should be * or {_EVENTS[module]}")
    if scope not in set(SubscriptionScope):
        problems.append("scope: it should be user or supervisor")
    if len(element) > _MOST_FILTERS:
        problems.append(f"AttributeFilter: there should be at most {_MOST_FILTERS}")
    filters = []
    for child in element:
        name, equals = child.get("name", ""), child.get("equals")
        if _name(child) != "AttributeFilter" or not name or equals is None:
            problems.append("AttributeFilter: each should have a name and an equals, and nothing else should be there")
        elif len(name) > _LONGEST or len(equals) > _LONGEST:
            problems.append(f"AttributeFilter: name and equals should have at most {_LONGEST} characters")
        else:
            filters.append((name, equals))
    if problems:
        return problems, None
    return [], Subscription(module, kind, SubscriptionScope(scope), tuple(dict.fromkeys(filters)))


def _name(element: Element) -> str:
    return split_name(element.tag)[1]


def _value_in(event: Element, name: str) -> str | None:
    found = event.get(name)
    return found if found is not None else next((child.text or "" for child in event if child.tag == name), None)
