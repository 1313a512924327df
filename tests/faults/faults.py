"""All faults, each a row of the table: what goes wrong around the daemon while calls are recorded."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from tests.faults.asterisk_faults import crashed, judge_crashed, judge_stopped, stopped
from tests.faults.connection_faults import IN_TALK, PHASES, cut, refused, slow
from tests.faults.disk_faults import filled, judge_filled, read_only
from tests.faults.proxy import Mode
from tests.faults.scenarios import MONO, STEREO, book
from tests.faults.stage import Scenario
from tests.faults.state_faults import CLOCK, clock_back, database_locked, judge_clock


@dataclass(frozen=True, slots=True)
class Fault:
    """A row of the table; each of its scenarios is one time that it is injected.

    `slow` ones take up to two minutes; with `small` the spool is a small disk of its own.
    """

    name: str
    scenarios: Sequence[Scenario]
    slow: bool = False
    small: bool = False

    @property
    def number(self) -> int:
        """Its place in the table."""
        return [one.name for one in FAULTS].index(self.name)


ALL = book("All", MONO)
FAULTS = (
    Fault("AMI is cut", [cut(phase, Mode.CUT) for phase in PHASES]),
    Fault("AMI is half open", [cut(IN_TALK, Mode.STALL)], slow=True),
    Fault("AMI is half open, in every phase", [cut(phase, Mode.STALL) for phase in PHASES[:4]], slow=True),
    Fault("AMI is slow", [Scenario("slow", ALL, slow, proxied=True)]),
    Fault("AMI refuses the login", [Scenario("refused", ALL, refused, proxied=True)], slow=True),
    Fault("Asterisk stands still for 6 s",
          [Scenario("6 s", ALL, partial(stopped, for_s=6.0), judge=judge_stopped)]),
    Fault("Asterisk stands still for 25 s",
          [Scenario("25 s", ALL, partial(stopped, for_s=25.0), judge=judge_stopped)], slow=True),
    Fault("Asterisk is killed in 20 calls", [Scenario("crash", ALL, crashed, proxied=True, judge=judge_crashed)]),
    Fault("The clock is set back an hour",
          [Scenario("clock", CLOCK, clock_back, environment={"CLOCK_S": "-3600"}, judge=judge_clock)]),
    Fault("The database is locked for 10 s", [Scenario("locked", ALL, partial(database_locked, killed=False))]),
    Fault("The database is locked, and recbridge killed",
          [Scenario("locked", ALL, partial(database_locked, killed=True))]),
    Fault("The disk fills up", [Scenario("full", ALL, filled, judge=judge_filled)], small=True, slow=True),
    Fault("The disk is read-only to recbridge",
          [Scenario("mono", ALL, read_only), Scenario("stereo", book("All", STEREO), read_only)],
          small=True, slow=True),
)  # fmt: skip
