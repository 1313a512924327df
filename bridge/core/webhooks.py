"""Callbacks over HTTP: to whom, what of, and what becomes of each delivery. Decides, and sends nothing itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from bridge.core.records import NumberedFact


class FormatName(StrEnum):
    """Whose bodies a webhook gets: those of Standard Webhooks, or Vonage's of session monitoring."""

    STANDARD = "standard"
    VONAGE = "vonage"


@dataclass(frozen=True, slots=True)
class Callback:
    """One body to be sent. Those with one `key` (the call) are delivered in order.

    `name` is what `events` of a webhook selects by. `archive` bodies go to the archive URL. `body` holds JSON values.
    """

    key: str
    name: str
    body: Mapping[str, Any]
    archive: bool = False


class Format(Protocol):
    """One format, a module of `bridge.feed`. Pure: one fact always gives the same callbacks, in the same order."""

    NAMES: Sequence[str]
    """Every `name` that its callbacks may have."""

    def bodies(self, fact: NumberedFact, project_id: str) -> Sequence[Callback]:
        """What this fact is to a receiver; nothing where it is none of its matters. `project_id` names the PBX."""
