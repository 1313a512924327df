"""Configuration for Asterisk, as text to paste."""

import re

from bridge.asterisk.filters import USER_EVENTS
from bridge.asterisk.rights import READ, READ_DTMF, WRITE
from bridge.core.errors import InvalidAmiValueError
from bridge.core.messages import CALL_RECORD_EXTENSION

_WORD = re.compile(r"[A-Za-z0-9_.-]+")
_SECRET = re.compile(r"[\x21-\x3a\x3c-\x7e]+")  # printable ASCII but `;`, which begins a comment


RECORD_KEYS = "*3"
"""The keys that toggle the recording of a running call (Wazo's)."""
FEATURE = "recbridge"
CONTEXT = "recbridge"
_RECORD, _CALL_RECORD = USER_EVENTS


def read_classes(*, dtmf: bool = False) -> tuple[str, ...]:
    """What the user may read; `dtmf` as in the configuration."""
    return (*READ, READ_DTMF) if dtmf else READ


def manager_conf(username: str, secret: str, *, dtmf: bool = False) -> str:
    """manager.conf with one user, from this machine only, with just the rights that are used.

    `dtmf`: with the keys that are pressed, for `dtmf: true` in the configuration.
    Raises InvalidAmiValueError for a name or secret that manager.conf cannot hold.
    """
    if not _WORD.fullmatch(username) or username == "general":
        raise InvalidAmiValueError(f"{username!r} is no name for a manager user: letters, digits, . _ - only")
    if not _SECRET.fullmatch(secret) or secret.startswith(">"):
        raise InvalidAmiValueError("the secret must be printable ASCII, without spaces and `;`, and not begin with >")
    keys = " dtmf: DTMFEnd, every key that anybody presses (for `dtmf: true`)." if dtmf else ""
    return f"""\
; /etc/asterisk/manager.conf: if you have a [general] section, set these there; then
;   asterisk -rx 'manager reload'
[general]
enabled = yes
port = 5038
bindaddr = 127.0.0.1
; Events with Asterisk's own time.
timestampevents = yes

; Whoever knows this secret can run any program as Asterisk's user: MixMonitor takes a command.
; So `write = system` is as good as a shell. Keep it, and this file, to yourself.
[{username}]
secret = {secret}
deny = 0.0.0.0/0.0.0.0
permit = 127.0.0.1/255.255.255.255
; system: FullyBooted, Shutdown. call: channels, bridges, MixMonitor. agent: queues. user: UserEvent.
; dialplan: VarSet, Newexten.{keys}
read = {",".join(read_classes(dtmf=dtmf))}
; system: MixMonitor, Filter, CoreShowChannels, PJSIPShowContacts. call: StopMixMonitor, MixMonitorMute, Setvar.
write = {",".join(WRITE)}
; Milliseconds that Asterisk waits for a reader before it hangs up on it; 100 is its default.
writetimeout = 5000
"""


def features_conf() -> str:
    """features.conf: the keys that toggle recording, pressed by either side of a talk.

    Measured on 22.10 and 16.28: one UserEvent on the channel that pressed, some 0.5 ms after the last DTMFEnd; nothing
    is played, and the other party hears neither a key nor a gap that the phone did not make by pressing. It works for
    caller and callee, outside parties too, in calls by Dial (whatever its options) and Queue, through Local channels,
    and after blind and attended transfers, parking, AMI Redirect and Bridge; not in ConfBridge, which has no features.
    Of an attended transfer's consultation see the comment: the transferer's keys reach the Local channel to the target,
    so the UserEvent names its second half (`Local/…;2`).
    """
    return f"""\
; /etc/asterisk/features.conf: if you have an [applicationmap], the line goes there; then
;   asterisk -rx 'module reload features'
; {RECORD_KEYS} while one talks toggles the recording. `self`: the event names the channel of the one who pressed it.
; Give {RECORD_KEYS} to nothing else: in [featuremap] an automixmon or automon with it does not work any more, and in
; [general] atxferthreeway has it if nothing is said (for who transfers, while he asks back): atxferthreeway = *5
[applicationmap]
{FEATURE} => {RECORD_KEYS},self,UserEvent,{_RECORD}
"""


def extensions_conf() -> str:
    """extensions.conf: the keys for all calls, and the extension that toggles a user's own calls.

    A channel's own DYNAMIC_FEATURES hides the global one (measured); a feature that nobody may use costs nothing.
    """
    return f"""\
; /etc/asterisk/extensions.conf: if you have [globals], the line goes there; then
;   asterisk -rx 'dialplan reload'
; For all calls. Where your dialplan sets DYNAMIC_FEATURES itself, add to it: other#{FEATURE}
[globals]
DYNAMIC_FEATURES = {FEATURE}

; {CALL_RECORD_EXTENSION} turns the recording of one's own calls on or off. Into your phones' context:
;   include => {CONTEXT}
[{CONTEXT}]
exten => {CALL_RECORD_EXTENSION},1,UserEvent({_CALL_RECORD})
 same => n,Answer()
 same => n,Playback(beep)
 same => n,Hangup()
"""
