"""Which number the next section of a record and rule has."""

from collections import Counter
from collections.abc import Iterable, Mapping

from bridge.core.ids import CallId, RecordId, RuleId


class Numbering:
    """Counts sections from 1 for as long as the call of their record goes on.

    `files` gives the highest numbers that earlier runs have used.
    """

    def __init__(self, files: Mapping[tuple[RecordId, RuleId], int]) -> None:
        self._files: dict[RecordId, Counter[RuleId]] = {}
        for (record_id, rule_id), file in files.items():
            self._files.setdefault(record_id, Counter())[rule_id] = file
        self._of_call: dict[CallId, dict[RecordId, None]] = {}

    def take(self, call_id: CallId, record_id: RecordId, rule_id: RuleId) -> int:
        """The next number."""
        self._of_call.setdefault(call_id, {})[record_id] = None
        numbers = self._files.setdefault(record_id, Counter())
        numbers[rule_id] += 1
        return numbers[rule_id]

    def know(self, call_id: CallId, records: Iterable[RecordId]) -> None:
        """A call that an earlier run saw has these records."""
        self._of_call.setdefault(call_id, {}).update(dict.fromkeys(records))

    def joined(self, call_id: CallId, gone: CallId) -> None:
        """Two calls are one: the records of `gone` are over with `call_id`."""
        records = self._of_call.pop(gone, None)
        if records:
            self._of_call.setdefault(call_id, {}).update(records)

    def over(self, call_id: CallId) -> None:
        """The call is over: its records get no more sections."""
        for record_id in self._of_call.pop(call_id, ()):
            self._files.pop(record_id, None)
