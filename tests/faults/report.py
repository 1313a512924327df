"""The table of what was kept of which fault."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.faults.account import Account

_HEAD = ("fault", "times", "sections expected", "kept", "seconds written", "playable", "nobody there", "lost")


@dataclass(frozen=True, slots=True)
class Row:
    """A fault, how often it was injected, and what came of it."""

    fault: str
    times: int
    account: Account

    @classmethod
    def of(cls, fault: str, times: int, account: Account) -> "Row":
        return cls(fault, times, account)

    def cells(self) -> tuple[str, ...]:
        one = self.account
        lost = f"**{len(one.faults)}**" if one.faults else "nothing"
        numbers = (f"{one.written_s:.1f}", f"{one.playable_s:.1f}", f"{one.hole_s:.1f}")
        return (self.fault, str(self.times), str(one.sections), str(one.kept), *numbers, lost)


def table(rows: Sequence[Row], took_s: float) -> str:
    """Markdown."""
    total = Account()
    for row in rows:
        total.add(row.account)
    all_ = [*rows, Row("all", sum(row.times for row in rows), total)]
    lines = [_HEAD, ("---", *["---:"] * 6, "---"), *(row.cells() for row in all_)]
    return "\n".join([*(f"| {' | '.join(line)} |" for line in lines), "", _WORDS.format(minutes=took_s / 60), ""])


_WORDS = """\
Made by `make test-faults` in {minutes:.0f} minutes. A section is expected for each MixMonitor that ran; "written" is
how long they ran by Asterisk's own events (of an Asterisk that died: what it had on disk), and a WAV may be 36 ms
shorter than that. "Nobody there" is talk, for each rule, during which no MixMonitor ran because the daemon was being
started again or could not reach Asterisk; it must end as soon as the daemon is back. Every other second of every talk
was looked for in the WAVs, with each party in it; after a kill records, sections and the journal were compared with
an undisturbed run."""
