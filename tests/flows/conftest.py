"""The lanes, and what each flow kept, printed at the end."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.catalogue import by_kind
from tests.flows.lanes import Lanes, Outcome, Turn
from tests.flows.rules import FOLLOWING, NEVER
from tests.network.chroot import SUITE

_OUTCOMES: pytest.StashKey[dict[str, Outcome]] = pytest.StashKey()


_TESTS = {"test_flow": FOLLOWING, "test_never": NEVER}


def _selected(session: pytest.Session) -> list[Turn]:
    """Of the flows, those whose tests were selected, in their order."""
    names = {item.name for item in session.items}
    flows = [flow for flows in by_kind().values() for flow in flows]
    return [Turn(flow, rules) for test, rules in _TESTS.items() for flow in flows if f"{test}[{flow.name}]" in names]


@pytest.fixture(scope="session")
def lanes(
    asterisk_chroot: Path,  # noqa: ARG001 - no lane without it
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Lanes]:
    """All flows that were selected, being played."""
    running = Lanes(_selected(request.session), tmp_path_factory.mktemp("flows"), suite=SUITE)
    running.start()
    yield running
    request.config.stash[_OUTCOMES] = dict(running.outcomes())
    running.stop()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    names = {Turn(flow, FOLLOWING).name for flows in by_kind().values() for flow in flows}
    outcomes = {name: one for name, one in config.stash.get(_OUTCOMES, {}).items() if name in names}
    if not outcomes:
        return
    terminalreporter.section(f"seconds of talk, seconds kept (Debian {SUITE})")
    talk_s = kept_s = 0.0
    for name, outcome in sorted(outcomes.items()):
        if not outcome.verdicts:
            terminalreporter.line(f"{name:40}       no verdict")
            continue
        verdict = outcome.verdicts[1]
        talk_s, kept_s = talk_s + verdict.talk_s, kept_s + verdict.kept_s
        terminalreporter.line(f"{name:40} {verdict.talk_s:6.1f} {verdict.kept_s:6.1f}")
    share = kept_s / talk_s if talk_s else 0.0
    terminalreporter.line(f"{f'{len(outcomes)} flows: {share:.1%} kept':40} {talk_s:6.1f} {kept_s:6.1f}")
