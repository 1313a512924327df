"""Configuration folders of the two Asterisks: the PBX under test, and the one that plays every phone and the carrier.

`pbx()` and `phones()` give `{file name: text}`; `write()` puts them into a folder. Everything listens on 127.0.0.1.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bridge.asterisk.snippets import manager_conf

# Each party hums its own frequency in Hz: under 4 kHz, at least 100 Hz away from each other's harmonics below it,
# so that clipping and µ-law never make one party sound like another. The last three are no phones: a second outside
# party, the PBX's hold music and its announcement.
TONES: dict[str, int] = {
    "alice": 400,
    "bob": 700,
    "carol": 1000,
    "dave": 1300,
    "outside": 1700,
    "stranger": 1900,
    "music": 2300,
    "announcement": 2700,
}
PHONES: dict[str, str] = {"alice": "101", "bob": "102", "carol": "103", "dave": "104"}
OUTSIDERS = ("outside", "stranger")
SUPPORT_DID, BOB_DID, GROUP_DID, ANSWERED_DID = "4930555", "4930556", "4930557", "4930558"

BRIDGE_USER, BRIDGE_SECRET = "bridge", "bridge-secret"
TEST_USER, TEST_SECRET = "test", "test-secret"
# May listen but not record: for the tests of missing rights.
LISTENER_USER, LISTENER_SECRET = "listener", "listener-secret"

# Loaded by name, as that boots in 0.4 s; a module that some version does not have is only a warning.
_MODULES = """
res_timing_timerfd res_timing_pthread res_sorcery_config res_sorcery_memory res_sorcery_astdb res_pjproject
res_pjsip res_pjsip_session res_pjsip_sdp_rtp res_rtp_asterisk res_pjsip_caller_id res_pjsip_rfc3326
res_pjsip_endpoint_identifier_user res_pjsip_endpoint_identifier_ip res_pjsip_pubsub res_pjsip_refer
res_pjsip_authenticator_digest res_pjsip_diversion res_pjsip_dtmf_info res_pjsip_header_funcs
chan_pjsip chan_bridge_media bridge_simple bridge_native_rtp codec_ulaw codec_alaw codec_a_mu codec_gsm codec_g722
codec_resample format_wav format_pcm format_gsm format_sln format_wav_gsm
func_callerid func_channel func_strings func_logic func_global func_hangupcause func_timeout func_math
app_dial app_playback app_playtones app_echo app_stack app_senddtmf app_verbose app_transfer app_exec
pbx_config res_clioriginate
"""
_PBX_MODULES = """
bridge_softmix bridge_holding bridge_builtin_features bridge_builtin_interval_features
func_db func_dialplan func_cut func_uri func_groupcount app_chanspy func_periodic_hook
func_pjsip_endpoint func_pjsip_aor func_pjsip_contact res_musiconhold res_parking
app_mixmonitor app_queue app_confbridge app_bridgewait app_bridgeaddchan app_directed_pickup app_sendtext
app_userevent app_channelredirect app_page app_originate app_read app_while app_attended_transfer
app_blind_transfer app_celgenuserevent app_softhangup app_record app_cdr app_forkcdr cdr_manager cel_manager
"""


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of one network: SIP (UDP) and AMI (TCP) of both, the PBX's HTTP, RTP ranges with both ends included."""

    pbx_sip: int
    phones_sip: int
    pbx_ami: int
    phones_ami: int
    pbx_http: int
    pbx_rtp: tuple[int, int]
    phones_rtp: tuple[int, int]


def write(folder: Path, files: Mapping[str, str], extra: Mapping[str, str] | None = None) -> None:
    """Write the files into `folder/etc`; what `extra` has for a file name is appended to it (or is the file)."""
    etc = folder / "etc"
    etc.mkdir(parents=True, exist_ok=True)
    for name in {**files, **(extra or {})}:
        (etc / name).write_text(files.get(name, "") + "\n" + (extra or {}).get(name, ""))


def _load(modules: str) -> str:
    return "".join(f"load = {name}.so\n" for name in modules.split())


