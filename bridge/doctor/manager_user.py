"""What the manager user may read, by manager.conf: Asterisk tells it of no login."""

from collections.abc import Mapping, Sequence

from bridge.asterisk.rights import READ_DTMF, REMEDY
from bridge.asterisk.snippets import read_classes
from bridge.doctor.findings import Finding, failed, ok, unknown, warning

Categories = Sequence[tuple[str, Sequence[tuple[str, str]]]]
"""A configuration file of Asterisk: its sections with their lines, in order; a section can be there twice."""

_CODE = "asterisk-read"
_LOST: Mapping[str, str] = {
    "system": "nobody hears that Asterisk is up or shuts down",
    "call": "no call is ever seen, and none recorded",
    "agent": "calls of queues are not known as such",
    "user": "`*3` and `*26` are not heard",
    "dialplan": "conditions on channel variables, RECBRIDGE and a dialled `*26` are not seen",
    READ_DTMF: "`dtmf: true` hears no keys",
}


def read_finding(section: Categories | str, booted: bool, *, dtmf: bool) -> Finding:
    """What our user's section says, or why it could not be read; `booted`: a FullyBooted came, so `system` is there.

    Without a line `read` a user may read nothing, and of two lines, a template's too, the last counts (measured on
    22.10 and 16.28).
    """
    if isinstance(section, str):
        if not booted:
            return warning(
                _CODE, "no FullyBooted came after the login: Asterisk still starts, or `read` lacks `system`", REMEDY
            )
        return unknown(_CODE, f"what the user may read is not to be seen ({section}); `system` it may", REMEDY)
    lines = [value for _, lines in section for key, value in lines if key.strip().lower() == "read"]
    classes = {word.strip().lower() for word in lines[-1].split(",")} if lines else set()
    wanted = read_classes(dtmf=dtmf)
    missing = [] if "all" in classes else [name for name in wanted if name not in classes]
    if missing:
        lost = "; ".join(f"{name}: {_LOST[name]}" for name in missing)
        state = failed if {"call", "system"} & set(missing) else warning
        return state(_CODE, f"the user's `read` lacks {', '.join(missing)} ({lost})", REMEDY, missing=missing)
    if not booted:
        return warning(
            _CODE,
            "manager.conf lets the user read all that is needed, but no FullyBooted came after the login",
            "`asterisk -rx 'core waitfullybooted'`; if it is up: `asterisk -rx 'manager reload'`",
        )
    if not dtmf and ({"all", READ_DTMF} & classes):
        return ok(_CODE, "it may read all that is needed; and keys (`dtmf`), which `dtmf: false` has no use for")
    return ok(_CODE, f"it may read {', '.join(wanted)}")
