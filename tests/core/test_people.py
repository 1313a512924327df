"""Who is behind a channel, and which channels lead outside."""

from uuid import UUID, uuid5

import pytest

from bridge.core.errors import BadInputError
from bridge.core.ids import ChannelName, Identity
from bridge.core.people import OUTSIDE_CONTEXTS, USERS_NAMESPACE, Directory, People, UserFlags, parse_users

USERS = """\
users:
  - identity: tweber
    id: 6
    name: Thomas Weber
    extensions: [822, 0049]
    devices:
      - {id: 11, name: Desk, channel: PJSIP/822}
      - {id: 12, name: Mobile, channel: PJSIP/822-m}
    location: {id: 9, name: Berlin}
    groups: [sales, all]
    online_call_record_enabled: true
  - identity: bob
    uuid: 0F3C5A52-2a0a-4b6e-8f0e-5a5d0b6f8c11
    groups: support
    supervises: [sales, support]
"""


def directory(text: str = USERS) -> Directory:
    return parse_users(text, "users.yml")


def refused(text: str) -> list[str]:
    with pytest.raises(BadInputError) as raised:
        directory(text)
    return [str(problem) for problem in raised.value.problems]


def test_a_user_has_what_the_file_says() -> None:
    user = directory().by_identity[Identity("tweber")]
    assert (user.id, user.name, user.extensions) == ("6", "Thomas Weber", ("822", "0049"))
    assert user.location is not None
    assert (user.location.id, user.location.name) == ("9", "Berlin")
    assert user.online_call_record_enabled
    assert not user.call_record_incoming_external_enabled


def test_a_uuid_is_as_given_or_made_from_the_identity() -> None:
    users = directory().by_identity
    assert users[Identity("bob")].uuid == UUID("0f3c5a52-2a0a-4b6e-8f0e-5a5d0b6f8c11")
    # Written out: it must be the same after every update of this program.
    assert users[Identity("tweber")].uuid == uuid5(USERS_NAMESPACE, "tweber")
    assert str(users[Identity("tweber")].uuid) == "e4c0242d-c131-551e-a469-9e4466760e63"


@pytest.mark.parametrize(
    ("channel", "identity", "device"),
    [
        ("PJSIP/822-0000001f", "tweber", "Desk"),
        ("pjsip/822-0000001f", "tweber", "Desk"),
        ("PJSIP/822-m-0000001f", "tweber", "Mobile"),
        ("PJSIP/822-0000001f<ZOMBIE>", "tweber", "Desk"),
        ("PJSIP/bob-00000001", "bob", None),
        ("PJSIP/alice-00000001", "alice", None),
        ("SIP/front-desk-00000001", "front-desk", None),
        ("PJSIP/8220-0000001f", "8220", None),
    ],
)
def test_the_user_behind_a_channel(channel: str, identity: str, device: str | None) -> None:
    user = directory().user_of_channel(ChannelName(channel))
    assert user.identity == identity
    found = user.device_of(ChannelName(channel))
    assert (found.name if found is not None else None) == device


def test_flags_are_as_the_file_says_and_off_for_others() -> None:
    assert directory().flags_of(Identity("tweber")) == UserFlags(online_call_record_enabled=True)
    assert directory().flags_of(Identity("bob")) == UserFlags()
    assert directory().flags_of(Identity("nobody")) == UserFlags()
    every = dict.fromkeys(UserFlags.__dataclass_fields__, "true")
    all_on = ", ".join(f"{name}: {value}" for name, value in every.items())
    assert directory(f"users: [{{identity: a, {all_on}}}]").flags_of(Identity("a")) == UserFlags(*[True] * 5)


@pytest.mark.parametrize("text", ["", "# nobody\n", "users:\n", "users: []\n"])
def test_without_users_the_endpoint_is_the_user(text: str) -> None:
    user = directory(text).user_of_channel(ChannelName("PJSIP/alice-0000001f"))
    assert (user.identity, user.id, user.name, user.extensions, user.groups) == ("alice", "alice", "", (), ())
    assert user.uuid == uuid5(USERS_NAMESPACE, "alice")
    assert user.device_of(ChannelName("PJSIP/alice-0000001f")) is None
    assert not user.online_call_record_enabled


