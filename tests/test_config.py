"""The configuration file."""

from datetime import timedelta
from pathlib import Path

import pytest

from bridge.config import SECRET_VARIABLE, Config, load_config, look_into
from bridge.core.errors import BadInputError
from bridge.core.retention import Keeping
from bridge.core.space import LowSpace, Space

NO_SECRET = "`asterisk` lacks its secret: give `secret`, `secret_file`, or RECBRIDGE_AMI_SECRET in the environment"
MINIMAL = "asterisk: {secret: geheim-0049}\n"
KEYS = ", ".join(field.alias or name for name, field in Config.model_fields.items())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "recbridge.yml"


def loaded(file: Path, text: str, **environ: str) -> Config:
    file.write_text(text)
    return load_config(file, environ)


def refused(file: Path, text: str, **environ: str) -> list[str]:
    with pytest.raises(BadInputError) as raised:
        loaded(file, text, **environ)
    return [str(problem).removeprefix(f"{file}:") for problem in raised.value.problems]


def test_only_asterisk_is_required_and_the_rest_has_its_documented_defaults(file: Path) -> None:
    config = loaded(file, MINIMAL)
    asterisk = config.asterisk
    assert (asterisk.host, asterisk.port, asterisk.username, config.secret) == (
        "127.0.0.1", 5038, "bridge", "geheim-0049",
    )  # fmt: skip
    assert config.spool.asterisk == config.spool.local == Path("/var/spool/asterisk/recbridge")
    assert config.spool.low_space == LowSpace(share=0.05)
    assert (config.rules, config.users) == (Path("/etc/recbridge/rules"), Path("/etc/recbridge/users.yml"))
    assert config.database == Path("/var/lib/recbridge/recbridge.db")
    assert config.trunks == ("PJSIP/trunk*",)
    assert (config.http.address, config.http.tls, config.http.trusted_proxies) == (("127.0.0.1", 8095), None, ())
    assert config.retention.keeping == Keeping(timedelta(days=365))
    assert config.systemname
    assert (config.dtmf, config.queue_toggles) == (False, {})


def test_everything_can_be_said(file: Path) -> None:
    config = loaded(
        file,
        """\
asterisk: {host: pbx.example, port: 5039, username: rec, secret: "*3"}
spool: {asterisk: /spool/a, local: /spool/b}
rules: /rules
users: /users.yml
database: /db
trunks: []
http:
  listen: "[::1]:443"
  tls: {certificate: /c.pem, key: /k.pem}
  trusted_proxies: [10.0.0.0/8, "::1"]
retention: {keep: 90d, calls: 120d}
systemname: pbx1
dtmf: true
queues: {support: {record_toggle: true}, 0049: {record_toggle: false}, sales: {}}
""",
    )
    assert (config.dtmf, config.queue_toggles) == (True, {"support": True, "0049": False})
    assert config.http.address == ("::1", 443)
    assert config.http.tls is not None
    assert [str(network) for network in config.http.trusted_proxies] == ["10.0.0.0/8", "::1/128"]
    assert (config.trunks, config.systemname, config.secret) == ((), "pbx1", "*3")
    assert config.retention.keeping == Keeping(timedelta(days=90), timedelta(days=120))


def test_the_environments_secret_stands_over_the_files(file: Path) -> None:
    assert loaded(file, MINIMAL, **{SECRET_VARIABLE: "other"}).secret == "other"
    assert loaded(file, "asterisk: {}\n", **{SECRET_VARIABLE: "other"}).secret == "other"
    assert loaded(file, "asterisk: {secret_file: /nowhere}\n", **{SECRET_VARIABLE: "other"}).secret == "other"


