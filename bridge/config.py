"""The configuration file: what may stand in it, and where it is found."""

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit
from uuid import UUID, uuid5

from pydantic import BeforeValidator, Field, SecretStr

from bridge.core.document import Boolean, Listed, Loaded, Strict, Text, WrongValueError, in_order, load, one_of, text_of
from bridge.core.durations import Duration
from bridge.core.errors import BadInputError, Problem
from bridge.core.mails import is_address
from bridge.core.people import uuid_of
from bridge.core.retention import Keeping
from bridge.core.space import LowSpace, LowSpaceText
from bridge.files import DEFAULT_USERS, read_text

DEFAULT_PATH = Path("/etc/recbridge/recbridge.yml")
PATH_VARIABLE = "RECBRIDGE_CONFIG"
SECRET_VARIABLE = "RECBRIDGE_AMI_SECRET"  # noqa: S105  # the name of a variable, not a secret

_DEFAULT_RULES = Path("/etc/recbridge/rules")
_DEFAULT_SPOOL = Path("/var/spool/asterisk/recbridge")
_LISTEN = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):(?P<port>[1-9][0-9]{0,4})")
_URL = re.compile(r"https?://[A-Za-z0-9.\[\]:_-]+(/[A-Za-z0-9._~/-]*)?")
_HOST = re.compile(r"[A-Za-z0-9._-]+")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  # compared with, not bound to
_TENANTS_NAMESPACE = UUID("7c1f8b0e-2b1d-5f5a-8a58-6f4f2c7d9e11")
_FOR_MIXMONITOR = re.compile(r"/[A-Za-z0-9._/-]*")


def _path(value: object) -> Path:
    text = text_of(value)
    if not text.startswith("/"):
        raise WrongValueError(f"must be an absolute path, not `{text}`")
    return Path(text)


def _spool_path(value: object) -> Path:
    path = _path(value)
    if not _FOR_MIXMONITOR.fullmatch(str(path)):
        raise WrongValueError(f"may hold letters, digits and `._/-` alone, as MixMonitor is told of it: `{path}`")
    return path


def _port(value: object) -> int:
    text = text_of(value)
    if not re.fullmatch(r"[1-9][0-9]{0,4}", text) or int(text) > 65535:
        raise WrongValueError(f"must be a port from 1 to 65535, not `{text}`")
    return int(text)


def _listen(value: object) -> str:
    text = text_of(value)
    match = _LISTEN.fullmatch(text)
    if match is None or int(match["port"]) > 65535:
        raise WrongValueError(f"must be an address and a port like 127.0.0.1:8095, not `{text}`")
    return text


def _url(value: object) -> str:
    text = text_of(value)
    try:
        if not _URL.fullmatch(text) or not urlsplit(text).hostname or urlsplit(text).port == 0:
            raise ValueError
    except ValueError:  # also urlsplit's, of a port or an IPv6 address that is none
        raise WrongValueError(f"must be an address like https://pbx.example.org, not `{text}`") from None
    return text.rstrip("/")


def _host(value: object) -> str:
    text = text_of(value)
    try:
        if not _HOST.fullmatch(text):
            ip_address(text)
    except ValueError:
        raise WrongValueError(f"must be a host's name or address alone, like mail.example.org, not `{text}`") from None
    return text


def _network(value: object) -> IPv4Network | IPv6Network:
    text = text_of(value)
    try:
        return ip_network(text)
    except ValueError:
        raise WrongValueError(f"must be an address, or a network like 10.0.0.0/24, not `{text}`") from None


def _secret(value: object) -> SecretStr:
    text = text_of(value)
    if not text or not text.isprintable():
        raise WrongValueError("is empty, or holds what is no printable character")
    return SecretStr(text)


def _address(value: object) -> str:
    text = text_of(value)
    if not is_address(text):
        raise WrongValueError(f"must be one plain mail address like recbridge@example.org, not `{text}`")
    return text


AbsolutePath = Annotated[Path, BeforeValidator(_path)]
Host = Annotated[str, BeforeValidator(_host)]
Address = Annotated[str, BeforeValidator(_address)]


class AsteriskConfig(Strict):
    """Where the manager interface is, and how to log in."""

    host: Host = "127.0.0.1"
    port: Annotated[int, BeforeValidator(_port)] = 5038
    username: Text = "bridge"
    secret: Annotated[SecretStr | None, BeforeValidator(_secret)] = None
    secret_file: AbsolutePath | None = None


class SpoolConfig(Strict):
    """One folder, as each of the two sees it. `low_space` is how much free room of its disk warns."""

    asterisk: Annotated[Path, BeforeValidator(_spool_path)] = _DEFAULT_SPOOL
    local: AbsolutePath = _DEFAULT_SPOOL
    low_space: LowSpaceText = LowSpace(share=0.05)


