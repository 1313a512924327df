"""Every flow on a real Asterisk: every second of talk is recorded, once, with those who talk and nobody else."""

import pytest

from tests.flows.catalogue import by_kind
from tests.flows.flow import Flow
from tests.flows.lanes import Lanes

FLOWS = [flow for flows in by_kind().values() for flow in flows]
# They wait for their turn in the lanes, which have deadlines of their own.
pytestmark = pytest.mark.timeout(1800)


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_flow(flow: Flow, lanes: Lanes) -> None:
    outcome = lanes.outcome(flow)
    if outcome.error is not None:
        pytest.fail(f"{outcome.error!r}\n{outcome.story}")
    assert outcome.verdict is not None
    assert outcome.verdict.talk_s > 0, outcome.story
    wrong = outcome.verdict.faults + outcome.verdict.lost
    assert not wrong, "\n".join([*wrong, outcome.story])


def test_of_all_talk_99_percent_is_kept(lanes: Lanes) -> None:
    verdicts = [outcome.verdict for outcome in lanes.outcomes().values() if outcome.verdict is not None]
    if len(verdicts) < len(FLOWS):
        pytest.skip("not all flows were played")
    talk_s = sum(verdict.talk_s for verdict in verdicts)
    assert sum(verdict.kept_s for verdict in verdicts) >= 0.99 * talk_s
