"""Looks into the WAVs, window by window: what of a talk is there, and what is there that should not be."""

import re
from collections.abc import Sequence
from itertools import groupby

from tests.faults.seen import BEGIN_S, Seen, Span, ended_at
from tests.flows.truth import Talk, Truth
from tests.flows.verdict import EDGE_S, FIRST_S, WINDOW_S, Section, missing

SOON_S = 5.0
"""How soon after it is ready again the daemon has to record what is talked: generous, as the machine may be busy."""
LATE_S = 2.0
"""The same of a talk that begins; it takes 1 ms on an idle machine, and counts as time in which nobody was there."""
PACKETS_S, PACKETS_SHARE = 0.3, 0.1
"""How much of a WAV may be missing on a machine that is too busy for all packets."""
SHIFT_S = 0.2
ALONE = "are recorded without a talk that is covered"
_OVERLAP = re.compile(r"record the same ([0-9.]+) s$")


def look(seen: Seen, truth: Truth, talk: Talk, sections: Sequence[Section]) -> tuple[float, float, list[str]]:
    """How much of a talk could not be had, how much was kept, and what else of it was not."""
    hole_s = kept_s = 0.0
    lost: list[tuple[float, str]] = []
    at = talk.began + FIRST_S
    while at + WINDOW_S <= talk.ended:
        window = (at, at + WINDOW_S)
        if not _inside(window, seen.unheard) and (reason := missing(truth, talk, at, sections)):
            if _could_not(seen, truth, talk, window):
                hole_s += WINDOW_S
            else:
                lost.append((at - talk.began, reason))
        else:
            kept_s += WINDOW_S
        at += WINDOW_S
    parties = ", ".join(sorted({party for stretch in talk.stretches for party in stretch.legs.values()}))
    words = []
    for reason, group in groupby(lost, key=lambda one: one[1]):
        times = [at for at, _ in group]
        if _busy(truth, talk, [talk.began + at for at in times], sections):
            continue
        span = f"from {times[0]:.1f} s to {times[-1] + WINDOW_S:.1f} s {reason}"
        words.append(f"talk of {parties}, {talk.ended - talk.began:.1f} s: {span}")
    return hole_s, kept_s, words


def _busy(truth: Truth, talk: Talk, times: Sequence[float], sections: Sequence[Section]) -> bool:
    """Whether these windows were recorded by Asterisk, and are missing only as the machine was too busy for packets.

    Then a WAV is shorter than its MixMonitor ran. What the daemon might lose would be lost whole, or for longer.
    """
    if not all(_ran(truth, talk, at, sections) for at in times):
        return False
    legs = talk.legs(times[0], times[-1] + WINDOW_S)
    lacking_s = 0.0
    for section in sections:
        ran_s = section.stopped - section.began
        if section.leg in legs and ran_s < float("inf"):
            lacking_s += min(max(0.0, ran_s - len(section.samples) / section.rate), PACKETS_S + ran_s * PACKETS_SHARE)
    return len(times) * WINDOW_S <= PACKETS_S + lacking_s + 1e-6


def _ran(truth: Truth, talk: Talk, at: float, sections: Sequence[Section]) -> bool:
    """Whether MixMonitors ran for all of the window from `at` on."""
    legs = talk.legs(at, at + WINDOW_S)
    running = [(one.began, ended_at(truth, one, sections)) for one in truth.monitors if one.leg in legs]
    moments = (at, at + WINDOW_S / 2, at + WINDOW_S)
    return all(any(began <= moment <= ended for began, ended in running) for moment in moments)


def _inside(window: Span, spans: Sequence[Span]) -> bool:
    return any(began < window[1] and ended > window[0] for began, ended in spans)


def _could_not(seen: Seen, truth: Truth, talk: Talk, window: Span) -> bool:
    """Whether nobody could have recorded this: the daemon was away (or just back), and no MixMonitor ran.

    One that has lived through a change of partner may lack the new one's voice: nobody was there to begin the next.
    """
    begun = [one.began for one in truth.monitors if one.leg in talk.legs(*window)]
    if window[0] < talk.began + LATE_S and not any(talk.began - BEGIN_S < at <= window[0] for at in begun):
        return True  # not yet
    for began, back in seen.absences:
        firsts = [one.began for one in truth.monitors if one.began >= back and one.leg in talk.legs(*window)]
        until = min([*firsts, back + SOON_S]) + FIRST_S
        if not (began - BEGIN_S < window[1] and window[0] < until):
            continue
        legs = talk.legs(*window)
        running = [one for one in truth.monitors if one.leg in legs and one.began < window[0]
                   and truth.ended(one, one.began) > window[1]]  # fmt: skip
        if all(truth.with_leg(one.leg, one.began, one.began + WINDOW_S).keys() != legs.keys() for one in running):
            return True
    return False


def heard_in_silence(seen: Seen, sections: Sequence[Section]) -> list[str]:
    faults = []
    for began, ended in seen.silent:
        for section in sections:
            # A WAV may lack some packets of what was before, and so tell a little early of what comes.
            at = max(began, section.began) + SHIFT_S
            while at + WINDOW_S <= min(ended, section.ended) - SHIFT_S:
                if voices := section.heard(at):
                    faults.append(f"{section.name}: {', '.join(sorted(voices))} is heard while it is paused")
                    break
                at += WINDOW_S
    return faults


def alone(seen: Seen, truth: Truth, sections: Sequence[Section]) -> list[str]:
    """What is recorded without a talk while the daemon was there to stop it."""
    faults = []
    for section in sections:
        at, alone_s = section.began, 0.0
        while at + WINDOW_S <= section.ended:
            window = (at, at + WINDOW_S)
            there = not any(began < window[1] and window[0] < back + SOON_S for began, back in seen.absences)
            alone_s += WINDOW_S * (there and not truth.with_leg(section.leg, at - EDGE_S, window[1] + EDGE_S))
            at += WINDOW_S
        if alone_s:
            faults.append(f"{section.name}: {alone_s:.1f} s {ALONE}")
    return faults


def both_ran(seen: Seen, fault: str) -> bool:
    """Whether two sections overlap because nobody was there to stop the first one."""
    found = _OVERLAP.search(fault)
    return found is not None and any(float(found[1]) < back - began + BEGIN_S for began, back in seen.absences)