class TlsConfig(Strict):
    """PEM files."""

    certificate: AbsolutePath
    key: AbsolutePath


class HttpConfig(Strict):
    """Where the API listens. `trusted_proxies` may say who asks (X-Forwarded-For).

    `public_url` is how others reach it, for links in mails: `https://pbx.example.org/recbridge`.
    """

    listen: Annotated[str, BeforeValidator(_listen)] = "127.0.0.1:8095"
    public_url: Annotated[str | None, BeforeValidator(_url)] = None
    tls: TlsConfig | None = None
    trusted_proxies: Listed[Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)]] = ()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def base_url(self) -> str:
        """What links in mails begin with: `public_url`, else where it listens."""
        return self.public_url or f"{'http' if self.tls is None else 'https'}://{self.listen}"


class RetentionConfig(Strict):
    """How long recordings are kept where no rule says otherwise, and finished calls (`calls`): without it for ever.

    `exports` is for the zips of exports, from when they are finished.
    """

    keep: Duration = timedelta(days=365)
    calls: Duration | None = None
    exports: Duration = timedelta(days=2)

    @property
    def keeping(self) -> Keeping:
        """Both of them."""
        return Keeping(self.keep, self.calls)


class MailTls(StrEnum):
    """How a mail server is spoken to."""

    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


class MailConfig(Strict):
    """The SMTP server that takes our mails, and who they are from. `admin` gets what is about recbridge itself.

    `tls`: the server's certificate must be one that the machine trusts. `password` is found when the file is loaded.
    """

    host: Host
    port: Annotated[int, BeforeValidator(_port)] = 25
    tls: Annotated[MailTls, one_of(MailTls)] = MailTls.NONE
    username: Text | None = None
    password: Annotated[SecretStr | None, BeforeValidator(_secret)] = None
    password_file: AbsolutePath | None = None
    sender: Address
    admin: Address | None = None


class WebhooksConfig(Strict):
    """`allow_private`: callbacks may go to private and loopback addresses."""

    allow_private: Boolean = False


class QueueConfig(Strict):
    """What one queue says of its members. `record_toggle`: may their record key record; it stands over the user's."""

    record_toggle: Boolean | None = None


