"""The daemon over HTTP: does it answer, is it ready, what does it warn of; and until when its certificate is good."""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from bridge.cli.calls import refusal, tls_of, url_of
from bridge.config import Config
from bridge.core.errors import RecbridgeError
from bridge.doctor.findings import Finding, Ground, failed, milliseconds, ok, unknown, warning

CODES = ("daemon", "daemon-ready", "daemon-warnings", "certificate")
_WITHIN_S = 8.0
_SOON = timedelta(days=21)
_START = "`systemctl status recbridge`, `journalctl -u recbridge -n 50`; `systemctl start recbridge`"
_LOG = "`journalctl -u recbridge` and `recbridge calls` say it in words"
_REMEDIES: Mapping[str, str] = {
    "asterisk-unreachable": "see the check `asterisk`",
    "asterisk-login-refused": "see the check `asterisk-login`",
    "asterisk-rights-missing": "see the check `asterisk-write`",
    "spool-not-shared": "`spool: {asterisk, local}` has to be the same folder, as each of the two sees it",
    "rules-refused": "`recbridge check` names every mistake; then `systemctl reload recbridge`",
    "database-not-written": "see the checks `database` and `disk`; another program may hold a lock: `fuser DATABASE`",
    "changes-lost": "make room on the disk, then `systemctl restart recbridge`",
    "retention-refused": "`recbridge erase --expired --dry-run --why look`, and if it is right, with --force",
    "mail-not-taken": "see the check `mails`",
    "webhook-disabled": "see the check `webhooks`",
}


async def look(ground: Ground) -> Sequence[Finding]:
    """All of `CODES`."""
    ready, certificate = await asyncio.gather(_ready(ground.config), _certificate(ground))
    return [*ready, certificate]


async def _ready(config: Config) -> list[Finding]:
    where = config.http.listen
    try:
        timeout = aiohttp.ClientTimeout(total=_WITHIN_S)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"{url_of(config)}/ready", ssl=tls_of(config)) as response,
        ):
            body: dict[str, Any] = await response.json()
        reasons = [str(code) for code in body["reasons"]]
        # The spool is looked at here as well, and says more.
        warnings = [str(code) for code in body.get("warnings", ()) if not str(code).startswith("spool-")]
    except aiohttp.ClientConnectorError as error:
        return _gone(failed("daemon", f"none answers at {where}: does it run? ({refusal(error)})", _START))
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError, TypeError, RecbridgeError) as error:
        return _gone(failed("daemon", f"it does not answer at {where}: {error or type(error).__name__}", _START))
    found = [ok("daemon", f"it answers at {where}")]
    if reasons:
        found.append(failed("daemon-ready", f"it is not ready: {', '.join(reasons)}", _what(reasons), reasons=reasons))
    else:
        found.append(ok("daemon-ready", "it is ready"))
    if warnings:
        words = f"it warns: {', '.join(warnings)}"
        found.append(warning("daemon-warnings", words, _what(warnings), warnings=warnings))
    else:
        found.append(ok("daemon-warnings", "it warns of nothing"))
    return found


def _gone(finding: Finding) -> list[Finding]:
    return [finding, *(unknown(code, "the daemon does not answer") for code in CODES[1:3])]


def _what(codes: Sequence[str]) -> str:
    known = [_REMEDIES.get(code, "see the check `spool`" if code.startswith("spool-") else _LOG) for code in codes]
    return "; ".join(dict.fromkeys(known))


async def _certificate(ground: Ground) -> Finding:
    """Of what is served, which may be older than the file: the daemon reads it when it starts."""
    code, tls = "certificate", ground.config.http.tls
    if tls is None:
        return ok(code, "no TLS is configured")
    host, port = ground.config.http.address
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # where it listens, not where we do
    renew = f"renew {tls.certificate} and its key, then `systemctl restart recbridge`"
    try:
        context = tls_of(ground.config)
        async with asyncio.timeout(_WITHIN_S):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
        served = writer.get_extra_info("peercert") or {}
        writer.transport.abort()
        ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(served["notAfter"]), UTC)
    except ssl.SSLCertVerificationError as error:
        return failed(code, f"the certificate that is served is not good: {error.verify_message}", renew)
    except RecbridgeError as error:
        return failed(code, str(error), renew)
    except (OSError, TimeoutError, KeyError, ValueError) as error:
        return unknown(code, f"the daemon does not show it: {type(error).__name__}")
    words = f"the certificate is good until {ends:%Y-%m-%d}"
    if ends - ground.clock() < _SOON:
        return warning(code, words, renew, endsAt=milliseconds(ends))
    return ok(code, words, endsAt=milliseconds(ends))