def test_groups_and_who_supervises_whom() -> None:
    users = directory()
    assert users.groups == {"sales", "all", "support"}
    assert users.members("sales") == {"tweber"}
    assert users.members("nobody") == frozenset()
    assert users.supervised_by(Identity("bob")) == {"tweber", "bob"}
    assert users.supervised_by(Identity("tweber")) == frozenset()
    assert users.supervised_by(Identity("stranger")) == frozenset()


@pytest.mark.parametrize(
    ("channel", "context", "outside"),
    [
        ("PJSIP/trunk-00000001", "internal", True),
        ("PJSIP/trunk2-00000001", "internal", True),
        ("pjsip/TRUNK-00000001", "internal", True),
        ("DAHDI/1-1", "internal", True),
        ("DAHDI/11-1", "internal", False),
        ("PJSIP/alice-00000001", "internal", False),
        ("PJSIP/alice-00000001", "from-internal", False),
        ("PJSIP/any-00000001", "from-pstn-toheader", True),
        ("PJSIP/any-00000001", "from-trunk-sip-carrier", True),
        ("PJSIP/any-00000001", "from-trunks", False),
        ("SIP/[x]-00000001", "internal", True),
        ("SIP/x-00000001", "internal", False),
    ],
)
def test_which_channels_lead_outside(channel: str, context: str, outside: bool) -> None:
    people = People(directory(), ["PJSIP/trunk*", "DAHDI/1", "SIP/[x]"])
    assert people.is_outside(ChannelName(channel), context) is outside


def test_contexts_count_without_any_trunk() -> None:
    people = People(directory(), [])
    assert all(people.is_outside(ChannelName("PJSIP/a-1"), one.replace("*", "x")) for one in OUTSIDE_CONTEXTS)
    assert not people.is_outside(ChannelName("PJSIP/trunk-1"), "")


def test_what_two_users_claim_is_named_even_among_other_mistakes() -> None:
    text = """\
users:
  - {identity: ann, id: 1, extensions: [10, 11], devices: [{channel: PJSIP/10}], groups: [sales]}
  - {identity: ben, id: 1, extensions: 11, devices: [{channel: pjsip/10}], supervises: [sale]}
  - {identity: ann, uuid: nonsense, online_call_record_enabled: yes}
  - {identity: "group:sales", devices: [{channel: PJSIP}]}
  - {name: Nobody, grups: []}
"""
    assert refused(text) == [
        "users.yml:3:25: id `1` is taken already at users.yml:2:25",
        "users.yml:3:40: extension `11` is taken already at users.yml:2:45",
        "users.yml:3:64: device `pjsip/10` is taken already at users.yml:2:70",
        "users.yml:3:89: nobody is in the group `sale` (did you mean sales?)",
        "users.yml:4:16: identity `ann` is taken already at users.yml:2:16",
        "users.yml:4:27: `uuid` must be a UUID like e4c0242d-c131-551e-a469-9e4466760e63, not `nonsense`",
        "users.yml:4:65: `online_call_record_enabled` must be true or false, not `yes` (did you mean true?)",
        "users.yml:5:16: `identity` must be letters, digits and `._@+-`, at most 64, not `group:sales`",
        "users.yml:5:51: `channel` must be technology/endpoint like PJSIP/822, not `PJSIP`",
        "users.yml:6:5: `identity` is missing",
        "users.yml:6:20: unknown key `grups` (did you mean groups?)",
    ]


def test_one_users_own_values_twice_are_claimed_twice() -> None:
    assert refused("users: [{identity: a, extensions: [1, 1]}]") == [
        "users.yml:1:39: extension `1` is taken already at users.yml:1:36"
    ]