class Config(Strict):
    """The whole configuration; only `asterisk` is required.

    `systemname` names this PBX in every row that is kept. `dtmf`: `*3` counts as plain DTMF on the user's own leg, too.
    `tenant_uuid` is what clients of Wazo call this PBX.
    """

    asterisk: AsteriskConfig
    spool: SpoolConfig = SpoolConfig()
    rules: AbsolutePath = _DEFAULT_RULES
    users: AbsolutePath = DEFAULT_USERS
    database: AbsolutePath = Path("/var/lib/recbridge/recbridge.db")
    trunks: Listed[Text] = ("PJSIP/trunk*",)
    http: HttpConfig = HttpConfig()
    retention: RetentionConfig = RetentionConfig()
    systemname: Text = Field(default_factory=socket.gethostname)
    dtmf: Boolean = False
    queues: Mapping[Text, QueueConfig] = {}
    mail: MailConfig | None = None
    webhooks: WebhooksConfig = WebhooksConfig()
    given_tenant_uuid: Annotated[UUID | None, BeforeValidator(uuid_of)] = Field(default=None, alias="tenant_uuid")

    @property
    def tenant_uuid(self) -> UUID:
        """As given, else derived from the systemname."""
        return self.given_tenant_uuid or uuid5(_TENANTS_NAMESPACE, self.systemname)

    @property
    def queue_toggles(self) -> Mapping[str, bool]:
        """By the name of the queue, where it says something of its own."""
        toggles = {name: queue.record_toggle for name, queue in self.queues.items()}
        return {name: toggle for name, toggle in toggles.items() if toggle is not None}

    @property
    def secret(self) -> str:
        """The manager user's secret, found when the file was loaded."""
        if self.asterisk.secret is None:
            raise ValueError("a configuration without its secret was built by hand")
        return self.asterisk.secret.get_secret_value()


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A configuration file that was looked into; `config` is None where it has problems.

    `rules` and `users` are what it names, or the defaults, even then, so that they can be checked as well; they are
    None where the file could not be read, or is no YAML. `warnings` are what may be meant so.
    """

    config: Config | None
    problems: tuple[Problem, ...]
    rules: Path | None = None
    users: Path | None = None
    warnings: tuple[Problem, ...] = ()


def look_into(path: Path, environ: Mapping[str, str] = os.environ) -> ConfigFile:
    """Read the configuration and find the manager user's secret.

    That is RECBRIDGE_AMI_SECRET, else `secret` or what stands in `secret_file`.
    """
    text, problem = read_text(path)
    if problem is not None:
        words = f"{problem.message}; name another file with --config or {PATH_VARIABLE}"
        return ConfigFile(None, (Problem(problem.file, problem.line, problem.column, words),))
    loaded = load(text, str(path), Config)
    problems = list(loaded.problems)
    if loaded.root is None:
        return ConfigFile(None, in_order(problems))  # what it names as rules and users nobody can say
    secret = _find_secret(loaded, environ, problems)
    password = _find_password(loaded, problems)
    rules, users = (
        next((Path(text) for _, text in loaded.texts(key)), default)
        for key, default in (("rules", _DEFAULT_RULES), ("users", DEFAULT_USERS))
    )
    if problems or loaded.value is None:
        return ConfigFile(None, in_order(problems), rules, users)
    asterisk = loaded.value.asterisk.model_copy(update={"secret": secret, "secret_file": None})
    found: dict[str, object] = {"asterisk": asterisk}
    if loaded.value.mail is not None:
        found["mail"] = loaded.value.mail.model_copy(update={"password": password, "password_file": None})
    return ConfigFile(loaded.value.model_copy(update=found), (), rules, users, _doubts(loaded, loaded.value))


def load_config(path: Path, environ: Mapping[str, str] = os.environ) -> Config:
    """The configuration in a file. Raises BadInputError with every problem."""
    file = look_into(path, environ)
    if file.config is None:
        raise BadInputError(file.problems)
    return file.config


def _doubts(loaded: Loaded[Config], config: Config) -> tuple[Problem, ...]:
    host, _ = config.http.address
    if config.mail is None or config.http.public_url is not None or host not in (*_LOOPBACK, *_EVERYWHERE):
        return ()
    words = f"links in mails will begin with {config.http.base_url}: set `http: public_url` to how others reach it"
    return (loaded.problem(("mail",), words),)


def _find_secret(loaded: Loaded[Config], environ: Mapping[str, str], problems: list[Problem]) -> SecretStr | None:
    if environ.get(SECRET_VARIABLE):
        _check_one(loaded, "asterisk", "secret", problems)
        return SecretStr(environ[SECRET_VARIABLE])
    keys = loaded.keys("asterisk")
    if keys is not None and keys.isdisjoint({"secret", "secret_file"}):
        words = f"`asterisk` lacks its secret: give `secret`, `secret_file`, or {SECRET_VARIABLE} in the environment"
        problems.append(loaded.problem(("asterisk",), words))
    return _given(loaded, "asterisk", "secret", problems)


def _find_password(loaded: Loaded[Config], problems: list[Problem]) -> SecretStr | None:
    """The mail server's, if it wants one; it never goes over a network as it is."""
    keys = loaded.keys("mail") or frozenset()
    has_password = not keys.isdisjoint({"password", "password_file"})
    if has_password != ("username" in keys):
        words = "`mail` has a password but no `username`" if has_password else (
            "`mail` has a `username`: give `password` or `password_file`, too"
        )  # fmt: skip
        problems.append(loaded.problem(("mail",), words))
    host, tls = (next((text for _, text in loaded.texts("mail", key)), "") for key in ("host", "tls"))
    if has_password and tls in ("", MailTls.NONE.value) and host not in _LOOPBACK:
        words = "`mail` would send its password unencrypted: set `tls` to starttls or tls"
        problems.append(loaded.problem(("mail",), words))
    return _given(loaded, "mail", "password", problems)


def _check_one(loaded: Loaded[Config], part: str, name: str, problems: list[Problem]) -> None:
    files = list(loaded.texts(part, f"{name}_file"))
    if files and list(loaded.texts(part, name)):
        problems.append(loaded.problem(files[0][0], f"`{name}` and `{name}_file` are both given: one is enough"))


def _given(loaded: Loaded[Config], part: str, name: str, problems: list[Problem]) -> SecretStr | None:
    """What stands behind `name`, or in the file that `<name>_file` names."""
    _check_one(loaded, part, name, problems)
    for _, text in loaded.texts(part, name):
        return SecretStr(text)
    for loc, file in loaded.texts(part, f"{name}_file"):
        text, problem = read_text(Path(file))
        if problem is not None:
            problems.append(loaded.problem(loc, f"`{name}_file` {file} {problem.message}"))
        elif not text.strip() or not text.strip().isprintable():
            problems.append(loaded.problem(loc, f"`{name}_file` {file} must hold the {name} alone, in one line"))
        return SecretStr(text.strip())
    return None