def _common(folder: Path, sip: int, ami: int, rtp: tuple[int, int], systemname: str | None = None) -> dict[str, str]:
    return {
        "asterisk.conf": f"""
[directories]
astetcdir => {folder}/etc
astspooldir => {folder}/spool
astrundir => {folder}/run
astlogdir => {folder}/log
astdbdir => {folder}/db
[options]
verbose = 3
hideconnect = yes
{f"systemname = {systemname}" if systemname else ""}
""",
        "modules.conf": "[modules]\nautoload = no\n" + _load(_MODULES),
        "logger.conf": "[general]\n[logfiles]\nfull.log => notice,warning,error,verbose,dtmf\n",
        "rtp.conf": f"[general]\nrtpstart = {rtp[0]}\nrtpend = {rtp[1]}\n",
        "cdr.conf": "[general]\nenable = yes\n",
        "cdr_manager.conf": "[general]\nenabled = yes\n",
        "manager.conf": f"""
[general]
enabled = yes
bindaddr = 127.0.0.1
port = {ami}
timestampevents = yes
[{TEST_USER}]
secret = {TEST_SECRET}
read = all
write = all
writetimeout = 10000
""",
        "pjsip.conf": f"""
[global]
type = global
endpoint_identifier_order = username,ip
[udp]
type = transport
protocol = udp
bind = 127.0.0.1:{sip}
[endpoint](!)
type = endpoint
transport = udp
disallow = all
allow = ulaw
direct_media = no
rtp_symmetric = no
media_address = 127.0.0.1
bind_rtp_to_media_address = yes
""",
    }


def pbx(folder: Path, ports: Ports, *, systemname: str | None = None) -> dict[str, str]:
    """The PBX: four phones, a trunk, a ring group, a queue, Local channels, parking, and an answering machine.

    Dial plan (context `internal`): 101-104 phones, 500 queue `support` (501 answers first), 600 ring group, 700 and
    701 bob through a Local channel that optimises itself away or stays, 800 answered by the PBX, 0… out through the
    trunk. `DIAL_OPTIONS` and the feature codes (#1 blind, *2 attended, #72 park) are for all calls.
    """
    files = _common(folder, ports.pbx_sip, ports.pbx_ami, ports.pbx_rtp, systemname)
    files["modules.conf"] += _load(_PBX_MODULES)
    # The user as `recbridge asterisk-conf` prints it, so that every test shows its rights to be enough.
    bridge_section = re.search(
        rf"^\[{BRIDGE_USER}\].*", manager_conf(BRIDGE_USER, BRIDGE_SECRET), re.MULTILINE | re.DOTALL
    )
    assert bridge_section is not None
    files["manager.conf"] += f"""
{bridge_section[0]}
[{LISTENER_USER}]
secret = {LISTENER_SECRET}
read = all
write = reporting
"""
    for name, number in PHONES.items():
        files["pjsip.conf"] += f"""
[{name}](endpoint)
context = internal
aors = {name}
callerid = {name.capitalize()} <{number}>
[{name}]
type = aor
contact = sip:{name}@127.0.0.1:{ports.phones_sip}
"""
    files["pjsip.conf"] += f"""
[trunk](endpoint)
context = from-trunk
aors = trunk
from_user = {SUPPORT_DID}
trust_id_inbound = yes
[trunk]
type = aor
contact = sip:127.0.0.1:{ports.phones_sip}
[trunk]
type = identify
endpoint = trunk
match = 127.0.0.1
"""
    phones = "\n".join(
        f"exten => {number},hint,PJSIP/{name}\n"
        f"exten => {number},1,Dial(PJSIP/{name},30,${{DIAL_OPTIONS}})\n same => n,Goto(end,1)"
        for name, number in PHONES.items()
    )
    files["extensions.conf"] = f"""
[globals]
DIAL_OPTIONS = tTkK
[internal]
{phones}
exten => 500,1,Queue(support,tTkK,,,60)
 same => n,Goto(end,1)
exten => 501,1,Answer()
 same => n,Goto(500,1)
exten => 600,1,Dial(PJSIP/bob&PJSIP/carol,30,${{DIAL_OPTIONS}})
 same => n,Goto(end,1)
exten => 700,1,Dial(Local/102@internal,30)
 same => n,Goto(end,1)
exten => 701,1,Dial(Local/102@internal/n,30)
 same => n,Goto(end,1)
exten => 800,1,Answer()
 same => n,Playback({folder}/sounds/announcement)
 same => n,Echo()
 same => n,Hangup()
exten => _0X.,1,Dial(PJSIP/${{EXTEN}}@trunk,60,${{DIAL_OPTIONS}})
 same => n,Goto(end,1)
exten => end,1,Hangup(${{IF($["${{DIALSTATUS}}" = "NOANSWER"]?19:${{HANGUPCAUSE}})}})
exten => h,1,NoOp()
include => parkedcalls
[from-trunk]
exten => {SUPPORT_DID},1,Goto(internal,500,1)
exten => {BOB_DID},1,Goto(internal,102,1)
exten => {GROUP_DID},1,Goto(internal,600,1)
exten => {ANSWERED_DID},1,Goto(internal,501,1)
"""
    files["queues.conf"] = """
[general]
[support]
strategy = ringall
musicclass = default
timeout = 15
retry = 1
wrapuptime = 0
ringinuse = no
member => PJSIP/bob,0,Bob
member => PJSIP/carol,0,Carol
"""
    files["musiconhold.conf"] = f"[default]\nmode = files\ndirectory = {folder}/sounds/music\n"
    files["features.conf"] = (
        "[general]\n[featuremap]\nblindxfer => #1\natxfer => *2\nparkcall => #72\ndisconnect => *0\n"
    )
    files["res_parking.conf"] = "[general]\n[default]\nparkext => 720\nparkpos => 721-729\ncontext => parkedcalls\n"
    files["confbridge.conf"] = "[general]\n[default_user]\ntype = user\n[default_bridge]\ntype = bridge\n"
    files["http.conf"] = f"[general]\nenabled = yes\nbindaddr = 127.0.0.1\nbindport = {ports.pbx_http}\n"
    files["cel.conf"] = "[general]\nenable = no\n"
    return files


