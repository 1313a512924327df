"""Callbacks over real HTTP: to each receiver, in order for each call, and none lost."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import structlog
from standardwebhooks import Webhook as Verifier

from bridge.core.errors import StoreError, WebhookStateError
from bridge.core.records import FactKind, NumberedFact
from bridge.core.store import AppendFact
from bridge.core.webhooks import Callback, DeliveryState, FormatName, Policy, Webhook
from bridge.feed import standard
from bridge.feed.signing import new_secret, signed
from tests.feed.office import ROOT, SECRET, Office, hasty, of_call
from tests.feed.receiver import Receiver


async def until(seen: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not seen():  # noqa: ASYNC110  # what is waited for comes over the network
            await asyncio.sleep(0.005)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver(SECRET)
    await receiver.start()
    yield receiver
    await receiver.stop()


async def hook(office: Office, receiver: Receiver, *events: str) -> Webhook:
    webhook, _ = await office.webhooks.add(receiver.url, FormatName.STANDARD, events or ["call.*"], ROOT, secret=SECRET)
    return webhook


def numbers(receiver: Receiver) -> list[int]:
    return [body["data"]["n"] for _, _, body in receiver.seen]


def in_order(receiver: Receiver) -> bool:
    """Of each call no number comes after a higher one; it may come twice."""
    by_call: dict[str, list[int]] = defaultdict(list)
    for _, _, body in receiver.seen:
        by_call[body["data"]["callId"]].append(body["data"]["n"])
    return all(some == sorted(some) for some in by_call.values())


async def test_a_fact_is_a_signed_post(receiver: Receiver) -> None:
    async with Office() as office:
        webhook = await hook(office, receiver)
        (fact,) = await office.happen(of_call("1.1", 7))
        await until(lambda: bool(receiver.seen))
    ((path, message_id, body),) = receiver.seen  # the receiver has looked at the signature
    assert (path, message_id) == ("/hook", f"msg_{webhook.id}_{fact.number}_0")
    assert body["type"] == "call.began"
    assert body["timestamp"] == fact.fact.at.isoformat().replace("+00:00", "Z")
    assert (body["data"]["callId"], body["data"]["n"]) == ("1.1", 7)


async def test_what_is_not_asked_for_is_not_sent(receiver: Receiver) -> None:
    async with Office() as office:
        await hook(office, receiver, "call.ended")
        ended = of_call("1.1", 2)
        ended = AppendFact(replace(ended.fact, kind=FactKind.CALL_ENDED))
        await office.happen(of_call("1.1", 1), ended, of_call("1.1", 3))
        await until(lambda: bool(receiver.seen))
        await until(lambda: office.webhooks.tally().waiting == 0)
    assert numbers(receiver) == [2]


async def test_a_failing_delivery_holds_back_its_own_call_alone(receiver: Receiver) -> None:
    async with Office(policy=hasty(parallel=2)) as office:
        await hook(office, receiver)
        receiver.refuse = "1.1"
        await office.happen(of_call("1.1", 1), of_call("1.1", 2), *(of_call("1.2", n) for n in range(3, 9)))
        await until(lambda: numbers(receiver) == [3, 4, 5, 6, 7, 8])
        receiver.refuse = None
        await until(lambda: len(receiver.seen) == 8)
    assert numbers(receiver)[6:] == [1, 2]


async def test_a_receiver_that_hangs_delays_no_other(receiver: Receiver) -> None:
    slow = Receiver(SECRET)
    await slow.start()
    slow.hang = asyncio.Event()
    async with Office() as office:
        await hook(office, slow)
        await hook(office, receiver)
        await office.happen(*(of_call(f"1.{n}", n) for n in range(50)))
        await until(lambda: len(receiver.seen) == 50)
        assert slow.seen == []
        assert slow.hanging <= office.policy.parallel
        slow.hang.set()
        await until(lambda: len(slow.seen) == 50)
    await slow.stop()


async def test_no_more_than_so_many_at_once(receiver: Receiver) -> None:
    receiver.hang = asyncio.Event()
    async with Office(policy=hasty(parallel=3)) as office:
        await hook(office, receiver)
        await office.happen(*(of_call(f"1.{n}", n) for n in range(20)))
        await until(lambda: receiver.hanging == 3)
        await asyncio.sleep(0)
        assert receiver.asked == 3
        receiver.hang.set()
        await until(lambda: len(receiver.seen) == 20)


async def test_after_more_than_50_failures_it_is_disabled_and_the_admin_hears_of_it(receiver: Receiver) -> None:
    receiver.status = 500
    async with Office() as office:
        webhook = await hook(office, receiver)
        await office.happen(*(of_call(f"1.{n}", n) for n in range(20)))
        await until(lambda: bool(office.mails))
        assert not office.webhooks.all[0].enabled
        assert office.webhooks.all[0].disabled_reason == "too-many-failures"
        facts = [one.fact for one in await office.store.facts_after(0, 1000)]  # type: ignore[arg-type]
        (told,) = [fact for fact in facts if fact.kind is FactKind.WEBHOOK_DISABLED]
        assert told.data["webhook"] == webhook.id
        assert "/hook" not in str(told.data)  # an address may hold somebody's secret
    (mail,) = office.mails
    assert webhook.id in mail[1]
    assert receiver.asked > 50


async def test_enabled_again_it_gets_all_that_happened_meanwhile_in_order(receiver: Receiver) -> None:
    receiver.status = 500
    async with Office() as office:
        webhook = await hook(office, receiver)
        await office.happen(of_call("1.1", 0), of_call("1.2", 1))
        await until(lambda: not office.webhooks.all[0].enabled)
        for n in range(2, 2000):
            await office.happen(of_call(f"1.{n % 7}", n))
    office.open()  # and a restart in between
    async with office:
        asked = receiver.asked
        await office.happen(of_call("1.1", 2000))
        assert receiver.asked == asked
        receiver.status = 200
        await office.webhooks.change(webhook.id, ROOT, enabled=True)
        await until(lambda: len(receiver.seen) == 2001)
    assert sorted(numbers(receiver)) == list(range(2001))
    assert in_order(receiver)


async def test_gone_disables_at_once(receiver: Receiver) -> None:
    receiver.status = 410
    async with Office() as office:
        await hook(office, receiver)
        await office.happen(of_call("1.1"))
        await until(lambda: bool(office.mails))
        assert office.webhooks.all[0].disabled_reason == "gone"
    assert receiver.asked == 1


async def test_what_becomes_of_one_is_not_logged_as_the_request_that_set_it_up(receiver: Receiver) -> None:
    said: list[dict[str, object]] = []

    class Noting(Office):
        async def _warn(self, subject: str, text: str) -> None:  # noqa: ARG002  # the dispatcher calls it
            said.append(structlog.contextvars.get_contextvars())

    receiver.status = 410
    async with Noting() as office:
        with structlog.contextvars.bound_contextvars(request_id="4711"):
            await hook(office, receiver)
        await office.happen(of_call("1.1"))
        await until(lambda: bool(said))
    assert said == [{}]


async def test_one_that_no_admin_disabled_is_warned_of_until_it_is_enabled(receiver: Receiver) -> None:
    receiver.status = 410
    async with Office() as office:
        gone, quiet = await hook(office, receiver), await hook(office, receiver, "section.*")
        await office.webhooks.change(quiet.id, ROOT, enabled=False)
        warnings = [office.webhooks.warning]
        await office.happen(of_call("1.1"))
        await until(lambda: not any(one.enabled for one in office.webhooks.all))
        warned = office.webhooks.warning
        receiver.status = 200
        await office.webhooks.change(gone.id, ROOT, enabled=True)
        assert [*warnings, office.webhooks.warning] == [None, None]
    assert warned is not None
    assert (warned.code, gone.id in warned.message, quiet.id in warned.message) == ("webhook-disabled", True, False)


async def test_vonage_takes_200_alone_and_has_its_archives_elsewhere(receiver: Receiver) -> None:
    receiver.status = 204
    async with Office() as office:
        webhook, _ = await office.webhooks.add(
            receiver.url, FormatName.VONAGE, ["*"], ROOT, archive_url=f"{receiver.url}/archives", secret=SECRET
        )
        await office.happen(of_call("1.1"))
        await until(lambda: office.webhooks.tally().failed > 3)
        assert "status-204" in {one.error for one in await office.kept.due(webhook.id, 10)}
        receiver.status = 200
        receiver.seen.clear()
        await until(lambda: len({path for path, _, _ in receiver.seen}) == 2)
    assert {path for path, _, _ in receiver.seen} == {"/hook", "/hook/archives"}
    assert all(body == {"project": "pbx1", "n": 2} for _, _, body in receiver.seen)


async def test_without_an_archive_url_archives_are_not_told(receiver: Receiver) -> None:
    async with Office() as office:
        await office.webhooks.add(receiver.url, FormatName.VONAGE, ["*"], ROOT, secret=SECRET)
        await office.happen(of_call("1.1"), of_call("1.1"))
        await until(lambda: len(receiver.seen) == 2)
    assert {path for path, _, _ in receiver.seen} == {"/hook"}


async def test_retry_after_is_kept_for_all_of_the_receivers_calls(receiver: Receiver) -> None:
    receiver.status, receiver.headers = 503, {"Retry-After": "3600"}
    async with Office(policy=hasty(parallel=1)) as office:
        webhook = await hook(office, receiver)
        await office.happen(of_call("1.1", 1), of_call("1.2", 2))
        await until(lambda: office.webhooks.tally().failed == 1)
        receiver.status = 200
        await office.happen(of_call("1.3", 3))
        told, *_ = sorted(await office.kept.due(webhook.id, 10), key=lambda one: -one.attempts)
        assert told.next_at is not None
        assert told.next_at > office.webhooks.all[0].created_at + timedelta(seconds=3590)
        await until(lambda: office.webhooks.tally().waiting == 3)
    assert receiver.asked == 1


async def test_a_redirect_is_a_failure_and_is_not_followed(receiver: Receiver) -> None:
    receiver.status, receiver.headers = 307, {"Location": f"http://127.0.0.1:{receiver.port}/secret"}
    async with Office() as office:
        webhook = await hook(office, receiver)
        await office.happen(of_call("1.1"))
        await until(lambda: receiver.asked > 2)
        (delivery,) = await office.kept.due(webhook.id, 10)
        assert delivery.error == "redirected"
        assert {path for path, _, _ in receiver.seen} == set()
        assert receiver.paths == {"/hook"}


async def test_what_is_given_up_is_told_and_lets_the_rest_of_its_call_go_on(receiver: Receiver) -> None:
    policy = Policy(retry_s=(0.01, 0.01), failures=1000)
    receiver.refuse = "1.1"
    async with Office(policy=policy) as office:
        webhook = await hook(office, receiver)
        (first, _) = await office.happen(of_call("1.1", 1), of_call("1.1", 2))
        await until(lambda: office.webhooks.tally().given_up == 2)
        facts = [one.fact for one in await office.store.facts_after(0, 1000)]  # type: ignore[arg-type]
        told = [fact.data for fact in facts if fact.kind is FactKind.WEBHOOK_GIVEN_UP]
        assert [one["status"] for one in told] == [500, 500]
        receiver.refuse = None
        given_up = await office.webhooks.deliveries(webhook.id, DeliveryState.GIVEN_UP, None, 10)
        assert [one.key.fact for one in given_up] == [first.number + 1, first.number]
        await office.webhooks.resend(given_up[0].key)
        await until(lambda: numbers(receiver) == [2])
        await until(lambda: office.webhooks.tally().waiting == 0)
        again = await office.kept.delivery(given_up[0].key)
        assert again is not None
        assert again.state is DeliveryState.DELIVERED


async def test_what_waits_is_not_sent_again_by_hand(receiver: Receiver) -> None:
    receiver.hang = asyncio.Event()
    async with Office() as office:
        webhook = await hook(office, receiver)
        await office.happen(of_call("1.1"))
        await until(lambda: receiver.hanging == 1)
        (waiting,) = await office.webhooks.deliveries(webhook.id, None, None, 10)
        assert waiting.attempts == 1  # written before it was sent
        with pytest.raises(WebhookStateError):
            await office.webhooks.resend(waiting.key)
        receiver.hang.set()


async def test_both_secrets_sign_while_they_change(receiver: Receiver) -> None:
    async with Office() as office:
        webhook = await hook(office, receiver)
        newer = await office.webhooks.rotate(webhook.id, None, ROOT)
        assert newer is not None
        await office.happen(of_call("1.1"))
        await until(lambda: len(receiver.seen) == 1)  # by the old one
        receiver.secret = newer
        await office.happen(of_call("1.1"))
        await until(lambda: len(receiver.seen) == 2)
        assert newer not in repr(office.webhooks.all)


async def test_a_database_in_trouble_delays_and_loses_nothing(receiver: Receiver) -> None:
    async with Office() as office:
        await hook(office, receiver)
        facts = await office.store.commit([of_call("1.1", n) for n in range(10)])
        office.store.broken = StoreError("the disk is full")
        office.hub.publish(facts)
        await asyncio.sleep(0.05)
        assert receiver.seen == []
        office.store.broken = None
        await until(lambda: len(receiver.seen) == 10)
    assert numbers(receiver) == list(range(10))


async def test_what_has_no_body_any_more_is_tried_as_others_are_and_then_given_up(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = standard.bodies

    def bodies(fact: NumberedFact, project_id: str) -> Sequence[Callback]:
        if taken_in and fact.fact.data.get("n") == 1:
            raise KeyError("erased")
        return real(fact, project_id)

    monkeypatch.setattr(standard, "bodies", bodies)
    taken_in = False
    receiver.hang = asyncio.Event()
    async with Office(policy=Policy(retry_s=(0.01, 0.01), failures=1000)) as office:
        webhook = await hook(office, receiver)
        await office.happen(*(of_call("1.1", n) for n in range(3)))
        await until(lambda: receiver.hanging == 1 and office.webhooks.tally().waiting == 3)
        taken_in = True
        receiver.hang.set()
        await until(lambda: numbers(receiver) == [0, 2])
        (given_up,) = await office.webhooks.deliveries(webhook.id, DeliveryState.GIVEN_UP, None, 10)
    assert (given_up.error, given_up.attempts) == ("not-made", 3)


async def test_events_that_are_changed_count_for_what_happens_from_then_on(receiver: Receiver) -> None:
    async with Office() as office:
        webhook = await hook(office, receiver, "call.ended")
        await office.happen(of_call("1.1", 1))
        await until(lambda: office.webhooks.behind() == 0)
        await office.webhooks.change(webhook.id, ROOT, events=("call.began",))
    office.open()
    async with office:
        await office.happen(of_call("1.1", 2))
        await until(lambda: bool(receiver.seen))
    assert numbers(receiver) == [2]


async def test_none_is_disabled_without_a_mail(receiver: Receiver) -> None:
    receiver.status = 500
    async with Office(warn_error=StoreError("the disk is full")) as office:
        await hook(office, receiver)
        await office.happen(of_call("1.1"))
        await until(lambda: receiver.asked > 52)
        assert office.webhooks.all[0].enabled
        office.warn_error = None
        await until(lambda: not office.webhooks.all[0].enabled)
    assert len(office.mails) == 1


async def test_whatever_goes_wrong_while_old_ones_are_forgotten_is_tried_later(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0

    async def forget_ended(*_: object) -> int:
        nonlocal asked
        asked += 1
        raise RuntimeError("nobody thought of this")

    monkeypatch.setattr("bridge.feed.webhooks._LOOK_EVERY_S", 0.01)
    async with Office() as office:
        monkeypatch.setattr(office.kept, "forget_ended", forget_ended)
        tidying = asyncio.create_task(office.webhooks.run())
        await until(lambda: asked > 1 or tidying.done())
        assert not tidying.done()
        tidying.cancel()
        await asyncio.gather(tidying, return_exceptions=True)


async def test_where_archives_go_delays_nothing_of_the_call_itself(receiver: Receiver) -> None:
    archives = Receiver(SECRET)
    await archives.start()
    archives.status = 500
    async with Office(policy=hasty(failures=10_000)) as office:
        await office.webhooks.add(
            receiver.url, FormatName.VONAGE, ["*"], ROOT, archive_url=f"{archives.url}/archives", secret=SECRET
        )
        await office.happen(*(of_call("1.1", n) for n in range(3)))
        await until(lambda: [body["n"] for _, _, body in receiver.seen] == [2, 3, 4])
        assert archives.seen == []
        archives.status = 200
        await until(lambda: [body["n"] for _, _, body in archives.seen] == [2, 3, 4])
    await archives.stop()


async def test_a_clock_that_is_set_back_holds_up_nothing_new(receiver: Receiver) -> None:
    receiver.hang = asyncio.Event()
    async with Office(policy=hasty(parallel=1), ahead=timedelta(minutes=4)) as office:
        webhook = await hook(office, receiver)
        await office.happen(of_call("1.1", 1), of_call("1.2", 2))
        await until(lambda: receiver.hanging == 1)
        office.ahead = timedelta(0)
        await office.webhooks.change(webhook.id, ROOT, url=receiver.url)  # it looks again what is due
        receiver.hang.set()
        await until(lambda: numbers(receiver) == [1, 2])


async def test_a_removed_one_gets_nothing_more(receiver: Receiver) -> None:
    receiver.hang = asyncio.Event()
    async with Office() as office:
        webhook = await hook(office, receiver)
        await office.happen(of_call("1.1"), of_call("1.1"))
        await until(lambda: receiver.hanging == 1)
        assert await office.webhooks.remove(webhook.id, ROOT)
        assert not await office.webhooks.remove(webhook.id, ROOT)
        receiver.hang.set()
        await office.happen(of_call("1.1"))
        assert await office.webhooks.deliveries(webhook.id, None, None, 10) == []
        assert office.webhooks.all == []
    assert receiver.asked == 1


async def test_a_test_is_sent_at_once_and_says_what_came_of_it(receiver: Receiver) -> None:
    async with Office() as office:
        webhook = await hook(office, receiver)
        await office.webhooks.change(webhook.id, ROOT, enabled=False)
        answer = await office.webhooks.test(webhook.id)
        assert answer is not None
        assert answer.status == 200
        assert receiver.seen[0][2]["type"] == "webhook.test"
        await receiver.stop()
        answer = await office.webhooks.test(webhook.id)
        assert answer is not None
        assert answer.error in ("not-reached", "connection-lost")  # one that was kept open may have been tried


async def test_a_large_backlog_is_read_page_by_page(receiver: Receiver) -> None:
    async with Office(policy=hasty(parallel=32)) as office:
        await hook(office, receiver)
        await office.store.commit([of_call(f"1.{n % 100}", n) for n in range(3000)])  # nobody told
        facts = await office.store.commit([of_call("1.0", 3000)])
        office.hub.publish(facts)
        await until(lambda: len(receiver.seen) == 3001)
    assert in_order(receiver)


async def test_ended_deliveries_are_forgotten_by_and_by(receiver: Receiver) -> None:
    policy = Policy(keep_delivered=timedelta(0))
    async with Office(policy=policy) as office:
        webhook = await hook(office, receiver)
        await office.happen(*(of_call("1.1", n) for n in range(5)))
        await until(lambda: office.webhooks.tally().waiting == 0)
        tidying = asyncio.create_task(office.webhooks.run())
        await _until_async(lambda: _none_left(office, webhook))
        tidying.cancel()
        await asyncio.gather(tidying, return_exceptions=True)


async def _none_left(office: Office, webhook: Webhook) -> bool:
    return not await office.kept.deliveries(webhook.id, None, None, 10)


async def _until_async(seen: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await seen():  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.005)


def test_signatures_are_those_of_the_reference() -> None:
    body = {"a": "ü"}
    secrets = [new_secret(), SECRET, new_secret()]
    raw = json.dumps(body).encode()
    headers = dict(signed("msg_1", datetime.now(UTC), raw, secrets))
    for secret in secrets:
        assert Verifier(secret).verify(raw, headers) == body
