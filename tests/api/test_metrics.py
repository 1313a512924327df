"""What Prometheus reads, and who may."""

from collections import Counter
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer, make_mocked_request
from aiohttp.web import Application, Request
from multidict import CIMultiDict
from prometheus_client.parser import text_string_to_metric_families

from bridge.api.addresses import client_address, counted_as, is_local
from bridge.api.app import create_app
from bridge.api.metrics import Metrics
from bridge.api.numbers import ASTERISK_STATES, CallbackNumbers, KeepingNumbers, Numbers, WaitingNumbers
from bridge.api.rule_labels import RuleLabels
from bridge.asterisk.policy import ConnectionState
from bridge.core.access import Role
from bridge.core.accounts import Reason
from bridge.core.coverage import Sums, Tally
from bridge.core.histograms import Histogram
from bridge.core.ids import FactNumber, RuleId
from bridge.core.live import NotReady
from bridge.core.records import Alarm, Fact, FactKind, NumberedFact, SectionState
from bridge.core.space import Space
from bridge.feed.stream import Hub
from tests.api.house import ALICE, CAROL, ROOT, House, error_of
from tests.storage.kept import NOON

Client = TestClient[Request, Application]
NEAR = [ip_network("127.0.0.0/8"), ip_network("10.0.0.0/8"), ip_network("::1")]


def numbered(kind: FactKind, **data: Any) -> NumberedFact:
    return NumberedFact(FactNumber(1), Fact(kind, NOON, data=data, personal={"name": "Erika", "number": "0301"}))