def phones(folder: Path, ports: Ports) -> dict[str, str]:
    """The phones and the carrier. The global variables DO_<party> and AFTER_<party> say what each does when called."""
    files = _common(folder, ports.phones_sip, ports.phones_ami, ports.phones_rtp)
    for name in (*PHONES, "carrier"):
        files["pjsip.conf"] += f"""
[as-{name}](endpoint)
context = phones
aors = as-{name}
{"" if name == "carrier" else f"from_user = {name}"}
[as-{name}]
type = aor
contact = sip:127.0.0.1:{ports.pbx_sip}
"""
    files["pjsip.conf"] += """
[pbx](endpoint)
context = phones
trust_id_inbound = yes
[pbx]
type = identify
endpoint = pbx
match = 127.0.0.1
"""
    files["extensions.conf"] = "[phones]\n"
    for name in (*PHONES, "outside"):
        # A number called is outside: the carrier's phone takes all of them.
        extension = "_[+0-9]." if name == "outside" else name
        files["extensions.conf"] += f"""
exten => {extension},1,Set(CHANNEL(accountcode)={name})
 same => n,Goto(${{DO_{name}}})
 same => n(answer),Ringing()
 same => n,Wait(${{AFTER_{name}}})
 same => n,Answer()
 same => n,Goto(hum,{name},1)
 same => n(ring),Ringing()
 same => n,Wait(3600)
 same => n(busy),Hangup(17)
 same => n(reject),Hangup(21)
"""
    files["extensions.conf"] += """
[hum]
exten => silence,1,Playtones(0)
 same => n,Wait(3600)
exten => nothing,1,StopPlaytones()
 same => n,Wait(3600)
"""
    for name in (*PHONES, *OUTSIDERS):
        files["extensions.conf"] += f"exten => {name},1,Playtones({TONES[name]})\n same => n,Wait(3600)\n"
    return files
