"""Configuration for Asterisk, as text to paste."""

import re

from bridge.asterisk.rights import READ, WRITE
from bridge.core.errors import InvalidAmiValueError

_WORD = re.compile(r"[A-Za-z0-9_.-]+")
_SECRET = re.compile(r"[\x21-\x3a\x3c-\x7e]+")  # printable ASCII but `;`, which begins a comment


def manager_conf(username: str, secret: str) -> str:
    """manager.conf with one user, from this machine only, with just the rights that are used.

    Raises InvalidAmiValueError for a name or secret that manager.conf cannot hold.
    """
    if not _WORD.fullmatch(username) or username == "general":
        raise InvalidAmiValueError(f"{username!r} is no name for a manager user: letters, digits, . _ - only")
    if not _SECRET.fullmatch(secret) or secret.startswith(">"):
        raise InvalidAmiValueError("the secret must be printable ASCII, without spaces and `;`, and not begin with >")
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
; system: FullyBooted, Shutdown. call: channels, bridges, MixMonitor. agent: queues. user: UserEvent. dialplan: VarSet.
read = {",".join(READ)}
; system: MixMonitor, Filter, CoreShowChannels. call: StopMixMonitor, MixMonitorMute, Setvar.
write = {",".join(WRITE)}
; Milliseconds that Asterisk waits for a reader before it hangs up on it; 100 is its default.
writetimeout = 5000
"""