def test_the_secret_may_stand_in_a_file_of_its_own(file: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of its own\n")
    assert loaded(file, f"asterisk: {{secret_file: {tmp_path}/secret}}\n").secret == "of its own"


def test_the_secret_is_never_shown(file: Path) -> None:
    config = loaded(file, MINIMAL)
    assert "geheim" not in f"{config!r} {config} {config.model_dump()} {config.model_dump_json()}"


@pytest.mark.parametrize(
    "wrong", ["secret: [geheim]", "secret: {geheim: x}", 'secret: "geheim\\n"', "secret: geheim\n, prot: 1"]
)
def test_no_problem_shows_the_secret(file: Path, wrong: str) -> None:
    said = "\n".join(refused(file, f"asterisk: {{{wrong}}}\n"))
    assert said
    assert "geheim" not in said


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("rules: /r\n", ["1:1: `asterisk` is missing"]),
        ("asterisk:\n", ["1:1: `asterisk` has no value"]),
        ("asterisk:\n  secret:\n", ["2:3: `secret` has no value"]),
        ('asterisk: {secret: ""}\n', ["1:20: `secret` is empty, or holds what is no printable character"]),
        (
            "asterisk: {host: a}\n",
            [f"1:11: {NO_SECRET}"],
        ),
        (
            "asterisk: {secret: a, secret_file: /nowhere}\n",
            ["1:36: `secret` and `secret_file` are both given: one is enough"],
        ),
        (
            "asterisk: {secret_file: /nowhere}\n",
            ["1:25: `secret_file` /nowhere cannot be read: No such file or directory"],
        ),
        (
            """\
asterisk: {secret: a, port: 65536, hots: b}
spool: {asterisk: '/a b', local: c}
http: {listen: 8095, tls: {certificate: /a}, trusted_proxies: [10.0.0.1/8]}
retention: {keep: 365}
rule: /r
""",
            [
                "1:29: `port` must be a port from 1 to 65535, not `65536`",
                "1:36: unknown key `hots` (did you mean host?)",
                "2:19: `asterisk` may hold letters, digits and `._/-` alone, as MixMonitor is told of it: `/a b`",
                "2:34: `local` must be an absolute path, not `c`",
                "3:16: `listen` must be an address and a port like 127.0.0.1:8095, not `8095`",
                "3:27: `key` is missing",
                "3:64: `trusted_proxies` must be an address, or a network like 10.0.0.0/24, not `10.0.0.1/8`",
                "4:19: `keep` must be a number and s, m, h or d, like 90d, not `365`",
                "5:1: unknown key `rule` (did you mean rules?)",
            ],
        ),
        (
            """\
asterisk: {secret: a}
dtmf: yes
queues:
  support: {record_togle: true, callers: b}
  sales: {record_toggle: on}
  park:
  "": {}
record_toggle: true
queue: {}
""",
            [
                "2:7: `dtmf` must be true or false, not `yes` (did you mean true?)",
                "4:13: unknown key `record_togle` (did you mean record_toggle?)",
                "4:33: unknown key `callers`; possible here: record_toggle",
                "5:26: `record_toggle` must be true or false, not `on` (did you mean true?)",
                "6:3: `park` has no value",
                "7:3: `` is empty",
                f"8:1: unknown key `record_toggle`; possible here: {KEYS}",
                "9:1: unknown key `queue` (did you mean queues?)",
            ],
        ),
    ],
)
def test_mistakes_are_named_all_at_once(file: Path, text: str, problems: list[str]) -> None:
    assert refused(file, text) == problems


def test_an_empty_file_says_what_could_stand_there(file: Path) -> None:
    assert refused(file, "") == [f"1:1: the file is empty; possible here: {KEYS}"]


def test_an_empty_secret_file_is_said(file: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("\n")
    assert refused(file, f"asterisk: {{secret_file: {tmp_path}/secret}}\n") == [
        f"1:25: `secret_file` {tmp_path}/secret must hold the secret alone, in one line"
    ]


def test_a_missing_file_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"No such file or directory; name another file with --config or RECBRIDGE"):
        load_config(tmp_path / "none.yml", {})


def test_of_a_file_that_is_no_yaml_nothing_else_is_looked_at(file: Path) -> None:
    file.write_text("asterisk: {secret: a\nrules: /my/rules\n")
    found = look_into(file, {})
    assert (len(found.problems), found.rules, found.users) == (1, None, None)


@pytest.mark.parametrize(
    ("text", "low"), [("5%", 50), ("12.5%", 125), ("0%", 0), ("10K", 10 * 2**10), ("300M", 300 * 2**20), ("2T", 2**41)]
)
def test_little_room_is_a_share_or_a_size(file: Path, text: str, low: int) -> None:
    config = loaded(file, f"{MINIMAL}spool: {{low_space: {text}}}\n")
    assert config.spool.low_space.of(Space(free_bytes=1, total_bytes=1000)) == low


@pytest.mark.parametrize("text", ["5", "100%", "-1%", "10 G", "10g", "0M", "1.5G", "[5%]", "x%"])
def test_what_is_neither_is_refused(file: Path, text: str) -> None:
    (problem,) = refused(file, f"{MINIMAL}spool: {{low_space: {text}}}\n")
    assert problem.startswith("2:")
    assert "low_space" in problem


