"""What becomes of a delivery, and of a webhook, by what its receiver answers."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.ids import FactNumber
from bridge.core.records import Fact, FactKind, NumberedFact
from bridge.core.webhook_store import AddDeliveries, PutDelivery, PutWebhook, WakeDeliveries
from bridge.core.webhook_urls import host_of, is_public, wrong_url
from bridge.core.webhooks import (
    OLD_SECRET,
    Answer,
    Delivery,
    DeliveryKey,
    DeliveryState,
    FormatName,
    Policy,
    Secret,
    Webhook,
    WebhookId,
    again,
    begun,
    deliveries_of,
    delivery_key,
    disabled,
    enabled,
    ended,
    is_gone,
    quiet_s,
    selects,
    succeeded,
    too_many,
    valid_secrets,
    wants_channels,
    with_failure,
    with_secret,
    wrong_events,
)
from bridge.feed import standard
from bridge.feed.vonage import Vonage
from tests.fake_webhooks import MemoryWebhooks
from tests.fakes import MemoryStore

NOON = datetime(2026, 8, 1, 12, tzinfo=UTC)
ID = WebhookId("whk_0123456789abcdef")
HOOK = Webhook(ID, "https://a.example/x", FormatName.STANDARD, ("*",), (Secret("whsec_old"),), NOON)
NAMES = {FormatName.STANDARD: standard.NAMES, FormatName.VONAGE: Vonage("https://pbx.example").NAMES}
POLICY = Policy()
DELIVERY = Delivery(DeliveryKey(ID, FactNumber(7), 0), "1.1", "call.began", NOON, next_at=NOON)


def after(
    attempts: int, answer: Answer, *, jitter: float = 0.5, now: datetime = NOON, policy: Policy = POLICY
) -> Delivery:
    tried = replace(DELIVERY, attempts=attempts)
    return ended(tried, answer, FormatName.STANDARD, policy, now=now, jitter=jitter)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_a_success_and_to_vonage_200_alone(status: int) -> None:
    assert succeeded(FormatName.STANDARD, Answer(status))
    assert succeeded(FormatName.VONAGE, Answer(status)) == (status == 200)


@pytest.mark.parametrize("answer", [Answer(199), Answer(301), Answer(400), Answer(410), Answer(500), Answer(error="x")])
def test_all_else_is_a_failure(answer: Answer) -> None:
    assert not succeeded(FormatName.STANDARD, answer)
    assert not succeeded(FormatName.VONAGE, answer)


def test_waits_grow_over_days_and_then_it_is_given_up() -> None:
    waits = [after(n, Answer(500)).next_at for n in range(1, 11)]
    assert [(at - NOON).total_seconds() for at in waits if at is not None] == list(POLICY.retry_s)
    assert sum(POLICY.retry_s) > timedelta(days=3).total_seconds()
    last = after(11, Answer(500), now=NOON + timedelta(days=4))
    assert (last.state, last.next_at, last.error) == (DeliveryState.GIVEN_UP, None, "status-500")


def test_attempts_that_restarts_broke_off_do_not_use_it_up() -> None:
    """Eleven of them in an hour: that are no days."""
    assert after(11, Answer(500), now=NOON + timedelta(hours=1)).state is DeliveryState.WAITING


@given(st.floats(0, 1))
def test_jitter_spreads_a_wait_by_a_fifth_each_way(jitter: float) -> None:
    at = after(2, Answer(500), jitter=jitter).next_at
    assert at is not None
    assert 240 <= (at - NOON).total_seconds() <= 360


@pytest.mark.parametrize(("said", "wait_s"), [(1000.0, 1000), (1.0, 5), (-5.0, 5), (1e9, 86400)])
def test_retry_after_is_kept_within_bounds(said: float, wait_s: float) -> None:
    assert after(1, Answer(429, retry_after_s=said)).next_at == NOON + timedelta(seconds=wait_s)


def test_a_busy_receiver_is_left_alone_altogether() -> None:
    assert quiet_s(Answer(503, retry_after_s=60), POLICY) == 60
    assert quiet_s(Answer(429, retry_after_s=1e9), POLICY) == 86400
    assert quiet_s(Answer(400, retry_after_s=60), POLICY) == 0  # it is this delivery that it does not want
    assert quiet_s(Answer(503), POLICY) == 0


def test_gone_is_410_alone() -> None:
    assert is_gone(Answer(410))
    assert not is_gone(Answer(404))


def test_more_than_50_failures_in_30_minutes_are_too_many() -> None:
    failures: tuple[datetime, ...] = ()
    for n in range(51):
        assert not too_many(failures, POLICY)
        failures = with_failure(failures, POLICY, NOON + timedelta(seconds=n))
    assert too_many(failures, POLICY)
    slow: tuple[datetime, ...] = ()
    for n in range(500):
        slow = with_failure(slow, POLICY, NOON + timedelta(seconds=36 * n))
        assert not too_many(slow, POLICY)
        assert len(slow) <= POLICY.failures + 1


def test_failures_of_before_the_clock_was_set_back_do_not_count() -> None:
    policy = Policy()
    failures = tuple(NOON + timedelta(hours=1) for _ in range(policy.failures))
    assert with_failure(failures, policy, NOON) == (NOON,)


def test_enabled_again_it_has_no_failures_and_its_old_cursor() -> None:
    bad = replace(HOOK, cursor=FactNumber(9), failures=(NOON,))
    off = disabled(bad, "too-many-failures", NOON)
    assert (off.enabled, off.disabled_reason, off.disabled_at) == (False, "too-many-failures", NOON)
    assert enabled(off) == replace(HOOK, cursor=FactNumber(9))


def test_an_old_secret_signs_for_a_day() -> None:
    newer = with_secret(HOOK, "whsec_new", NOON)
    assert [one.value for one in valid_secrets(newer, NOON)] == ["whsec_new", "whsec_old"]
    newest = with_secret(newer, "whsec_newest", NOON + timedelta(hours=1))
    later = NOON + OLD_SECRET
    assert [one.value for one in valid_secrets(newest, later)] == ["whsec_newest", "whsec_new"]
    assert "whsec" not in repr(newest)


@pytest.mark.parametrize(
    ("events", "name", "wanted"),
    [
        (["*"], "call.began", True),
        (["section.*"], "section.stored", True),
        (["section.*"], "sectional", False),
        (["journal.entry"], "journal.entry", True),
        (["journal.entry"], "journal.entry2", False),
        (["call.*", "journal.entry"], "journal.entry", True),
    ],
)
def test_events_select_by_name(events: list[str], name: str, wanted: bool) -> None:
    assert selects(events, name) == wanted


def test_an_unknown_event_is_refused_with_what_was_probably_meant() -> None:
    assert wrong_events(["*", "section.*", "journal.entry"], NAMES, FormatName.STANDARD) is None
    assert wrong_events(["section.storde"], NAMES, FormatName.STANDARD) == (
        "there is no event `section.storde` (did you mean section.stored?)"
    )
    assert wrong_events(["nothing.*"], NAMES, FormatName.STANDARD) is not None


def test_an_event_of_the_other_format_is_refused_as_that() -> None:
    words = "`{}` is an event of the format {}"
    assert wrong_events(["section.stored"], NAMES, FormatName.VONAGE) == words.format("section.stored", "standard")
    assert wrong_events(["streamCreated"], NAMES, FormatName.STANDARD) == words.format("streamCreated", "vonage")
    assert wrong_events(["*", "archive.*"], NAMES, FormatName.VONAGE) is None


def test_channels_are_told_of_to_those_who_ask_for_them() -> None:
    assert not wants_channels(HOOK)
    assert wants_channels(replace(HOOK, events=("channel.began",)))
    assert wants_channels(replace(HOOK, format=FormatName.VONAGE, enabled=False))


def test_a_webhook_is_not_told_of_itself() -> None:
    about = [
        NumberedFact(FactNumber(n), Fact(FactKind.WEBHOOK_DISABLED, NOON, data={"webhook": webhook}))
        for n, webhook in ((1, ID), (2, "whk_ffffffffffffffff"))
    ]
    made = [one.key.fact for fact in about for one in deliveries_of(HOOK, standard, fact, "pbx1", NOON)]
    assert made == [2]


@given(st.builds(DeliveryKey, st.just(ID), st.integers(1, 2**53).map(FactNumber), st.integers(0, 99)))
def test_a_deliverys_id_names_it(key: DeliveryKey) -> None:
    assert delivery_key(key.id) == key


@pytest.mark.parametrize("text", ["", "msg_x_1_0", f"msg_{ID}_1", f"msg_{ID}_-1_0", f"msg_{ID}_1_0 "])
def test_what_is_no_delivery_id(text: str) -> None:
    assert delivery_key(text) is None


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.9.9.9", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "224.0.0.1",
        "0.0.0.0",  # noqa: S104  # nothing is bound
        "255.255.255.255", "100.64.0.1", "100.100.100.200", "168.63.129.16", "198.18.0.1", "::1", "::", "fe80::1",
        "fe80::1%eth0", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1",
        "2002:7f00:1::1", "2002:a00:1::", "64:ff9b:1::a00:1", "::127.0.0.1", "::a00:1", "::ffff:0:a00:1", "fec0::1",
        "no address",
    ],
)  # fmt: skip
def test_addresses_that_are_not_on_the_internet(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34", "64:ff9b::101:101", "1.1.1.1"]
)
def test_addresses_that_are_on_the_internet(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "", "x", "ftp://a.example/", "http:///x", "https://user:pw@a.example/", "https://a.example:99999/",
        "https://a.example/#x", "https://a.example/a b", "https://ü.example/", "http://127.0.0.1/", "http://[::1]/",
        "http://localhost:80/", "http://a.localhost/", "http://[::ffff:10.0.0.1]/", "https://" + "a" * 3000,
        "http://a.example/\n", "http://[x/",
    ],
)  # fmt: skip
def test_urls_that_are_refused(url: str) -> None:
    assert wrong_url(url, allow_private=False) is not None


@pytest.mark.parametrize("url", ["https://a.example/x?token=1", "http://a.example:8080", "https://93.184.216.34/"])
def test_urls_that_are_taken(url: str) -> None:
    assert wrong_url(url, allow_private=False) is None


def test_private_urls_are_taken_where_that_is_allowed() -> None:
    assert wrong_url("http://127.0.0.1:8080/x", allow_private=True) is None
    assert wrong_url("http://x:y@127.0.0.1/", allow_private=True) is not None


def test_of_a_url_only_its_host_is_said() -> None:
    assert host_of("https://a.example:8443/services/T0/secret?token=1") == "https://a.example:8443"


_answers = st.sampled_from([200, 200, 200, 500, 404, 301, None]).map(lambda status: Answer(status, None))
_steps = st.lists(
    st.sampled_from(["send", "send", "send", "crash", "fact", "fact", "wake", "resend"]) | _answers, max_size=80
)


@settings(max_examples=200, deadline=None)
@given(_steps, st.lists(st.sampled_from(["1.1", "1.2", "1.3"]), min_size=1, max_size=12))
def test_whatever_is_answered_each_is_delivered_in_order_and_none_lost(
    steps: Sequence[str | Answer], calls: Sequence[str]
) -> None:
    """What is due is sent, as the dispatcher does it; a crash may come between sending and the note of the answer."""

    async def play() -> None:
        store = MemoryWebhooks(MemoryStore())
        await store.commit([PutWebhook(HOOK)])
        now, made, sent, answer = NOON, 0, [], Answer(500)
        resent: set[DeliveryKey] = set()

        async def fact() -> None:
            nonlocal made
            made += 1
            one = replace(
                DELIVERY, key=DeliveryKey(ID, FactNumber(made), 0), order_key=calls[made % len(calls)], at=now
            )
            await store.commit([AddDeliveries(ID, FactNumber(made), (one,))])

        async def send(answer: Answer, *, crash: bool = False) -> bool:
            due = [one for one in await store.due(ID, 1) if one.next_at is not None and one.next_at <= now]
            for one in due:
                tried = begun(one)
                await store.commit([PutDelivery(tried)])
                if succeeded(FormatName.STANDARD, answer):
                    sent.append(one)
                if not crash:
                    done = ended(tried, answer, FormatName.STANDARD, POLICY, now=now, jitter=0.5)
                    await store.commit([PutDelivery(done)])
            return bool(due)

        for step in steps:
            now += timedelta(seconds=1)
            match step:
                case Answer():
                    answer = step
                case "fact":
                    await fact()
                case "send":
                    await send(answer)
                case "crash":
                    await send(answer, crash=True)
                case "wake":
                    await store.commit([WakeDeliveries(ID, now)])
                case "resend":
                    for one in await store.deliveries(ID, DeliveryState.DELIVERED, None, 1):
                        resent.add(one.key)
                        await store.commit([PutDelivery(again(one, now))])
        now += timedelta(days=1)
        while await send(Answer(200)):
            pass
        assert await store.waiting() == {}
        by_call: dict[str, list[int]] = defaultdict(list)
        for one in sent:
            if one.key not in resent:
                by_call[one.order_key].append(one.key.fact)
        assert {one.key.fact for one in sent} == set(range(1, made + 1))
        assert all(some == sorted(some) for some in by_call.values())

    asyncio.run(play())
