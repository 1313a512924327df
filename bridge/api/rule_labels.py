"""Counters by rule with labels that do not grow: the rules in force, and `other` for all the rest."""

from collections.abc import Collection, Mapping, Sequence

from bridge.api.http_numbers import OTHER
from bridge.core.ids import RuleId

NO_RULE = "none"


def label_of(rule_id: RuleId | None, in_force: Collection[RuleId]) -> str:
    """Rule 0 is there without a file: the channel variable RECBRIDGE asks for it."""
    if rule_id is None:
        return NO_RULE
    return str(rule_id) if rule_id in in_force or rule_id == 0 else OTHER


class RuleLabels:
    """Turns sums by rule, which grow, into counters of which none ever falls.

    A rule that is not in force any more loses its counter; what it still adds is `other`'s. Nothing jumps at a reload.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[str, RuleId | None], float] = {}
        self._sums: dict[str, dict[str, float]] = {}

    def counters(
        self, name: str, values: Mapping[RuleId | None, float] | Mapping[RuleId, float], in_force: Sequence[RuleId]
    ) -> dict[str, float]:
        """The counters called `name`, by label, those of all rules in force among them."""
        rules = frozenset(in_force)
        sums = self._sums.setdefault(name, {})
        for rule_id, value in values.items():
            label = label_of(rule_id, rules)
            grown = max(0.0, value - self._seen.get((name, rule_id), 0.0))
            sums[label] = sums.get(label, 0.0) + grown
            if grown:
                self._seen[name, rule_id] = value
        known = {str(rule_id) for rule_id in in_force} | {"0", NO_RULE, OTHER}
        for label in sums.keys() - known:
            del sums[label]
        return {**dict.fromkeys(map(str, in_force), 0.0), **sums}