def test_the_mail_servers_password_may_stand_in_a_file_of_its_own(file: Path, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("of its own\n")
    mail = "mail: {host: mail.example, tls: starttls, sender: a@b.de, admin: root@localhost, username: us, "
    for words in ("password: of its own}", f"password_file: {tmp_path}/password}}"):
        config = loaded(file, f"{MINIMAL}{mail}{words}\n").mail
        assert config is not None
        assert config.password is not None
        assert config.password.get_secret_value() == "of its own"
        assert "of its own" not in repr(config)
        assert (config.password_file, config.admin, config.port) == (None, "root@localhost", 25)
    assert loaded(file, MINIMAL).mail is None


@pytest.mark.parametrize(
    ("mail", "problems"),
    [
        (
            "host: x, sender: a@b.de, username: us",
            ["2:7: `mail` has a `username`: give `password` or `password_file`, too"],
        ),
        ("host: x, tls: tls, sender: a@b.de, password: p", ["2:7: `mail` has a password but no `username`"]),
        (
            "host: x, sender: a@b.de, username: us, password: p",
            ["2:7: `mail` would send its password unencrypted: set `tls` to starttls or tls"],
        ),
        (
            "host: x, tls: tls, sender: a@b.de, username: us, password: p, password_file: /nowhere",
            ["2:85: `password` and `password_file` are both given: one is enough"],
        ),
        (
            "host: x, tls: tls, sender: a@b.de, username: us, password_file: /nowhere",
            ["2:72: `password_file` /nowhere cannot be read: No such file or directory"],
        ),
        (
            "host: x, tls: ssl, sender: Eve <a@b.de>, username: us",
            [
                "2:7: `mail` has a `username`: give `password` or `password_file`, too",
                "2:22: `tls` cannot be `ssl`: possible are none, starttls, tls",
                "2:35: `sender` must be one plain mail address like recbridge@example.org, not `Eve <a@b.de>`",
            ],
        ),
        (
            "host: smtp://mail.example.org, sender: a@b.de",
            [
                "2:14: `host` must be a host's name or address alone, like mail.example.org, not `smtp://mail.example.org`"
            ],
        ),
    ],
)
def test_every_problem_of_mail_is_said_at_once(file: Path, mail: str, problems: list[str]) -> None:
    assert refused(file, f"{MINIMAL}mail: {{{mail}}}\n") == problems


def test_a_password_stays_on_this_machine_without_tls(file: Path) -> None:
    for host in ("localhost", "127.0.0.1", '"::1"'):
        loaded(file, f"{MINIMAL}mail: {{host: {host}, sender: a@b.de, username: us, password: p}}\n")


def test_links_begin_with_what_others_reach(file: Path) -> None:
    tls = "tls: {certificate: /c, key: /k}"
    assert loaded(file, MINIMAL).http.base_url == "http://127.0.0.1:8095"
    assert loaded(file, f"{MINIMAL}http: {{{tls}}}\n").http.base_url == "https://127.0.0.1:8095"
    given = loaded(file, f"{MINIMAL}http: {{public_url: https://pbx.example/rec/}}\n").http
    assert given.base_url == "https://pbx.example/rec"


@pytest.mark.parametrize("url", ["pbx.example.org", "https://pbx:99999", "https://:80", "https://p/?a=b", "https://["])
def test_what_links_could_not_begin_with_is_refused(file: Path, url: str) -> None:
    words = f"must be an address like https://pbx.example.org, not `{url}`"
    assert refused(file, f"{MINIMAL}http: {{public_url: '{url}'}}\n") == [f"2:20: `public_url` {words}"]


@pytest.mark.parametrize("host", ["localhost:5038", "10.0.0.1:5038", "http://pbx", "a b"])
def test_a_host_is_a_name_or_an_address_alone(file: Path, host: str) -> None:
    (problem,) = refused(file, f"asterisk: {{secret: a, host: '{host}'}}\n")
    assert problem == f"1:29: `host` must be a host's name or address alone, like mail.example.org, not `{host}`"


@pytest.mark.parametrize(
    ("http", "warned"),
    [
        ("listen: 127.0.0.1:8095", True),
        ("listen: 0.0.0.0:8095", True),
        ("listen: '[::]:8095'", True),
        ("listen: 10.0.0.5:8095", False),
        ("public_url: https://pbx.example.org", False),
    ],
)
def test_mails_whose_links_nobody_else_could_follow_are_warned_of(file: Path, http: str, warned: bool) -> None:
    file.write_text(f"{MINIMAL}mail: {{host: x, sender: a@b.de}}\nhttp: {{{http}}}\n")
    found = look_into(file, {})
    assert found.problems == ()
    assert [(one.line, "public_url" in one.message) for one in found.warnings] == ([(2, True)] if warned else [])
