"""Asterisk: is it reached, may we do and read what is needed, and is it fit for recording. One login for all."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from bridge.asterisk import rights
from bridge.asterisk.manager import AmiManager
from bridge.asterisk.wire import RawMessage
from bridge.core.errors import AsteriskError, BadInputError, LoginRefusedError
from bridge.doctor.asterisk_files import asked_for, known
from bridge.doctor.defects import major_of, version_finding
from bridge.doctor.features import features_finding
from bridge.doctor.findings import Finding, Ground, failed, ok, unknown, warning
from bridge.doctor.manager_user import read_finding
from bridge.files import read_rules, read_users

CODES = (
    "asterisk",
    "asterisk-login",
    "asterisk-write",
    "asterisk-read",
    "asterisk-version",
    "asterisk-modules",
    "asterisk-features",
    "asterisk-clock",
)
_CONNECT_S = 4.0
_LOGIN_S = 5.0
_ACTION_S = 3.0
_BOOTED_S = 1.0
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_OFF = timedelta(seconds=1)
_FAR_OFF = timedelta(minutes=1)
_MODULES = {
    "app_mixmonitor": "MixMonitor: nothing can be recorded",
    "format_wav": "WAV files: nothing can be recorded",
    "app_userevent": "UserEvent: `*3` and `*26` are not heard",
    "func_periodic_hook": "beeps",
}
_NEEDED = ("app_mixmonitor", "format_wav")


async def look(ground: Ground) -> Sequence[Finding]:
    """All of `CODES`."""
    config = ground.config.asterisk
    where = f"{config.host}:{config.port}"
    manager = AmiManager(config.host, config.port)
    booted = asyncio.Event()

    def came(_: RawMessage) -> None:
        booted.set()

    manager.register_event("FullyBooted", came)
    try:
        try:
            await manager.connect(_CONNECT_S)
        except AsteriskError as error:
            remedy = (
                f"is Asterisk up (`systemctl status asterisk`), and manager.conf `enabled = yes`, bound to {where}?"
            )
            return [failed("asterisk", error.message, remedy), *_unseen(CODES[1:], "Asterisk is not reached")]
        reached = ok("asterisk", f"its manager interface answers at {where}")
        try:
            await manager.login(config.username, ground.config.secret, _LOGIN_S)
        except LoginRefusedError as error:
            remedy = rights.login_refused(where, config.username)
            refused = failed("asterisk-login", f"it refuses the login: {error.message}", remedy)
            return [reached, refused, *_unseen(CODES[2:], "the login is refused")]
        except AsteriskError as error:
            remedy = f"does something else listen at {where}? `asterisk -rx 'manager show settings'` names its port"
            return [failed("asterisk", error.message, remedy), *_unseen(CODES[1:], "it did not answer the login")]
        return [reached, ok("asterisk-login", "the login is right"), *await _logged_in(ground, manager, booted)]
    finally:
        manager.close()


def _unseen(codes: Sequence[str], why: str) -> list[Finding]:
    return [unknown(code, why) for code in codes]


async def _logged_in(ground: Ground, manager: AmiManager, booted: asyncio.Event) -> list[Finding]:
    config = ground.config
    here = config.asterisk.host in _LOOPBACK
    found: list[Finding] = []
    try:
        found.append(await _write(manager))
        with_clock = await _clock(ground, manager)
        version = (await manager.action("CoreSettings", {}, _ACTION_S, must_succeed=False)).header("AsteriskVersion")
        user = await asked_for(manager, "manager.conf", config.asterisk.username, _ACTION_S)
        features = await asked_for(manager, "features.conf", "", _ACTION_S)
        dynamic = await manager.action("Getvar", {"Variable": "DYNAMIC_FEATURES"}, _ACTION_S, must_succeed=False)
        modules = await _modules(ground, manager)
        try:
            async with asyncio.timeout(_BOOTED_S):
                await booted.wait()
        except TimeoutError:
            pass
        user = known(user, "manager.conf", config.asterisk.username, here=here)
        if not user:
            user = "our user has no section of its own there: it may be one of users.conf or a database"
        found += [
            read_finding(user, booted.is_set(), dtmf=config.dtmf),
            version_finding(version),
            modules,
            features_finding(
                known(features, "features.conf", "", here=here),
                major_of(version),
                dynamic.header("Value") if dynamic.success else None,
                dtmf=config.dtmf,
            ),
            with_clock,
        ]
    except AsteriskError as error:
        seen = {one.code for one in found}
        found += _unseen([code for code in CODES[2:] if code not in seen], error.message)
    return found


async def _write(manager: AmiManager) -> Finding:
    may = await rights.check(manager, _ACTION_S)
    if not may.problem:
        return ok("asterisk-write", "it may do all that is needed")
    return failed("asterisk-write", f"missing: {', '.join(may.missing)}", may.problem, missing=list(may.missing))


async def _modules(ground: Ground, manager: AmiManager) -> Finding:
    missing = []
    for name in _MODULES:
        answer = await manager.action("ModuleCheck", {"Module": f"{name}.so"}, _ACTION_S, must_succeed=False)
        if not answer.success and answer.message.startswith("Permission"):
            return unknown("asterisk-modules", "ModuleCheck needs `system` in the user's `write`", rights.REMEDY)
        if not answer.success:
            missing.append(name)
    beeps = "func_periodic_hook" in missing and await asyncio.to_thread(_any_beep, ground)
    hurting = [name for name in missing if name != "func_periodic_hook" or beeps]
    if not hurting:
        idle = "" if not missing else f"; {', '.join(missing)} is not, which no rule needs"
        return ok("asterisk-modules", f"all that are needed are loaded{idle}")
    remedy = "; ".join(f"`asterisk -rx 'module load {name}.so'`" for name in hurting)
    words = "not loaded: " + "; ".join(f"{name} ({_MODULES[name]})" for name in hurting)
    state = failed if set(hurting) & set(_NEEDED) else warning
    return state("asterisk-modules", words, f"{remedy}, and for good in modules.conf", missing=hurting)


def _any_beep(ground: Ground) -> bool:
    try:
        rules = read_rules(ground.config.rules, read_users(ground.config.users))
    except (BadInputError, OSError):
        return False
    return any(placed.rule.beep is not None for placed in rules.rules)


async def _clock(ground: Ground, manager: AmiManager) -> Finding:
    before = ground.clock()
    said = (await manager.action("Ping", {}, _ACTION_S, must_succeed=False)).header("Timestamp")
    after = ground.clock()
    try:
        theirs = datetime.fromtimestamp(float(said), UTC)
    except (ValueError, OverflowError, OSError):
        return unknown("asterisk-clock", "Asterisk's answer to Ping tells no time")
    # Between the two it was asked: what lies outside is the least that the clocks differ.
    off = max(before - theirs, theirs - after, timedelta(0))
    words = f"Asterisk's clock and ours differ by {off.total_seconds():.1f} s"
    if off <= _OFF:
        return ok("asterisk-clock", words, differenceS=off.total_seconds())
    state = failed if off > _FAR_OFF else warning
    remedy = "synchronise both machines: `timedatectl set-ntp true`, then `timedatectl timesync-status`"
    return state("asterisk-clock", words, remedy, differenceS=off.total_seconds())