def read(text: str) -> dict[str, float]:
    """Each sample by its name and labels."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            key = f"{sample.name}{{{labels}}}" if labels else sample.name
            assert key not in found
            found[key] = sample.value
    return found


def histogram(*values: float) -> Histogram:
    made = Histogram((0.1, 1.0))
    for value in values:
        made.observe(value)
    return made


async def shown(house: House, metrics: Metrics) -> tuple[str, dict[str, float]]:
    house.hub = Hub(house.store)
    async with TestClient(TestServer(create_app(house.dependencies(), metrics=metrics))) as client:
        response = await client.get("/metrics")
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/plain; version=")
        text = await response.text()
        return text, read(text)


async def test_what_is_so_now_and_what_has_been_are_told_without_anybodys_name(house: House) -> None:
    tally = Tally(Sums(3, 90.0, 60.0, Counter({Reason.FAILED: 30})), {None: Sums(1, 5.0), RuleId(2): Sums(2, 8.5, 4.0)})
    now = Numbers(
        calls=2,
        talks=1,
        sections={(RuleId(2), SectionState.RECORDING): 3, (RuleId(9), SectionState.RECORDING): 1},
        rules=[RuleId(1), RuleId(2)],
        asterisk="connected",
        asterisk_waiting=5,
        inbox_waiting=6,
        changes_waiting=7,
        bounds={"asterisk": 100, "inbox": 10, "database": 200},
        changes_lost=8,
        streams=9,
        coverage=tally,
        callbacks=CallbackNumbers({"enabled": 1}, 2, 3, {"failed": 4}, 5),
        keeping=KeepingNumbers(histogram(0.05, 0.5, 7.0), 1, 300, 4, 5000, 6, 7, 1_700_000_000.5),
        waiting=WaitingNumbers(2, 61.5, 3, 4),
    )
    metrics = Metrics(lambda: now)
    house.not_ready = [NotReady("spool-full", "make room in /secret")]
    stored = replace(numbered(FactKind.SECTION_STORED).fact, rule_id=RuleId(2))
    metrics.count([NumberedFact(FactNumber(1), stored)] * 2)
    metrics.count([numbered(FactKind.CALL_BEGAN)])
    metrics.count([numbered(FactKind.SECTION_FAILED), numbered(FactKind.ASTERISK_CONNECTED)])
    for alarm in (Alarm.FILE_GONE, "file-gone", "made up", ["x"], None):
        metrics.count([numbered(FactKind.SECTION_ALARM, alarm=alarm)])
    text, found = await shown(house, metrics)
    assert {
        "recbridge_ready": 0,
        "recbridge_not_ready{reason=spool-full}": 1,
        "recbridge_calls": 2,
        "recbridge_talks": 1,
        "recbridge_rules": 2,
        "recbridge_sections{state=recording}": 4,
        "recbridge_rule_sections{rule=2,state=recording}": 3,
        "recbridge_rule_sections{rule=1,state=recording}": 0,
        "recbridge_rule_sections{rule=other,state=recording}": 1,
        "recbridge_rule_sections_ended_total{outcome=stored,rule=1}": 0,
        "recbridge_rule_sections_ended_total{outcome=stored,rule=2}": 2,
        "recbridge_rule_sections_ended_total{outcome=failed,rule=none}": 1,
        "recbridge_sections{state=paused}": 0,
        "recbridge_sections_ended_total{outcome=stored}": 2,
        "recbridge_sections_ended_total{outcome=failed}": 1,
        "recbridge_sections_ended_total{outcome=lost}": 0,
        "recbridge_section_alarms_total{alarm=file-gone}": 2,
        "recbridge_section_alarms_total{alarm=other}": 3,
        "recbridge_section_alarms_total{alarm=silent}": 0,
        "recbridge_facts_total": 10,
        "recbridge_asterisk_connected": 1,
        "recbridge_asterisk_state{state=connected}": 1,
        "recbridge_asterisk_state{state=login-refused}": 0,
        "recbridge_waiting_limit{queue=inbox}": 10,
        "recbridge_commit_seconds_bucket{le=0.1}": 1,
        "recbridge_commit_seconds_bucket{le=1.0}": 2,
        "recbridge_commit_seconds_bucket{le=+Inf}": 3,
        "recbridge_commit_seconds_count": 3,
        "recbridge_commit_seconds_sum": 7.55,
        "recbridge_commit_failures_total": 1,
        "recbridge_intents_bytes": 300,
        "recbridge_housekeeping_deleted_sections_total": 4,
        "recbridge_housekeeping_deleted_bytes_total": 5000,
        "recbridge_housekeeping_deleted_calls_total": 6,
        "recbridge_housekeeping_failures_total": 7,
        "recbridge_housekeeping_done_timestamp_seconds": 1_700_000_000.5,
        "recbridge_webhooks{state=enabled}": 1,
        "recbridge_webhook_given_up_total": 5,
        "recbridge_exports_waiting": 2,
        "recbridge_exports_oldest_seconds": 61.5,
        "recbridge_mails_waiting": 3,
        "recbridge_mails_given_up_total": 4,
        "recbridge_asterisk_connects_total": 1,
        "recbridge_asterisk_losses_total": 0,
        "recbridge_waiting{queue=asterisk}": 5,
        "recbridge_waiting{queue=inbox}": 6,
        "recbridge_waiting{queue=database}": 7,
        "recbridge_changes_lost_total": 8,
        "recbridge_streams": 9,
        "recbridge_ended_calls_talked_seconds_total": 90,
        "recbridge_ended_calls_recorded_seconds_total": 60,
        "recbridge_ended_calls_missing_seconds_total{reason=failed}": 30,
        "recbridge_talked_seconds_total{rule=2}": 8.5,
        "recbridge_recorded_seconds_total{rule=2}": 4,
        "recbridge_talked_seconds_total{rule=none}": 5,
    }.items() <= found.items()
    assert "recbridge_spool_free_bytes" not in found
    for personal in ("Erika", "0301", "secret"):
        assert personal not in text


async def test_the_room_on_the_disk_and_the_process_are_told(house: House) -> None:
    house.space = Space(5, 10)
    house.warnings = [NotReady("spool-low", "make room")]
    _, found = await shown(house, Metrics())
    assert (found["recbridge_spool_free_bytes"], found["recbridge_spool_total_bytes"]) == (5, 10)
    assert (found["recbridge_ready"], found["recbridge_warning{reason=spool-low}"]) == (1, 1)
    assert found["process_resident_memory_bytes"] > 0


async def test_requests_are_told_by_route_and_never_by_path(house: House) -> None:
    house.hub = Hub(house.store)
    metrics = Metrics()
    async with TestClient(TestServer(create_app(house.dependencies(), metrics=metrics))) as client:
        for number in range(50):
            await client.get(f"/api/v1/records/secret-{number}")
            await client.get(f"/nowhere/secret-{number}")
        await client.request("PROPFIND", "/health")
        await client.get("/health")
        text = await (await client.get("/metrics")).text()
    found = read(text)
    assert {
        "recbridge_http_requests_total{method=GET,route=/api/v1/records/{record_id},status=4xx}": 50,
        "recbridge_http_requests_total{method=GET,route=other,status=4xx}": 50,
        "recbridge_http_requests_total{method=other,route=other,status=4xx}": 1,
        "recbridge_http_requests_total{method=GET,route=/health,status=2xx}": 1,
        "recbridge_http_request_duration_seconds_count{route=/api/v1/records/{record_id}}": 50,
        "recbridge_http_request_duration_seconds_bucket{le=+Inf,route=/health}": 1,
    }.items() <= found.items()
    assert "secret" not in text
    assert "PROPFIND" not in text


async def test_a_live_stream_is_counted_and_not_timed(house: House) -> None:
    house.hub = Hub(house.store)
    metrics = Metrics()
    async with TestClient(TestServer(create_app(house.dependencies(), metrics=metrics))) as client:
        headers = await house.token(ROOT, Role.ADMIN)
        async with client.get("/api/v1/stream", headers=headers) as response:
            assert response.status == 200
            house.hub.close()
            await response.read()
        async with client.ws_connect("/api/v1/ws", headers=headers) as socket:
            await socket.close()
    assert metrics.http.requests["/api/v1/stream", "GET", "2xx"] == 1
    assert metrics.http.requests["/api/v1/ws", "GET", "1xx"] == 1
    assert not metrics.http.durations


def test_a_rule_that_is_not_in_force_any_more_is_other_and_no_counter_falls() -> None:
    labels = RuleLabels()
    one, two, gone = RuleId(1), RuleId(2), RuleId(3)
    assert labels.counters("x", {one: 5.0}, [one, two]) == {"1": 5.0, "2": 0.0}
    assert labels.counters("x", {one: 5.0, gone: 2.0, None: 4.0}, [two]) == {"2": 0.0, "other": 2.0, "none": 4.0}
    assert labels.counters("x", {one: 6.0, gone: 2.0, None: 4.0}, [two]) == {"2": 0.0, "other": 3.0, "none": 4.0}
    assert labels.counters("x", {one: 7.5, gone: 2.0}, [one]) == {"1": 1.5, "other": 3.0, "none": 4.0}
    assert labels.counters("y", {RuleId(0): 1.0}, []) == {"0": 1.0}
    many = {RuleId(number): 1.0 for number in range(100, 1100)}
    assert labels.counters("z", many, [one]) == {"1": 0.0, "other": 1000.0}


def test_the_states_of_the_connection_are_all_there() -> None:
    assert tuple(map(str, ConnectionState)) == ASTERISK_STATES


async def test_from_elsewhere_an_admins_token_is_needed(house: House, client: Client) -> None:
    assert (await client.get("/metrics")).status == 200
    through = {"X-Forwarded-For": "192.0.2.1"}
    await error_of(await client.get("/metrics", headers=through), 401, "unauthorized")
    for headers in (await house.token(ALICE), await house.token(CAROL, Role.SUPERVISOR)):
        await error_of(await client.get("/metrics", headers={**through, **headers}), 403, "forbidden")
    admin = await house.token(ROOT, Role.ADMIN)
    assert (await client.get("/metrics", headers={**through, **admin})).status == 200
    house.store.broken = None
    await error_of(await client.post("/metrics"), 405, "method-not-allowed")


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("127.0.0.1", [], "127.0.0.1"),
        ("::1", [], "::1"),
        ("192.0.2.9", [], "192.0.2.9"),
        ("127.0.0.1", ["192.0.2.1"], "192.0.2.1"),
        ("127.0.0.1", ["127.0.0.1"], "127.0.0.1"),
        ("127.0.0.1", ["1.1.1.1, 192.0.2.1"], "192.0.2.1"),
        ("127.0.0.1", ["1.1.1.1, 192.0.2.1, 10.0.0.7"], "192.0.2.1"),
        ("127.0.0.1", ["1.1.1.1", "10.0.0.7"], "1.1.1.1"),
        ("127.0.0.1", ["127.0.0.1, nonsense"], "127.0.0.1"),
        ("127.0.0.1", [""], "127.0.0.1"),
        ("127.0.0.1", ["::ffff:192.0.2.1"], "192.0.2.1"),
        ("127.0.0.1", ["2001:db8::1"], "2001:db8::1"),
        ("192.0.2.9", ["127.0.0.1"], "192.0.2.9"),
        ("::ffff:127.0.0.1", ["192.0.2.1"], "192.0.2.1"),
    ],
)
def test_a_trusted_proxy_says_who_asks_and_nobody_else(peer: str, forwarded: list[str], client: str) -> None:
    assert client_address(asked_from(peer, forwarded), NEAR) == client


def asked_from(peer: str, forwarded: list[str]) -> Request:
    headers = CIMultiDict([("X-Forwarded-For", one) for one in forwarded])
    return make_mocked_request("GET", "/", headers=headers).clone(remote=peer)


def test_without_trusted_proxies_the_peer_asks() -> None:
    assert client_address(asked_from("127.0.0.1", ["192.0.2.1"]), []) == "127.0.0.1"


@pytest.mark.parametrize(
    ("peer", "forwarded", "local"),
    [
        ("127.0.0.1", [], True),
        ("::1", [], True),
        ("::ffff:127.0.0.1", [], True),
        ("192.0.2.9", [], False),
        ("", [], False),
        ("127.0.0.1", ["127.0.0.1"], False),
    ],
)
def test_local_is_what_no_proxy_passes_on(peer: str, forwarded: list[str], local: bool) -> None:
    assert is_local(asked_from(peer, forwarded)) is local


def test_of_ipv6_a_whole_network_is_counted_as_one() -> None:
    assert counted_as("2001:db8:1:2:3:4:5:6") == counted_as("2001:db8:1:2::9") != counted_as("2001:db8:1:3::9")
    assert (counted_as("192.0.2.1"), counted_as("::ffff:192.0.2.1"), counted_as("")) == (
        "192.0.2.1", "192.0.2.1", "",
    )  # fmt: skip
