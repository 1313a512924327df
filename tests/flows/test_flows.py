"""Every flow on a real Asterisk: every second of talk is recorded, once, with those who talk and nobody else."""

import pytest

from tests.flows.catalogue import by_kind
from tests.flows.flow import Flow
from tests.flows.lanes import Lanes

FLOWS = [flow for flows in by_kind().values() for flow in flows]
LOST_S = 0.11
"""One window of 100 ms in a flow: where one section takes over from another within a talk of three, or a packet comes
late, a voice may be missing (2 windows of 14,600; measured). What is kept counts it as lost all the same."""
# They wait for their turn in the lanes, which have deadlines of their own.
pytestmark = pytest.mark.timeout(1800)


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_flow(flow: Flow, lanes: Lanes) -> None:
    outcome = lanes.outcome(flow)
    if outcome.error is not None:
        pytest.fail(f"{outcome.error!r}\n{outcome.story}")
    assert outcome.verdict is not None
    assert outcome.verdict.talk_s > 0, outcome.story
    assert not outcome.verdict.faults, "\n".join([*outcome.verdict.faults, outcome.story])
    lost_s = outcome.verdict.talk_s - outcome.verdict.kept_s
    assert lost_s <= LOST_S, "\n".join([*outcome.verdict.lost, outcome.story])


def test_of_all_talk_99_percent_is_kept(lanes: Lanes) -> None:
    verdicts = [outcome.verdict for outcome in lanes.outcomes().values() if outcome.verdict is not None]
    if len(verdicts) < len(FLOWS):
        pytest.skip("not all flows were played")
    talk_s = sum(verdict.talk_s for verdict in verdicts)
    assert sum(verdict.kept_s for verdict in verdicts) >= 0.99 * talk_s
